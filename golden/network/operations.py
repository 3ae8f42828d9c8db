"""Operation counts of a run: exact, from the network, its inputs and its trace.

An event is a source value that is not zero: a spike, a pixel, a count, whatever its size. A
synaptic operation (synop) is one event meeting one nonzero weight whose target exists. The events
of a direct frame meet their weights once per inference: the drive is kept and added at each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Bools, Ints
from spikewright.golden.network.edges import Edge, Identity, Linear, MaxPool2d, Synapse
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Shape
from spikewright.golden.network.trace import Trace


@dataclass(frozen=True)
class EdgeCounts:
    """One edge; `events` and `synops` are totals over all images of the run.

    Attributes
    ----------
    events
        Nonzero source values that were carried (also those that reach no target); after a max
        pool, windows with a spike. A delayed edge does not carry the spikes of the last step.
    synops
        (event, nonzero weight, existing target) triples; a bare pool has one per event that lies
        in a whole window.
    weights, kept
        Stored weights or gains, and those that are not zero; 0 for a bare pool.
    dense_synops
        Multiply-accumulates per inference of an ANN layer of the same shape, without time steps,
        padding included as in the usual count (outputs x fan-in); a bare pool: its additions.
    """

    source: str
    target: str
    events: int
    synops: int
    weights: int
    kept: int
    dense_synops: int


@dataclass(frozen=True)
class NodeCounts:
    """One LIF or readout; `spikes` and `updates` are totals over all images of the run.

    Attributes
    ----------
    spike_rate
        Spikes per neuron per step.
    zeta
        Spikes per neuron over all steps of one inference.
    updates
        Neuron updates: neurons x steps x images.
    """

    name: str
    spiking: bool
    neurons: int
    spikes: int
    spike_rate: float
    zeta: float
    updates: int


@dataclass(frozen=True)
class OperationCounts:
    """All counts of a run of `images` inferences; edges and nodes in the network's order."""

    images: int
    timesteps: int
    edges: tuple[EdgeCounts, ...]
    nodes: tuple[NodeCounts, ...]

    @property
    def events(self) -> int:
        """Events of all edges, over all images."""
        return sum(edge.events for edge in self.edges)

    @property
    def synops(self) -> int:
        """Synaptic operations of all edges, over all images."""
        return sum(edge.synops for edge in self.edges)

    @property
    def synops_per_inference(self) -> float:
        """Mean synaptic operations of one inference; 0 for an empty run."""
        return self.synops / self.images if self.images else 0.0

    @property
    def dense_synops(self) -> int:
        """Multiply-accumulates of the dense ANN, per inference."""
        return sum(edge.dense_synops for edge in self.edges)

    @property
    def weights(self) -> int:
        """Stored weights."""
        return sum(edge.weights for edge in self.edges)

    @property
    def kept(self) -> int:
        """Weights that are not zero."""
        return sum(edge.kept for edge in self.edges)

    @property
    def spikes(self) -> int:
        """Spikes of all LIF nodes, over all images."""
        return sum(node.spikes for node in self.nodes)

    @property
    def updates(self) -> int:
        """Neuron updates of all nodes, over all images."""
        return sum(node.updates for node in self.nodes)

    @property
    def zeta(self) -> float:
        """Spikes per LIF neuron over all steps of one inference; 0 without LIF neurons."""
        firing = sum(node.neurons for node in self.nodes if node.spiking) * self.images
        return self.spikes / firing if firing else 0.0

    @property
    def spike_rate(self) -> float:
        """Spikes per LIF neuron per step; 0 without LIF neurons."""
        return self.zeta / self.timesteps


def count(network: Network, inputs: NDArray[np.generic], trace: Trace) -> OperationCounts:
    """Count the operations of a run.

    Parameters
    ----------
    network, inputs
        Those of the run; shapes as in `golden.models.reference.run`.
    trace
        The recorded run; only its spikes are read.

    Raises
    ------
    BadInput
        If the inputs do not fit the network.
    """
    frames = network.check_inputs(inputs)
    images, steps = len(frames), network.timesteps
    lead = 1 if network.input.coding == "direct" else 2
    sent = {network.input.name: np.count_nonzero(frames, axis=tuple(range(lead)))}
    sent |= {name: np.count_nonzero(spikes, axis=(0, 1)) for name, spikes in trace.spikes.items()}

    edges: list[EdgeCounts] = []
    for edge in network.edges:
        shape, synapse = network.node(edge.source).shape, edge.synapse
        events = _carried(edge, sent, trace)
        edges.append(
            EdgeCounts(
                source=edge.source,
                target=edge.target,
                events=int(events.sum()),
                synops=int((events * fan_out(edge, shape)).sum()),
                weights=synapse.weight.size if synapse is not None else 0,
                kept=int(np.count_nonzero(synapse.weight)) if synapse is not None else 0,
                dense_synops=dense_synops(edge, shape),
            )
        )
    nodes: list[NodeCounts] = []
    for node in network.neurons:
        neurons, spiking = math.prod(node.shape), isinstance(node, LIF)
        spikes = int(sent[node.name].sum()) if spiking else 0
        zeta = spikes / (neurons * images) if images else 0.0
        updates = neurons * steps * images
        nodes.append(NodeCounts(node.name, spiking, neurons, spikes, zeta / steps, zeta, updates))
    return OperationCounts(images, steps, tuple(edges), tuple(nodes))


