"""The performance counters of a core: names, meanings and registers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

COUNTERS = {
    "busy": "cycles in which at least one lane reads a weight entry",
    "waiting": "cycles inside an inference in which no lane has work",
    "stalled": "cycles in which the sweep is held by the output",
    "sweep": "cycles of the sweeps, their pauses included",
    "idle": "cycles between inferences",
    "events_in": "events accepted, tokens not counted",
    "events_out": "events sent, tokens not counted",
    "synops": "weights added to membranes",
}
"""Name -> meaning, in the order of the registers; the first five are disjoint and complete."""

STRIDE = 8
"""Register numbers per core: counter k of core i is register 8 i + k."""


@dataclass(frozen=True)
class Counters:
    """The counters of one core, measured by `sim` or predicted by `golden.cycles.prediction`."""

    node: str
    busy: int
    waiting: int
    stalled: int
    sweep: int
    idle: int
    events_in: int
    events_out: int
    synops: int

    @property
    def cycles(self) -> int:
        """All cycles: the sum of the five classes."""
        return self.busy + self.waiting + self.stalled + self.sweep + self.idle

    def as_dict(self) -> dict[str, int]:
        """Counts by name."""
        return {name: getattr(self, name) for name in COUNTERS}

    def with_units(self) -> dict[str, int]:
        """Counts by name for JSON; those of cycles end in `_cycles`."""
        return {_with_unit(name): count for name, count in self.as_dict().items()}

    @classmethod
    def json_form(cls) -> dict[str, type]:
        """The types of what `with_units` gives."""
        return {_with_unit(name): int for name in COUNTERS}

    @classmethod
    def from_units(cls, node: str, counts: Mapping[str, int]) -> Counters:
        """What `with_units` gave."""
        return cls(node, **{name: counts[_with_unit(name)] for name in COUNTERS})


def _with_unit(name: str) -> str:
    return name if name in ("events_in", "events_out", "synops") else f"{name}_cycles"
