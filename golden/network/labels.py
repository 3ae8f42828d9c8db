"""Labels: what every function that compares classes with them takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spikewright.golden.arrays import Ints
from spikewright.golden.errors import require

_MOST = 2**31


def check_labels(labels: ArrayLike, images: int, classes: int | None = None) -> Ints:
    """`labels` as int64 (images,): one class for each image.

    Parameters
    ----------
    classes
        How many there are; None if that is not known yet.

    Raises
    ------
    BadInput
        If they are no integers, of another shape (a column (images, 1) too, which a comparison
        would broadcast), or one is no class: naming the first image of such.

    >>> check_labels([1, 2], 2, 2)
    Traceback (most recent call last):
        ...
    spikewright.golden.errors.BadInput: labels: class of image 1 is 2, must be 0..1
    """
    array = np.asarray(labels)
    require(
        array.dtype.kind in "iu" and array.shape == (images,), "labels", "type and shape",
        f"{array.dtype} {array.shape}", f"integers ({images},), one for each image",
    )  # fmt: skip
    wrong = (array < 0) | (array >= (_MOST if classes is None else classes))
    if wrong.any():
        first = int(wrong.argmax())
        right = f"0..{_MOST - 1}" if classes is None else f"0..{classes - 1}"
        require(False, "labels", f"class of image {first}", array[first], right)
    return array.astype(np.int64)