def _carried(edge: Edge, sent: dict[str, Ints], trace: Trace) -> Ints:
    """How many events an edge carried from every position of its source, after any max pool.

    A delayed edge does not carry the spikes of the last step of an inference.
    """
    if edge.delay == 0 and not isinstance(edge.pool, MaxPool2d):
        return np.asarray(sent[edge.source], np.int64)
    spikes = trace.spikes[edge.source]
    spikes = spikes[:, : spikes.shape[1] - edge.delay]
    if isinstance(edge.pool, MaxPool2d):
        spikes = windows(spikes, edge.pool.kernel_size).max(axis=(4, 6))
    return np.count_nonzero(spikes, axis=(0, 1)).astype(np.int64)


def windows(maps: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Maps (..., channels, height, width) as (..., channels, rows, ky, columns, kx), cropped."""
    (ky, kx), (height, width) = size, maps.shape[-2:]
    rows, columns = height // ky, width // kx
    whole = maps[..., : rows * ky, : columns * kx]
    return whole.reshape(*maps.shape[:-2], rows, ky, columns, kx)


def fan_out(edge: Edge, shape: Shape) -> Ints:
    """How many nonzero weights lead from each source neuron to targets that exist; int64.

    The result has the source's shape, `shape`; after a max pool, one element per window.
    """
    if edge.pool is None:
        return _synapse_fan_out(edge.synapse, shape)
    pooled = _synapse_fan_out(edge.synapse, edge.pool.output_shape(shape))
    if isinstance(edge.pool, MaxPool2d):
        return pooled
    reach = np.zeros(shape, np.int64)  # neurons outside whole windows reach no target
    ky, kx = edge.pool.kernel_size
    inside = pooled.repeat(ky, axis=1).repeat(kx, axis=2)
    reach[:, : inside.shape[1], : inside.shape[2]] = inside
    return reach


def _synapse_fan_out(synapse: Synapse | None, shape: Shape) -> Ints:
    if synapse is None:
        return np.ones(shape, np.int64)
    if isinstance(synapse, Linear):
        return np.count_nonzero(synapse.weight, axis=0).reshape(shape)
    if isinstance(synapse, Identity):
        kept = (synapse.gain != 0).astype(np.int64)
        return np.broadcast_to(kept.reshape(-1, *[1] * (len(shape) - 1)), shape)
    _, rows, columns = synapse.output_shape(shape)
    (top, _, left, _), (step_y, step_x) = synapse.padding, synapse.stride
    # A source channel meets the targets of its own group only.
    grouped = synapse.weight.reshape(synapse.groups, -1, *synapse.weight.shape[1:])
    per_tap = np.count_nonzero(grouped, axis=1).reshape(shape[0], *grouped.shape[3:])
    reach = np.zeros(shape, np.int64)
    for dy, dx in np.ndindex(*per_tap.shape[1:]):
        hit_y = _hits(shape[1], top - dy, step_y, rows)
        hit_x = _hits(shape[2], left - dx, step_x, columns)
        reach += per_tap[:, dy, dx, None, None] * np.outer(hit_y, hit_x)
    return reach


def _hits(sources: int, shift: int, step: int, targets: int) -> Bools:
    """Which source positions, shifted by `shift`, are the start of an existing window."""
    start = np.arange(sources) + shift
    return (start % step == 0) & (start >= 0) & (start < targets * step)


def dense_synops(edge: Edge, shape: Shape) -> int:
    """Multiply-accumulates per inference of a dense ANN layer like `edge`; see `EdgeCounts`."""
    targets = math.prod(edge.output_shape(shape))
    if edge.synapse is not None:
        return targets * edge.synapse.weight[0].size
    assert edge.pool is not None
    return targets * math.prod(edge.pool.kernel_size)
