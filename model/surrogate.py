"""Surrogate gradients by name: what stands in for the derivative of the step `v >= threshold`.

With u = (v - threshold) / threshold, the spike is H(u), and its derivative in the backward pass is

================  ==========================================  =========
name              h(u)                                        integral
================  ==========================================  =========
``triangle``      max(0, 1 - |u|)                             1
``rectangle``     1 if |u| <= 1/2 else 0                      1
``arctan``        1 / (1 + (pi u)^2)                          1
``fast_sigmoid``  1 / (1 + 2 |u|)^2                           1
``sigmoid``       4 s (1 - s),  s = 1 / (1 + exp(-4 u))       1
================  ==========================================  =========
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

NAMES = ("triangle", "rectangle", "arctan", "fast_sigmoid", "sigmoid")


@njit(cache=True, nogil=True)
def fill_slope(kind: int, u: np.ndarray, h: np.ndarray, size: int) -> None:
    """h[:size] = h(u[:size]) of the surrogate `NAMES[kind]`; compiled, one plain loop per name."""
    if kind == 0:
        for n in range(size):
            h[n] = max(0.0, 1.0 - abs(u[n]))
    elif kind == 1:
        for n in range(size):
            h[n] = 1.0 if abs(u[n]) <= 0.5 else 0.0
    elif kind == 2:
        for n in range(size):
            h[n] = 1.0 / (1.0 + math.pi * math.pi * u[n] * u[n])
    elif kind == 3:
        for n in range(size):
            h[n] = 1.0 / ((1.0 + 2.0 * abs(u[n])) * (1.0 + 2.0 * abs(u[n])))
    else:
        for n in range(size):
            s = 1.0 / (1.0 + math.exp(-4.0 * u[n]))
            h[n] = 4.0 * s * (1.0 - s)


def slope(name: str, u: np.ndarray) -> np.ndarray:
    """h(u) of the surrogate called `name`, elementwise, as float64."""
    flat = np.ascontiguousarray(u, np.float64).reshape(-1)
    h = np.empty_like(flat)
    fill_slope(NAMES.index(name), flat, h, flat.size)
    return h.reshape(np.shape(u))
