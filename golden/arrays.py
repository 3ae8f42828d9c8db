"""Names for the types of NumPy arrays."""

from __future__ import annotations

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
