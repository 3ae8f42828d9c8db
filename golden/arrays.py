"""Names for the types of NumPy arrays."""

from __future__ import annotations

import dataclasses
import numbers
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
"""The type of all computations in the chain of equality, except inside compiled loops."""

Floats: TypeAlias = NDArray[np.float64]

Bools: TypeAlias = NDArray[np.bool_]

Spikes: TypeAlias = NDArray[np.uint8]
"""0 or 1 per neuron."""

Array: TypeAlias = NDArray[Any]
"""Any element type: records, or integers of several widths."""


def plain_numbers(record: Any) -> None:
    """Replace NumPy's integers in fields of a frozen dataclass by Python's, which never wrap."""
    for each in dataclasses.fields(record):
        value = getattr(record, each.name)
        if isinstance(value, numbers.Integral) and not isinstance(value, bool | int):
            object.__setattr__(record, each.name, int(value))
