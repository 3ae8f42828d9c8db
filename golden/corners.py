"""What a graph has, and what a run of it has visited: the corners that random graphs must reach.

`golden.fuzz.coverage` looks at the step of a neuron; here it is what edges do: where they meet,
what a delay keeps and drops, what a pool joins, who wins a tie.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from golden import reference
from golden.edges import Conv2d, Edge, MaxPool2d
from golden.network import Network
from golden.nodes import LIF
from golden.operations import windows
from golden.trace import Trace

Ints = NDArray[np.int64]

FEATURES: tuple[str, ...] = (
    "join", "fork", "diamond", "delayed skip", "edge back", "self loop", "max pool", "identity",
    "bare pool", "spiking output", "leaky readout", "direct and events in one node",
    "input into a later node", "signed events of several bits", "parallel edges",
    "strided convolution", "convolution in groups", "one-sided padding",
    "max pool before a convolution", "sum pool before an identity", "pool on a delayed edge",
)  # fmt: skip

CORNERS: tuple[str, ...] = (
    "edges that both bring drive", "drives that cancel", "drive from the step before",
    "spike too late to be carried", "window with several spikes", "spike in no whole window",
    "frame and events in one sum", "tie in a spiking output",
)  # fmt: skip


def features(network: Network) -> set[str]:
    """Which of `FEATURES` a network has."""
    place = {node.name: index for index, node in enumerate(network.nodes)}
    first, last = network.input, network.output
    into = {node.name: network.into(node.name) for node in network.nodes}
    ends = [(edge.source, edge.target) for edge in network.edges]
    kinds = [tuple(type(operation).__name__ for operation in e.operations) for e in network.edges]
    convs = [edge.synapse for edge in network.edges if isinstance(edge.synapse, Conv2d)]
    mixed = any(len({e.source == first.name for e in edges}) == 2 for edges in into.values())
    found = {
        "join": any(len(edges) > 1 for edges in into.values()),
        "fork": any(len(network.out_of(name)) > 1 for name in place),
        "diamond": _has_diamond(network),
        "delayed skip": any(e.delay and place[e.source] < place[e.target] for e in network.edges),
        "edge back": any(place[e.source] > place[e.target] for e in network.edges),
        "self loop": any(a == b for a, b in ends),
        "max pool": any("MaxPool2d" in kind for kind in kinds),
        "identity": any("Identity" in kind for kind in kinds),
        "bare pool": any(kind in (("MaxPool2d",), ("SumPool2d",)) for kind in kinds),
        "spiking output": isinstance(last, LIF),
        "leaky readout": not isinstance(last, LIF) and last.leak_mul > 0,
        "direct and events in one node": first.coding == "direct" and mixed,
        "input into a later node": any(a == first.name and place[b] > 1 for a, b in ends),
        "signed events of several bits": first.coding == "events" and first.signed,
        "parallel edges": len(set(ends)) < len(ends),
        "strided convolution": any(max(conv.stride) > 1 for conv in convs),
        "convolution in groups": any(conv.groups > 1 for conv in convs),
        "one-sided padding": any(c.padding[::2] != c.padding[1::2] for c in convs),
        "max pool before a convolution": ("MaxPool2d", "Conv2d") in kinds,
        "sum pool before an identity": ("SumPool2d", "Identity") in kinds,
        "pool on a delayed edge": any(e.delay and e.pool is not None for e in network.edges),
    }
    assert tuple(found) == FEATURES
    return {name for name, there in found.items() if there}


def _has_diamond(network: Network) -> bool:
    """Two senders meet in a node without delay, and neither lies behind the other."""
    behind: dict[str, set[str]] = {}  # the nodes that lead to one without delay
    for node in network.nodes:
        before = [edge.source for edge in network.into(node.name) if edge.delay == 0]
        pairs = itertools.combinations(set(before), 2)
        if any(one not in behind[other] and other not in behind[one] for one, other in pairs):
            return True
        behind[node.name] = set(before).union(*(behind[name] for name in before))
    return False


def coverage(network: Network, trace: Trace, inputs: NDArray[np.generic]) -> dict[str, int]:
    """How often a run visited each of `CORNERS`; the keys are the same for every network.

    Parameters
    ----------
    network, inputs
        What was run; shapes as in `golden.reference.run`.
    trace
        What the run showed; its spikes and logits are read.
    """
    frames = network.check_inputs(inputs)
    found: dict[str, int] = dict.fromkeys(CORNERS, 0)
    direct = network.input.coding == "direct"
    for node in network.neurons:
        edges = network.into(node.name)
        framed = np.array([direct and edge.source == network.input.name for edge in edges])
        late = np.array([edge.delay == 1 for edge in edges])
        for step in range(network.timesteps):
            drives = np.stack([drive_of(network, e, trace, frames, step) for e in edges])
            there, total = drives != 0, drives.sum(axis=0)
            meet = there.sum(axis=0) > 1
            found["edges that both bring drive"] += int(meet.sum())
            found["drives that cancel"] += int((meet & (total == 0)).sum())
            found["drive from the step before"] += int(there[late].sum())
            both = there[framed].any(axis=0) & there[~framed].any(axis=0)
            found["frame and events in one sum"] += int(both.sum())
    for edge in network.edges:
        _visit_edge(found, edge, trace)
    if isinstance(network.output, LIF):
        best = trace.logits == trace.logits.max(axis=1, keepdims=True)
        found["tie in a spiking output"] = int((best.sum(axis=1) > 1).sum())
    return found


def drive_of(network: Network, edge: Edge, trace: Trace, frames: Ints, step: int) -> Ints:
    """What an edge brought in one step of a recorded run, (batch, *target shape)."""
    if edge.source == network.input.name:
        events = frames if network.input.coding == "direct" else frames[:, step]
    else:
        spikes = trace.spikes[edge.source]
        events = spikes[:, step - edge.delay] if step >= edge.delay else 0 * spikes[:, 0]
    return reference.summed(edge, events.astype(np.int64))


def _visit_edge(found: dict[str, int], edge: Edge, trace: Trace) -> None:
    if edge.delay:
        found["spike too late to be carried"] += int(trace.spikes[edge.source][:, -1].sum())
    if isinstance(edge.pool, MaxPool2d):
        spikes = trace.spikes[edge.source]
        whole = windows(spikes, edge.pool.kernel_size)
        found["window with several spikes"] += int((whole.sum(axis=(4, 6)) > 1).sum())
        found["spike in no whole window"] += int(spikes.sum()) - int(whole.sum())
