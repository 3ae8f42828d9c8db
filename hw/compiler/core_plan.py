"""Decisions for every node before any memory is packed: windows, lowering, lanes, codes.

Rows carry the codes of the sender's channels, and edges may point back, so all nodes are planned
first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.bits import bits_for
from spikewright.golden.errors import require
from spikewright.golden.image.rows import Layout
from spikewright.golden.network.edges import Edge, MaxPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout, Shape
from spikewright.hw.compiler.channel_assignment import assign_channels
from spikewright.hw.compiler.core_demand import slowest
from spikewright.hw.compiler.lane_count import lanes_of, width_of
from spikewright.hw.compiler.lower import Synapses, bordered, lower
from spikewright.hw.compiler.workload import Work, event_rates, joined, walked
from spikewright.hw.options import BuildOptions

Window = tuple[int, int]

BLOCK_WORDS, BLOCK_BITS = 1024, 18
"""Words and bits of a block RAM; smaller ones, as of iCE40, are combined to that size."""

MAX_STEPS = 32
"""Time steps that a pass may have."""


@dataclass(frozen=True, eq=False)
class Sender:
    """The output of a node: its map after the sweep's window, its channel codes, its events."""

    name: str
    shape: Shape
    codes: tuple[int, ...]
    event: Layout
    direct: bool = False
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan of a core: its edges as rows, lanes, channels in a word, the code of every channel.

    Attributes
    ----------
    words
        Membrane words in each lane: the cycles of a sweep.
    pace
        Mean cycles of a step's accumulation, from the firing rates of the senders.
    framed
        It accumulates once per inference.
    """

    edges: tuple[Synapses, ...]
    lanes: int
    width: int
    codes: tuple[int, ...]
    words: int
    pace: float
    framed: bool

    @property
    def columns(self) -> int:
        """Channels side by side: `lanes` words of `width`."""
        return self.lanes * self.width

    @property
    def local(self) -> int:
        """Channels in each column."""
        return -(-len(self.codes) // self.columns)


def sent_shape(shape: Shape, window: Window) -> Shape:
    """The shape of the map after a sweep that merges windows."""
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
    chosen: dict[str, Window] = {}
    for node in network.nodes:
        sizes = [
            edge.pool.kernel_size if isinstance(edge.pool, MaxPool2d) else (1, 1)
            for edge in network.out_of(node.name)
        ] or [(1, 1)]
        shown = ", ".join(f"{rows} x {columns}" for rows, columns in dict.fromkeys(sizes))
        require(len(set(sizes)) == 1, f"node {node.name!r}", "max-pool windows of its edges", shown,
                f"one; all of them {sizes[0][0]} x {sizes[0][1]}, "
                "or the others from a LIF of their own")  # fmt: skip
        chosen[node.name] = sizes[0]
    return chosen


def lowered(network: Network, name: str, merged: Mapping[str, Window]) -> tuple[Synapses, ...]:
    """The edges into a node, without border rows."""
    into = network.into(name)
    shapes = [sent_shape(network.node(edge.source).shape, merged[edge.source]) for edge in into]
    return tuple(lower(edge, shape) for edge, shape in zip(into, shapes, strict=True))


def plan(
    network: Network, node: LIF | Readout, merged: Mapping[str, Window], options: BuildOptions,
    borders: bool,
) -> Plan:  # fmt: skip
    """Lower the edges into a node, and assign its channels to lanes.

    `borders` as in `hw.compiler.compile_network.compile_network`.
    """
    into, edges = network.into(node.name), lowered(network, node.name, merged)
    channels = node.shape[0]
    kept = sum(len(s.weights.value) for s in edges)
    rows = sum(s.channels * s.positions[0] * s.positions[1] for s in edges)
    width = width_of(options.word_channels, node.name, channels)
    count = lanes_of(options.lane_limit, node.name, channels, kept / rows, width)
    lif = isinstance(node, LIF)
    require(lif or count & (count - 1) == 0, f"node {node.name!r}", "lanes", count,
            f"a power of two for a readout, as {1 << (count.bit_length() - 1)}")  # fmt: skip
    # Logits carry their class number, so the classes of a readout keep their order.
    if borders:
        edges = _bordered(edges, count, width)
    work = work_of(network, into, edges, merged)
    columns = count * width
    codes = assign_channels(work, columns) if lif else tuple(range(channels))
    lane_of = (np.array(codes) & ((1 << bits_for(columns)) - 1)) // width
    pace = max(float(work.rate.sum()), slowest(work, work.by_group(lane_of, count)))
    framed = all(direct(network, edge) for edge in into)
    return Plan(
        edges, count, width, codes, math.prod(node.shape[1:]) * -(-channels // columns),
        pace / network.timesteps if framed else pace, framed,
    )  # fmt: skip


def work_of(
    network: Network, into: Sequence[Edge], edges: Sequence[Synapses], merged: Mapping[str, Window]
) -> Work:
    """The rows of a core, walked at the rates given by the activity of their senders.

    Every entry of a walked row counts, even if its target lies outside the map, since it takes a
    cycle all the same. Events that meet no target are dropped before the lanes.
    """
    parts: list[Work] = []
    frames = [direct(network, edge) for edge in into]
    for edge, synapses, framed in zip(into, edges, frames, strict=True):
        rates = windowed(event_rates(network, edge.source), merged[edge.source])
        if framed and not all(frames):
            rates = rates / network.timesteps  # its frame arrives in an inference's first step only
        (mask_y, y, _), (mask_x, x, _) = synapses.axis(0), synapses.axis(1)
        inside, position = np.outer(mask_y, mask_x) != 0, np.add.outer(y, x)
        channel = np.arange(synapses.channels)[:, None, None] << synapses.row_bits
        weights = synapses.weights
        row = weights.channel << synapses.row_bits | weights.position
        rows = synapses.channels << synapses.row_bits
        target = np.where(inside, channel | position, -1)
        parts.append(walked(synapses.outputs, row, weights.out, rows, target, rates))
    return joined(parts[0].channels, parts)


def direct(network: Network, edge: Edge) -> bool:
    """Whether an edge carries a direct frame, once per inference."""
    source = network.node(edge.source)
    return isinstance(source, Input) and source.coding == "direct"


def windowed(rates: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """Event rates after a sweep that merges windows, as if no two neurons of one fired together."""
    if window == (1, 1):
        return rates
    (ky, kx), (channels, height, width) = window, rates.shape
    rows, columns = height // ky, width // kx
    cut = rates[:, : rows * ky, : columns * kx].reshape(channels, rows, ky, columns, kx)
    return np.minimum(cut.sum(axis=(2, 4)), 1)


def _bordered(edges: tuple[Synapses, ...], lanes: int, width: int) -> tuple[Synapses, ...]:
    """Border rows for every edge that has room for them.

    There is room if a lane's entries take no more block RAMs than without. Border rows only save
    cycles, so the variant with the most copies that fits is taken.
    """
    best = list(edges)
    for index, synapses in enumerate(edges):
        if not synapses.moves or synapses.taps == 1:
            continue
        room = _blocks(best, lanes, width)
        for axes in ((True, True), (True, False), (False, True)):
            trial = [*best[:index], bordered(synapses, axes), *best[index + 1 :]]
            if _blocks(trial, lanes, width) <= room:
                best = trial
                break
    return tuple(best)


def _blocks(edges: Sequence[Synapses], lanes: int, width: int) -> int:
    """Block RAMs for the entries of a lane, estimated from the average lane."""
    entries = sum(len(synapses.weights.value) for synapses in edges)
    outputs = edges[0].outputs
    bits = 1 + width * max(s.bits for s in edges) + bits_for(sum(s.taps for s in edges))
    bits += bits_for(-(-outputs // (lanes * width)))
    return -(-(entries // lanes * 5 // 4) // BLOCK_WORDS) * -(-bits // BLOCK_BITS)


def check_steps(network: Network, steps: int) -> None:
    """Check that a pass of `steps` time steps is possible.

    Raises
    ------
    BadInput
        If the time steps are no multiple of it, or an edge is delayed.
    """
    most = network.timesteps
    fit = ", ".join(str(n) for n in range(1, most + 1) if most % n == 0 and n <= MAX_STEPS)
    for edge in network.edges:
        name = f"edge {edge.source!r} -> {edge.target!r}"
        require(
            steps == 1 or not edge.delay, name, "time steps a pass", steps, "1, as it is delayed"
        )
    require(1 <= steps <= MAX_STEPS and most % steps == 0, "network", "time steps a pass", steps,
            f"a divisor of its {most} time steps: {fit}")  # fmt: skip
