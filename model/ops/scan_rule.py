"""What the scan of a LIF layer holds constant, whichever program computes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScanRule:
    """What is constant: `lowest`..`highest` is the clamp, `surrogate` an index of its names."""

    timesteps: int
    leak_shift: int
    subtract: bool
    lowest: float
    highest: float
    surrogate: int
