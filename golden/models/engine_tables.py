"""The engine's tables: the weights that an event adds, and where the neurons are.

**One wiring for every edge.** An event at a source address adds `taps` pieces of one weight row to
the drive, piece `tap` at `base[address] + reach[tap]`. Linear: one piece. Convolution: one piece
per kernel row, since the channels of a pixel are adjacent; in groups, where an event reaches only
some of a pixel's channels, one piece per kernel position. Under a stride of s, events at s
neighbouring positions meet s different shares of the kernel, and each share has a weight row of its
own. (The hardware's decoder has the same idea.) A pool belongs to its source: spikes are summed, or
combined by OR, before they are sent.

**A halo instead of border tests.** The drive of a convolution has room for every target that a tap
could reach; the sweep over the neurons reads the valid middle only.

Neurons are numbered channel last: (y, x, channel). An input keeps its own order.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from spikewright.golden.arrays import Array
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout, Shape
from spikewright.golden.network.widths import node_widths


class Wiring(NamedTuple):
    """What an event at an address adds to the drive; `weights` is int8 (rows, taps, span)."""

    row: Array
    base: Array
    weights: Array
    reach: Array


class Sheet(NamedTuple):
    """Where the neurons' drive is: `rows` pieces of `width` from `offset` on, `pitch` apart."""

    size: int
    offset: int
    rows: int
    width: int
    pitch: int


class Pooling(NamedTuple):
    """How a source's events leave it: pooled over windows of ky x kx, which gives `outputs` values.

    `highest` bounds a value: 1 where a window's spikes are combined by OR. 1 x 1: not pooled.
    """

    ky: int
    kx: int
    height: int
    width: int
    channels: int
    outputs: int
    highest: int


class Constants(NamedTuple):
    """Constants of a node. `threshold` and `bias` are spread over one row of the map.

    A readout is a neuron with a threshold that is never reached and without a clamp.
    """

    threshold: Array
    bias: Array
    leak_mul: int
    leak_shift: int
    subtract: bool
    lowest: int
    highest: int


class Route(NamedTuple):
    """One compiled edge, without its pool, which belongs to its source.

    `source` is an index into the network's nodes, `pooling` into the source's poolings; a `delayed`
    route carries the events of the previous step. `drive` is an empty array of the type that holds
    the target's drive.
    """

    source: int
    pooling: int
    delayed: bool
    wiring: Wiring
    sheet: Sheet
    drive: Array


class Layer(NamedTuple):
    """A node, the routes into it, and the poolings of its events; an input has no routes."""

    name: str
    shape: Shape
    neurons: int
    routes: tuple[Route, ...]
    constants: Constants | None
    poolings: tuple[Pooling, ...]


def compiled(network: Network) -> list[Layer]:
    """The layers of a network, one per node, in order."""
    proven = node_widths(network)
    indices = {node.name: index for index, node in enumerate(network.nodes)}
    poolings = {node.name: _poolings(node, network.out_of(node.name)) for node in network.nodes}
    layers: list[Layer] = []
    for node in network.nodes:
        routes: list[Route] = []
        for edge in network.into(node.name):
            source = network.node(edge.source)
            wiring, sheet = _wire(edge, source.shape, not isinstance(source, Input))
            bits = proven[node.name].sum_bits
            drive = np.zeros(0, np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64)
            pooling = poolings[edge.source].index(_pooling(source, edge))
            delayed = edge.delay == 1
            routes.append(Route(indices[edge.source], pooling, delayed, wiring, sheet, drive))
        constants = None if isinstance(node, Input) else _constants(node)
        layers.append(Layer(node.name, node.shape, math.prod(node.shape), tuple(routes), constants,
                            poolings[node.name]))  # fmt: skip
    return layers


