"""The trace of a run (every spike, every membrane, the logits), and the comparison of two.

All links of the chain of equality return a `Trace`, so one comparison serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Spikes

Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Trace:
    """A recorded run of `batch` inferences.

    `spikes[name]` is uint8 (batch, timesteps, *shape) of each LIF; `membranes[name]` is int64
    (batch, timesteps, *shape) of each LIF and of the readout, at the end of the step;
    `logits` is int64 (batch, classes).
    """

    spikes: Mapping[str, Spikes]
    membranes: Mapping[str, NDArray[np.int64]]
    logits: NDArray[np.int64]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The class of each inference; ties go to the lowest index."""
        return self.logits.reshape(len(self.logits), -1).argmax(axis=1)

    def of(self, part: slice) -> Trace:
        """The trace of some of the images."""
        spikes = {name: values[part] for name, values in self.spikes.items()}
        membranes = {name: values[part] for name, values in self.membranes.items()}
        return Trace(spikes, membranes, self.logits[part])

    @property
    def outside(self) -> Trace:
        """What is seen of it from outside the machine: the logits."""
        return Trace({}, {}, self.logits)


@dataclass(frozen=True)
class Mismatch:
    """The first value in which two traces differ: by image, then step, then layer, then neuron."""

    image: int
    step: int
    node: str
    quantity: str
    neuron: tuple[int, ...]
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"image {self.image}, step {self.step}, node {self.node!r}, neuron {self.neuron}: "
            f"{self.quantity} is {self.actual}, expected {self.expected}"
        )


@dataclass(frozen=True)
class Comparison:
    """How many values were compared, how many differ, and the first that does."""

    spikes: int
    membranes: int
    logits: int
    mismatches: int
    first: Mismatch | None


def compare(expected: Trace, actual: Trace) -> Comparison:
    """Compare every value of two traces of the same network and inputs, without tolerance.

    Raises
    ------
    ValueError
        If the traces do not hold the same nodes and shapes.
    """
    counts = {"spike": 0, "membrane": 0, "logit": 0}
    wrong = 0
    first: tuple[tuple[int, ...], Mismatch] | None = None
    order = {name: index for index, name in enumerate(expected.membranes)}
    for quantity, node, left, right in _pairs(expected, actual):
        counts[quantity] += left.size
        differs = np.argwhere(left != right)
        wrong += len(differs)
        if len(differs):
            image, step, *neuron = (int(i) for i in differs[0])
            key = (image, step, order.get(node, len(order)), quantity == "membrane")
            if first is None or key < first[0]:
                at = tuple(int(i) for i in differs[0])
                name = tuple(neuron)
                first = (
                    key,
                    Mismatch(image, step, node, quantity, name, int(left[at]), int(right[at])),
                )
    mismatch = first[1] if first else None
    return Comparison(counts["spike"], counts["membrane"], counts["logit"], wrong, mismatch)


def _pairs(expected: Trace, actual: Trace) -> Iterator[tuple[str, str, Values, Values]]:
    """(quantity, node, expected, actual) of everything that two traces hold."""
    rows = [
        ("spike", name, expected.spikes[name], actual.spikes.get(name)) for name in expected.spikes
    ]
    rows += [
        ("membrane", name, expected.membranes[name], actual.membranes.get(name))
        for name in expected.membranes
    ]
    last = expected.logits[:, None], actual.logits[:, None]
    rows.append(("logit", "logits", *last))
    if set(expected.spikes) != set(actual.spikes) or set(expected.membranes) != set(
        actual.membranes
    ):
        raise ValueError("the traces hold different nodes")
    for quantity, name, left, right in rows:
        if right is None or left.shape != right.shape:
            raise ValueError(f"{quantity} of {name!r}: the traces have different shapes")
        yield quantity, name, left, right
