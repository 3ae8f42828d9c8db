"""Percentiles of the inputs of a trained network's activations, from a bounded sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAMPLE = 200_000
"""The most values of a layer that are kept; of more, evenly spaced ones are."""


def thinned(values: NDArray[np.floating], most: int) -> Floats:
    """At most `most` of `values`, flattened and evenly spaced.

    >>> thinned(np.arange(10.0), 4).tolist()
    [0.0, 2.0, 5.0, 7.0]
    """
    flat = np.asarray(values, np.float64).reshape(-1)
    most = min(most, flat.size)
    return flat[np.arange(most) * flat.size // max(most, 1)]


def percentiles(values: Floats) -> Floats:
    """The 1st to the 100th percentile, (100,); the last is the maximum. Zeros without values.

    >>> percentiles(np.arange(0.0, 201.0))[[0, 49, 98, 99]].tolist()
    [2.0, 100.0, 198.0, 200.0]
    """
    return np.percentile(values, np.arange(1, 101)) if values.size else np.zeros(100)
