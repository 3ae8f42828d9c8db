"""The 1797 handwritten digits of scikit-learn: 8x8 pixels of 0..16, thus 5 bits.

The split is fixed: the last 360 indices of `RandomState(0).permutation(1797)` are the test images,
in that order; the others, in that order, are the training images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikewright.model.data.dataset import DataSet

TEST_IMAGES = 360


def read(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """The digits with their fixed split; `root` and `timesteps` are not used."""
    from sklearn.datasets import load_digits  # slow to import, so only when asked for

    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = np.asarray(labels).astype(np.int64)
    order = np.random.RandomState(0).permutation(len(images))
    kept = order[:-TEST_IMAGES] if train else order[:0]
    test = order[-TEST_IMAGES:]
    return DataSet(
        "digits", images[kept], labels[kept], images[test], labels[test], 10, 5, "direct"
    )
