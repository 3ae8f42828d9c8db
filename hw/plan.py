"""What is settled for every node before any memory is packed: windows, lowering, lanes, codes.

Rows carry the codes of the sender's channels, and edges may point back, so all nodes are planned
first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.edges import Conv2d, Edge, MaxPool2d
from golden.errors import require
from golden.network import Network
from golden.nodes import LIF, Input, Readout, Shape
from golden.rows import Layout, bits_for
from hw.lanes import assign_channels, lanes_of
from hw.lower import UNROLLED, Synapses, lower, unrolled

Ints = NDArray[np.int64]
Window = tuple[int, int]

QUEUE = 4
"""Places of a delayed edge's queue in which no full step has to wait."""


@dataclass(frozen=True, eq=False)
class Sender:
    """What a node sends: its map behind the sweep's window, its channel codes, its events."""

    name: str
    shape: Shape
    codes: tuple[int, ...]
    event: Layout
    direct: bool = False
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """A core to be: its incoming edges as rows, its lanes, the code of every channel."""

    edges: tuple[Synapses, ...]
    lanes: int
    codes: tuple[int, ...]

    @property
    def local(self) -> int:
        """Channels in each lane."""
        return -(-len(self.codes) // self.lanes)


def sent_shape(shape: Shape, window: Window) -> Shape:
    """The map that leaves a sweep which merges windows."""
    if len(shape) == 1:
        return shape
    return (shape[0], shape[1] // window[0], shape[2] // window[1])


def windows(network: Network) -> dict[str, Window]:
    """The max-pool window of every node's sweep, (1, 1) if it merges none.

    Raises
    ------
    BadInput
        If the edges out of a node do not agree: a sweep sends one stream of events.
    """
    found = {}
    for node in network.nodes:
        sizes = [
            edge.pool.kernel_size if isinstance(edge.pool, MaxPool2d) else (1, 1)
            for edge in network.out_of(node.name)
        ] or [(1, 1)]
        shown = ", ".join(f"{rows} x {columns}" for rows, columns in dict.fromkeys(sizes))
        require(len(set(sizes)) == 1, f"node {node.name!r}", "max-pool windows of its edges", shown,
                f"one; all of them {sizes[0][0]} x {sizes[0][1]}, "
                "or the others from a LIF of their own")  # fmt: skip
        found[node.name] = sizes[0]
    return found


def plan(
    network: Network, node: LIF | Readout, merged: Mapping[str, Window],
    lanes: int | dict[str, int], reloadable: bool,
) -> Plan:  # fmt: skip
    """Lower the edges into a node, and share its channels among lanes.

    `reloadable` as in `hw.compiler.compile_network`.
    """
    edges = tuple(
        _lowered(network, edge, merged[edge.source], reloadable) for edge in network.into(node.name)
    )
    channels = node.shape[0]
    kept = np.zeros(channels, np.int64)
    for synapses in edges:
        kept += np.bincount(synapses.weights.out, minlength=channels)
    rows = sum(s.channels * s.positions[0] * s.positions[1] for s in edges)
    count = lanes_of(lanes, node.name, channels, float(kept.sum()) / rows)
    lif = isinstance(node, LIF)
    require(lif or count & (count - 1) == 0, f"node {node.name!r}", "lanes", count,
            f"a power of two for a readout, as {1 << (count.bit_length() - 1)}")  # fmt: skip
    # Logits carry their class number, so the classes of a readout keep their order.
    codes = assign_channels(kept, count) if lif else tuple(range(channels))
    return Plan(edges, count, codes)


def _lowered(network: Network, edge: Edge, window: Window, reloadable: bool) -> Synapses:
    """An edge as rows; of a convolution's two forms that with the smaller bits x entries walked."""
    source = network.node(edge.source)
    shape = sent_shape(source.shape, window)
    by_tap = lower(edge, shape)
    small = by_tap.target[0] * by_tap.target[1] <= UNROLLED
    if not isinstance(edge.synapse, Conv2d) or not small or reloadable:
        return by_tap
    events = np.asarray(network.activity.get(source.name, np.ones(source.shape, np.int64)))
    if isinstance(source, Input) or window == (1, 1):
        sent = events.reshape(by_tap.channels, *by_tap.source)
    else:
        rows, columns = by_tap.source
        cut = events[:, : rows * window[0], : columns * window[1]]
        sent = cut.reshape(len(cut), rows, window[0], columns, window[1]).sum(axis=(2, 4))
    by_position = unrolled(by_tap, edge.synapse)
    return min(by_tap, by_position, key=lambda synapses: _cost(synapses, sent))


def _cost(synapses: Synapses, events: Ints) -> int:
    """Bits of rows and pointers, times the entries that the given events walk."""
    weights, row_bits = synapses.weights, synapses.row_bits
    lengths = np.bincount(
        weights.channel << row_bits | weights.position, minlength=synapses.channels << row_bits
    )
    (mask_y, y, _), (mask_x, x, _) = synapses.axis(0), synapses.axis(1)
    position = np.add.outer(y * (mask_y != 0), x * (mask_x != 0))
    row = np.arange(synapses.channels)[:, None, None] << row_bits | position
    inside = np.outer(mask_y != 0, mask_x != 0)
    walked = int((lengths[row] * inside * events).sum())
    entries = len(weights.value)
    entry = 1 + bits_for(synapses.taps) + bits_for(synapses.outputs) + synapses.bits
    pointer = bits_for(max(entries, 2)) + 2
    return (entries * entry + len(lengths) * pointer) * walked


def queue_depth(network: Network, edge: Edge, sent: Shape) -> int:
    """Places of a delayed edge's queue: a full step and two tokens where that may have to wait."""
    if not edge.delay:
        return 0
    reached = {edge.source}
    waiting = [edge.source]
    while waiting:
        for onward in network.out_of(waiting.pop()):
            if not onward.delay and onward.target not in reached:
                reached.add(onward.target)
                waiting.append(onward.target)
    return int(np.prod(sent)) + 2 if edge.target in reached else QUEUE
