"""The constants of a LIF layer's scan, for both of its implementations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScanRule:
    """The constants of a scan.

    Attributes
    ----------
    timesteps
        T.
    leak_shift
        The leak is floor(v leak_mul / 2^leak_shift) per step.
    subtract
        Reset by subtraction of the threshold (True), or to zero.
    lowest, highest
        The range to which membranes are clamped at the end of a step.
    surrogate
        An index into `model.ops.surrogate.NAMES`.
    """

    timesteps: int
    leak_shift: int
    subtract: bool
    lowest: float
    highest: float
    surrogate: int
