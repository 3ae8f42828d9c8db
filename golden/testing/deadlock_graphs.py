"""Small graphs of the shapes in which streams could deadlock.

Each fires often, so that queues fill: a queue that is too short for a step, or a join that takes
edges in the wrong order, deadlocks within a few inferences.
"""

from __future__ import annotations

import numpy as np

from spikewright.golden.network.edges import Edge, Identity, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout

UNITS = 16
STEPS = 3

DEADLOCK_GRAPHS: dict[str, tuple[str, ...]] = {
    "chain": ("i>a", "a>b", "b>r"),
    "self loop": ("i>a", "a=a", "a>r"),
    "back edge": ("i>a", "a>b", "b=a", "b>r"),
    "two loops": ("i>a", "a=a", "a>b", "b=b", "b=a", "b>r"),
    "residual": ("i>a", "a>b", "a>c", "b>c", "c>r"),
    "delayed skip": ("i>a", "a>b", "b>c", "a=c", "c>r"),
    "long delayed skip": ("i>a", "a>b", "b>c", "c>d", "a=d", "a>d", "d>r"),
    "crossed diamonds": ("i>a", "a>b", "a>c", "b>d", "c>d", "b>e", "c>e", "d>f", "e>f", "f>r"),
    "parallel edges": ("i>a", "i>a", "a>b", "a>b", "a=b", "a=b", "b>r"),
    "input to all": ("i>a", "a>b", "i>b", "b>c", "i>c", "a>c", "c>r", "i>r"),
    "spiking output": ("i>a", "a>o", "o=a", "o=o"),
}
"""Edges by name: `x>y`, or `x=y` for a delayed edge; i is the input, r the
readout; where there is no r, o is the output."""


def deadlock_graph(name: str, coding: str = "events", seed: int = 0) -> Network:
    """The graph called `name`, with random weights."""
    rng = np.random.default_rng(seed)
    marks = DEADLOCK_GRAPHS[name]
    names = sorted({mark[0] for mark in marks} | {mark[2] for mark in marks} - {"i", "r"})
    names = [node for node in names if node not in "ir"]
    channels = np.zeros(UNITS, int)
    nodes: list[Input | LIF | Readout] = [
        Input("i", (UNITS,), "direct" if coding == "direct" else "events", 2)
    ]
    for node in names:
        threshold = rng.integers(4, 20, UNITS)
        nodes.append(LIF(node, (UNITS,), threshold, channels + 2, 1, 2, "subtract", 8))
    if any(mark[2] == "r" for mark in marks):
        nodes.append(Readout("r", (4,), np.zeros(4, int), 1, 3))
    edges = tuple(_edge(rng, mark) for mark in marks)
    return Network(STEPS, tuple(nodes), edges, {"name": f"{name}, {coding}"})


def _edge(rng: np.random.Generator, mark: str) -> Edge:
    """Mostly weights above 0; an edge that points back is one spike to each neuron."""
    delay = int(mark[1] == "=")
    if delay and mark[0] >= mark[2]:
        return Edge(mark[0], mark[2], (Identity(rng.integers(-3, 6, UNITS), 4),), delay)
    targets = 4 if mark[2] == "r" else UNITS
    weight = rng.integers(-2, 6, (targets, UNITS)) * (rng.random((targets, UNITS)) < 0.3)
    return Edge(mark[0], mark[2], (Linear(weight, 4),), delay)
