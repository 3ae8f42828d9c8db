"""Surrogate gradients by name: they replace the derivative of the step `v >= threshold`.

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

from spikewright.golden.jit import entry

NAMES = ("triangle", "rectangle", "arctan", "fast_sigmoid", "sigmoid")


@entry
def fill_slope(kind: int, u: np.ndarray, h: np.ndarray, size: int) -> None:
    """Writes h(u[:size]) of the surrogate `NAMES[kind]` into h[:size]; one plain loop per name."""
    # constants in the arrays' type: a literal would widen every operation to float64
    real = u.dtype.type
    zero, half, one, two, four = real(0), real(0.5), real(1), real(2), real(4)
    if kind == 0:
        for n in range(size):
            h[n] = max(zero, one - abs(u[n]))
    elif kind == 1:
        for n in range(size):
            h[n] = one if abs(u[n]) <= half else zero
    elif kind == 2:
        pi_squared = real(math.pi * math.pi)
        for n in range(size):
            h[n] = one / (one + pi_squared * u[n] * u[n])
    elif kind == 3:
        for n in range(size):
            h[n] = one / ((one + two * abs(u[n])) * (one + two * abs(u[n])))
    else:
        for n in range(size):
            s = one / (one + math.exp(-four * u[n]))
            h[n] = four * s * (one - s)


def slope(name: str, u: np.ndarray) -> np.ndarray:
    """h(u) of the surrogate `name`, elementwise, in float64 and the shape of `u`."""
    flat = np.ascontiguousarray(u, np.float64).reshape(-1)
    h = np.empty_like(flat)
    fill_slope(NAMES.index(name), flat, h, flat.size)
    return h.reshape(np.shape(u))
