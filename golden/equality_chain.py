"""The chain of equality: programs in a row, each equal to its neighbour in every value.

    torch == reference == engine == memory image == Verilog == top over AXI

A link compares every spike of every neuron at every step, every membrane at the end of every step
and every logit of two neighbours, without tolerance; of the last link, which sees a device from
outside, every logit of the first images. Programs run in batches, so that memory stays
bounded however many images there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image import interpreter
from spikewright.golden.image.memory_image import Image
from spikewright.golden.models import engine, reference
from spikewright.golden.network.graph import Network
from spikewright.golden.network.trace import Comparison, Trace, compare

BATCH = 20  # the most images traced at once: bounds memory, and lets progress be seen

Inputs = NDArray[np.generic]
Runner = Callable[[slice], Trace]
"""The trace of some of the images."""
Progress = Callable[[int, int, str], None]
"""Called with parts done, parts in all, and what they are."""
Observer = Callable[[Mapping[str, Trace]], None]
"""Called after each batch with the trace of every program, by name."""


@dataclass(frozen=True)
class Program:
    """A member of the chain. `runs` are runners by circumstances, as "at 50 % stalls".

    All runs are compared with the program before it; the first one with the program after it.
    """

    name: str
    runs: Mapping[str, Runner]

    @classmethod
    def of(cls, name: str, run: Runner) -> Program:
        """A program that runs in one way only."""
        return cls(name, {"": run})


def reference_program(network: Network, inputs: Inputs) -> Program:
    """The golden reference on checked inputs (batch, ...)."""
    return Program.of("reference", lambda part: reference.run(network, inputs[part]))


def engine_program(network: Network, inputs: Inputs) -> Program:
    """The golden engine on checked inputs (batch, ...)."""
    return Program.of("engine", lambda part: engine.run(network, inputs[part]))


def image_program(image: Image, inputs: Inputs) -> Program:
    """The interpreted memory image on checked inputs (batch, ...)."""
    return Program.of("memory image", lambda part: interpreter.run(image, inputs[part]))


def recorded_program(name: str, traces: Mapping[str, Trace]) -> Program:
    """A program that has run already, on all images: its traces by circumstances."""
    return Program(name, {label: trace.of for label, trace in traces.items()})


@dataclass(frozen=True)
class Link:
    """Two neighbours: values compared, values that differ, and the first of those in words."""

    name: str
    images: int
    spikes: int
    membranes: int
    logits: int
    mismatches: int
    first: str | None

    @property
    def values(self) -> int:
        """Values compared, of all kinds."""
        return self.spikes + self.membranes + self.logits

    def and_on(self, more: Link, what: str) -> Link:
        """The same link, on `more` images too, of which a mismatch says what they are."""
        return Link(
            self.name, self.images + more.images, self.spikes + more.spikes,
            self.membranes + more.membranes, self.logits + more.logits,
            self.mismatches + more.mismatches,
            self.first or (f"{what}: {more.first}" if more.first else None),
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "link": self.name, "images": self.images, "spikes": self.spikes,
            "membranes": self.membranes, "logits": self.logits,
            "mismatches": self.mismatches, "first_mismatch": self.first,
        }  # fmt: skip

    @classmethod
    def json_form(cls) -> dict[str, Any]:
        """The types of what `as_dict` gives."""
        counts = dict.fromkeys(("images", "spikes", "membranes", "logits", "mismatches"), int)
        return {"link": str, **counts, "first_mismatch": str | None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Link:
        """What `as_dict` gave."""
        return cls(
            values["link"], values["images"], values["spikes"], values["membranes"],
            values["logits"], values["mismatches"], values["first_mismatch"],
        )  # fmt: skip


@dataclass(frozen=True)
class Equality:
    """All links of a chain, in order."""

    links: tuple[Link, ...]

    @property
    def values(self) -> int:
        """Values compared, on all links."""
        return sum(link.values for link in self.links)

    @property
    def mismatches(self) -> int:
        """Values that differ, on all links."""
        return sum(link.mismatches for link in self.links)

    @property
    def first(self) -> str | None:
        """The first mismatch of the first broken link: link, step, layer, neuron, values."""
        return next((link.first for link in self.links if link.first), None)

    def and_on(self, more: Equality, what: str) -> Equality:
        """The same chain, on more images too; see `Link.and_on`."""
        pairs = zip(self.links, more.links, strict=True)
        return Equality(tuple(link.and_on(other, what) for link, other in pairs))

    def require(self) -> None:
        """Raise `CheckFailed` naming the first mismatch, if there is one."""
        if self.mismatches:
            raise CheckFailed(f"{self.mismatches} values differ; first: {self.first}")


def follow(
    programs: Sequence[Program], images: int, observe: Observer | None = None,
    progress: Progress | None = None, batch: int = BATCH,
) -> Equality:  # fmt: skip
    """Run programs, given in the order of the chain, on so many images, and compare neighbours.

    Each program runs once on every image, on `batch` of them at a time. A link is called
    "left == right".
    """
    links = [_LinkCount(left.name, right.name) for left, right in pairwise(programs)]
    for start in range(0, max(images, 1), batch):
        part = slice(start, min(start + batch, images))
        before: Trace | None = None
        traces: dict[str, Trace] = {}
        for index, program in enumerate(programs):
            for label, run in program.runs.items():
                trace = run(part)
                traces.setdefault(program.name, trace)
                if before is not None:
                    links[index - 1].add(compare(before, trace), start, label)
            before = traces[program.name]
        if observe:
            observe(traces)
        if progress:
            progress(part.stop, images, "images compared")
    return Equality(tuple(link.total(images) for link in links))


class _LinkCount:
    """A link while its batches are compared."""

    def __init__(self, left: str, right: str) -> None:
        self.name = f"{left} == {right}"
        self.spikes = self.membranes = self.logits = self.mismatches = 0
        self.first: str | None = None

    def add(self, batch: Comparison, start: int, label: str) -> None:
        """Count a batch whose first image is number `start`."""
        self.spikes += batch.spikes
        self.membranes += batch.membranes
        self.logits += batch.logits
        self.mismatches += batch.mismatches
        if batch.first and self.first is None:
            mismatch = replace(batch.first, image=batch.first.image + start)
            self.first = f"{' '.join(filter(None, (self.name, label)))}: {mismatch}"

    def total(self, images: int) -> Link:
        """All batches."""
        return Link(
            self.name, images, self.spikes, self.membranes, self.logits, self.mismatches, self.first
        )


class Recorder:
    """Keeps what one program of a chain did on all images: an observer for `follow`.

    Membranes, eight times as large as spikes, are kept only if they are wanted.
    """

    def __init__(self, program: str, membranes: bool = False) -> None:
        self._program, self._membranes = program, membranes
        self._batches: list[Trace] = []

    def __call__(self, traces: Mapping[str, Trace]) -> None:
        """Keep a batch."""
        trace = traces[self._program]
        self._batches.append(trace if self._membranes else replace(trace, membranes={}))

    @property
    def trace(self) -> Trace:
        """All batches; without membranes unless they were wanted."""
        batches = self._batches
        return Trace(
            {n: np.concatenate([b.spikes[n] for b in batches]) for n in batches[0].spikes},
            {n: np.concatenate([b.membranes[n] for b in batches]) for n in batches[0].membranes},
            np.concatenate([batch.logits for batch in batches]),
        )
