"""The chain of equality, link by link: which two programs were compared, on how many values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from spikewright.golden.network.trace import Comparison, Trace, compare

BATCH = 20  # images traced at once: bounds memory, and lets progress be seen

Runner = Callable[[slice], Trace]
"""The trace of some of the images."""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Link:
    """Two programs that must agree: values compared, values that differ, and the first of those."""

    name: str
    images: int
    spikes: int
    membranes: int
    logits: int
    mismatches: int
    first: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "link": self.name, "images": self.images, "spikes": self.spikes,
            "membranes": self.membranes, "logits": self.logits,
            "mismatches": self.mismatches, "first_mismatch": self.first,
        }  # fmt: skip


def follow(
    programs: Iterable[tuple[str, Runner]], images: int, progress: Progress | None = None
) -> list[Link]:
    """Run `programs`, given in the order of the chain, on so many images, and compare neighbours.

    Returns one link for each pair of neighbours, called "left == right".
    """
    chain = list(programs)
    names = [f"{left} == {right}" for (left, _), (right, _) in pairwise(chain)]
    found: list[list[Comparison]] = [[] for _ in names]
    for start in range(0, images, BATCH):
        part = slice(start, min(start + BATCH, images))
        traces = [run(part) for _, run in chain]
        for place, pair in enumerate(pairwise(traces)):
            found[place].append(compare(*pair))
        if progress:
            progress(part.stop, images, "images")
    return [_sum(name, images, parts) for name, parts in zip(names, found, strict=True)]


def recorded(trace: Trace) -> Runner:
    """A program that has run already."""

    def run(part: slice) -> Trace:
        spikes = {name: values[part] for name, values in trace.spikes.items()}
        membranes = {name: values[part] for name, values in trace.membranes.items()}
        return Trace(spikes, membranes, trace.logits[part])

    return run


def _sum(name: str, images: int, parts: list[Comparison]) -> Link:
    first = None
    for number, part in enumerate(parts):
        if part.first and first is None:
            first = str(replace(part.first, image=part.first.image + number * BATCH))
    return Link(
        name,
        images,
        sum(part.spikes for part in parts),
        sum(part.membranes for part in parts),
        sum(part.logits for part in parts),
        sum(part.mismatches for part in parts),
        first,
    )
