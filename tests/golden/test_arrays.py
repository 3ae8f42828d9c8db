"""The element types of the array types that signatures name."""

from typing import get_args

import numpy as np
import pytest

from spikewright.golden import arrays


@pytest.mark.parametrize(
    ("alias", "element"),
    [("Ints", np.int64), ("Floats", np.float64), ("Bools", np.bool_), ("Spikes", np.uint8)],
)
def test_element_type(alias, element):
    _, dtype = get_args(getattr(arrays, alias))
    assert get_args(dtype) == (element,)