def _wire(edge: Edge, shape: Shape, channel_last: bool) -> tuple[Wiring, Sheet]:
    """Compile an edge; pooled addresses count (y, x, channel) or (channel, y, x)."""
    shape = edge.pool.output_shape(shape) if edge.pool is not None else shape
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    channel, y, x = np.indices((channels, height, width))
    synapse = edge.synapse
    if synapse is None or isinstance(synapse, Identity):
        gain = np.ones(channels, np.int8) if synapse is None else synapse.gain
        row, base = channel, (y * width + x) * channels + channel
        weights, reach = gain[:, None, None], [0]
        sheet = Sheet(y.size, 0, height, width * channels, width * channels)
    elif isinstance(synapse, Linear):
        row, base = (channel * height + y) * width + x, np.zeros_like(y)
        weights, reach = synapse.weight.T[:, None, :], [0]
        sheet = Sheet(len(synapse.weight), 0, 1, len(synapse.weight), 0)
    else:
        _, rows, columns = synapse.output_shape(shape)
        down = _axis(height, synapse.weight.shape[2], synapse.padding[0], synapse.stride[0])
        along = _axis(width, synapse.weight.shape[3], synapse.padding[2], synapse.stride[1])
        out, per_group = len(synapse.weight), len(synapse.weight) // synapse.groups
        pitch = along.length * out
        row = (channel * synapse.stride[0] + down.share[y]) * synapse.stride[1] + along.share[x]
        group = channel // synapse.weight.shape[1]
        base = down.base[y] * pitch + along.base[x] * out + group * per_group
        weights = _kernel_shares(synapse, down.taps, along.taps)
        reach = np.add.outer(np.arange(down.taps) * pitch, np.arange(along.taps) * out)
        reach = reach[:, 0] if synapse.groups == 1 else reach.ravel()
        offset = down.halo * pitch + along.halo * out
        sheet = Sheet(down.length * pitch, offset, rows, columns * out, pitch)

    def table(values: Array) -> Array:
        ordered = values.transpose(1, 2, 0) if channel_last else values
        return np.ascontiguousarray(ordered, np.int32).ravel()

    rows_of_weights = np.ascontiguousarray(weights)
    return Wiring(table(row), table(base), rows_of_weights, np.array(reach, np.int64)), sheet


class _Axis(NamedTuple):
    """One axis of a convolution: per source position its `share` of the kernel and its `base`.

    An event at source position i, p = i + padding, meets the kernel positions k = p mod stride,
    + stride, + 2 stride ... : `taps` of them (some may lie beyond the kernel's end). They lead to
    the targets (p - k) / stride, `taps` neighbours. Of the `length` positions that any tap reaches,
    `halo` lie before target 0.
    """

    share: Array
    base: Array
    taps: int
    length: int
    halo: int


def _axis(sources: int, kernel: int, padding: int, stride: int) -> _Axis:
    taps = (kernel + stride - 1) // stride
    window, share = np.divmod(np.arange(padding, padding + sources), stride)
    first = padding // stride  # nothing comes before the first source position
    return _Axis(share, window - first, taps, int(window[-1]) - first + taps, taps - 1 - first)


def _kernel_shares(synapse: Conv2d, down: int, along: int) -> Array:
    """Weight rows (in * stride_y * stride_x, taps, span), the kernel reversed in both axes.

    `down` and `along` are the taps of each axis. Tap t of an event reaches the target t positions
    before the event's own, so the kernel runs backwards.
    """
    out, inputs, ky, kx = synapse.weight.shape
    (sy, sx), groups = synapse.stride, synapse.groups
    weight = np.pad(synapse.weight, ((0, 0), (0, 0), (0, down * sy - ky), (0, along * sx - kx)))
    split = weight.reshape(groups, out // groups, inputs, down, sy, along, sx)
    turned = split[:, :, :, ::-1, :, ::-1].transpose(0, 2, 4, 6, 3, 5, 1)
    taps = down if groups == 1 else down * along
    return turned.reshape(groups * inputs * sy * sx, taps, -1)


def _constants(node: LIF | Readout) -> Constants:
    never = np.iinfo(np.int64)
    threshold, subtract = np.full(node.shape[0], never.max), False
    lowest, highest = int(never.min), int(never.max)
    if isinstance(node, LIF):
        threshold, subtract = node.threshold, node.reset == "subtract"
        lowest, highest = node.lowest, node.highest
    repeats = node.shape[-1] if len(node.shape) == 3 else 1
    spread = np.tile(threshold, repeats), np.tile(node.bias, repeats)
    return Constants(*spread, node.leak_mul, node.leak_shift, subtract, lowest, highest)


def _poolings(node: Node, edges: tuple[Edge, ...]) -> tuple[Pooling, ...]:
    """The different poolings of a node's events; the 1 x 1 pooling alone if nothing leaves it."""
    return tuple(dict.fromkeys(_pooling(node, edge) for edge in edges)) or (_pooling(node, None),)


def _pooling(node: Node, edge: Edge | None) -> Pooling:
    channels, height, width = (*node.shape, 1, 1)[:3]
    pool = edge.pool if edge is not None else None
    (ky, kx) = pool.kernel_size if pool is not None else (1, 1)
    highest = 1 if pool is None or isinstance(pool, MaxPool2d) else ky * kx
    outputs = (height // ky) * (width // kx) * channels
    return Pooling(ky, kx, height, width, channels, outputs, highest)
