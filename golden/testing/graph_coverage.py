"""Coverage of a run of a graph: the corner cases that random graphs must reach.

`golden.testing.chain_coverage` covers the step of a neuron; this module covers edges:
where they meet, what a delay keeps and drops, what a pool combines, ties of the output.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Edge, MaxPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF
from spikewright.golden.network.operations import fan_out, windows
from spikewright.golden.network.trace import Trace

CORNERS: tuple[str, ...] = (
    "drive from several edges", "drives that cancel", "drive of a delayed edge",
    "spike too late to be carried", "window with several spikes", "spike in no whole window",
    "frame and events in one sum", "tie in a spiking output", "event without a weight",
)  # fmt: skip


def coverage(network: Network, trace: Trace, inputs: NDArray[np.generic]) -> dict[str, int]:
    """How often a run visited each of `CORNERS`; the keys are the same for every network.

    Parameters
    ----------
    network, inputs
        Those of the run; shapes as in `golden.models.reference.run`.
    trace
        The recorded run; its spikes and logits are read.
    """
    frames = network.check_inputs(inputs)
    counts: dict[str, int] = dict.fromkeys(CORNERS, 0)
    direct = network.input.coding == "direct"
    for node in network.neurons:
        edges = network.into(node.name)
        framed = np.array([direct and edge.source == network.input.name for edge in edges])
        late = np.array([edge.delay == 1 for edge in edges])
        for step in range(network.timesteps):
            drives = np.stack([drive_of(network, e, trace, frames, step) for e in edges])
            nonzero, total = drives != 0, drives.sum(axis=0)
            meet = nonzero.sum(axis=0) > 1
            counts["drive from several edges"] += int(meet.sum())
            counts["drives that cancel"] += int((meet & (total == 0)).sum())
            counts["drive of a delayed edge"] += int(nonzero[late].sum())
            both = nonzero[framed].any(axis=0) & nonzero[~framed].any(axis=0)
            counts["frame and events in one sum"] += int(both.sum())
    for edge in network.edges:
        _visit_edge(counts, edge, trace)
    counts["event without a weight"] += _in_empty_rows(network, trace, frames)
    if isinstance(network.output, LIF):
        best = trace.logits == trace.logits.max(axis=1, keepdims=True)
        counts["tie in a spiking output"] = int((best.sum(axis=1) > 1).sum())
    return counts


def drive_of(network: Network, edge: Edge, trace: Trace, frames: Ints, step: int) -> Ints:
    """The drive of an edge in one step of a recorded run, (batch, *target shape)."""
    if edge.source == network.input.name:
        events = frames if network.input.coding == "direct" else frames[:, step]
    else:
        spikes = trace.spikes[edge.source]
        events = spikes[:, step - edge.delay] if step >= edge.delay else 0 * spikes[:, 0]
    return reference.summed(edge, events.astype(np.int64))


def _in_empty_rows(network: Network, trace: Trace, frames: Ints) -> int:
    """Events from where no weight leads to any target."""
    lead = 1 if network.input.coding == "direct" else 2
    sent = {network.input.name: np.count_nonzero(frames, axis=tuple(range(lead)))}
    sent |= {name: spikes.sum(axis=(0, 1)) for name, spikes in trace.spikes.items()}
    found = 0
    for edge in network.edges:
        if not isinstance(edge.pool, MaxPool2d):
            reach = fan_out(edge, network.node(edge.source).shape)
            found += int(sent[edge.source][reach == 0].sum())
    return found


def _visit_edge(counts: dict[str, int], edge: Edge, trace: Trace) -> None:
    if edge.delay:
        counts["spike too late to be carried"] += int(trace.spikes[edge.source][:, -1].sum())
    if isinstance(edge.pool, MaxPool2d):
        spikes = trace.spikes[edge.source]
        whole = windows(spikes, edge.pool.kernel_size)
        counts["window with several spikes"] += int((whole.sum(axis=(4, 6)) > 1).sum())
        counts["spike in no whole window"] += int(spikes.sum()) - int(whole.sum())
