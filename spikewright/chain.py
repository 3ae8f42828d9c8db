"""The chain of equality, link by link: which two programs were compared, on how many values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.trace import Comparison, Mismatch, Trace, compare

BATCH = 20  # images traced at once: bounds memory, and lets progress be seen

Runner = Callable[[NDArray[Any]], Trace]
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
    programs: Iterable[tuple[str, Runner]], inputs: NDArray[Any], progress: Progress | None = None
) -> list[Link]:
    """Run `programs`, given in the order of the chain, on `inputs`, and compare neighbours.

    Returns one link for each pair of neighbours, called "left == right".
    """
    chain = list(programs)
    names = [f"{left} == {right}" for (left, _), (right, _) in zip(chain, chain[1:], strict=False)]
    found: list[list[Comparison]] = [[] for _ in names]
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        traces = [run(batch) for _, run in chain]
        for place, pair in enumerate(zip(traces, traces[1:], strict=False)):
            found[place].append(compare(*pair))
        if progress:
            progress(min(start + BATCH, len(inputs)), len(inputs), "images")
    return [_sum(name, len(inputs), parts) for name, parts in zip(names, found, strict=True)]


def _sum(name: str, images: int, parts: list[Comparison]) -> Link:
    first = next(
        (_shifted(part.first, n * BATCH) for n, part in enumerate(parts) if part.first), None
    )
    return Link(
        name,
        images,
        sum(part.spikes for part in parts),
        sum(part.membranes for part in parts),
        sum(part.logits for part in parts),
        sum(part.mismatches for part in parts),
        first,
    )


def _shifted(found: Mismatch, images: int) -> str:
    import dataclasses

    return str(dataclasses.replace(found, image=found.image + images))


def accuracy(predictions: NDArray[np.int64], labels: NDArray[np.int64] | None) -> float | None:
    """The share of right predictions; None without labels."""
    return None if labels is None else float((predictions == labels).mean())
