"""Labels are one class for each image; whatever else comes is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.network.labels import check_labels


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int64, np.uint64])
def test_integers_of_every_kind_are_taken(kind: type) -> None:
    found = check_labels(np.array([0, 9, 3], kind), 3, 10)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 9, 3]


REFUSED = {
    r"type and shape is int64 \(3, 1\), must be integers \(3,\)": [[1], [2], [0]],
    r"type and shape is int64 \(1, 3\), must be integers \(3,\)": [[1, 2, 0]],
    r"type and shape is int64 \(2,\), must be integers \(3,\)": [1, 2],
    r"type and shape is int64 \(\), must be integers \(3,\)": 1,
    r"type and shape is float64 \(3,\)": [1.0, 2.0, 0.0],
    r"type and shape is bool \(3,\)": [True, False, True],
    r"type and shape is <U1 \(3,\)": ["1", "2", "0"],
    r"class of image 1 is -1, must be 0\.\.2": [0, -1, 5],
    r"class of image 2 is 3, must be 0\.\.2": [0, 2, 3],
    r"class of image 0 is 18446744073709551615, must be 0\.\.2": np.full(3, 2**64 - 1, np.uint64),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_no_class_of_each_image_is_refused(message: str) -> None:
    with pytest.raises(BadInput, match=f"^labels: {message}"):
        check_labels(REFUSED[message], 3, 3)


def test_without_known_classes_only_what_can_be_no_class_is_refused() -> None:
    assert check_labels([0, 2**31 - 1], 2).tolist() == [0, 2**31 - 1]
    for wrong in (-1, 2**31):
        with pytest.raises(BadInput, match=f"class of image 1 is {wrong}, must be 0"):
            check_labels([0, wrong], 2)
