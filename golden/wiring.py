"""The engine's tables: what an event does, and where the neurons are.

**One wiring for every edge.** An event at a source address adds `taps` pieces of one weight row to
the drive, the first at `base[address]`, each next one `pitch` further on. Linear: one piece.
Convolution: one piece per kernel row, since the channels of a pixel lie side by side. (The
hardware's decoder has the same idea.) A pool belongs to its source: spikes are summed where they
leave.

**A halo instead of border tests.** The drive of a convolution has room for every target that a tap
could reach; the sweep over the neurons reads the valid middle only.

Neurons are numbered channel last: (y, x, channel). An input keeps its own order.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden.edges import Conv2d, Edge, Linear
from golden.network import Network
from golden.nodes import LIF, Input, Readout, Shape
from golden.widths import node_widths

Array = NDArray[Any]


class Wiring(NamedTuple):
    """What an event at an address adds to the drive; `weights` is int8 (rows, taps, span)."""

    row: Array
    base: Array
    weights: Array
    pitch: int


class Sheet(NamedTuple):
    """Where the neurons' drive lies: `rows` pieces of `width` from `offset` on, `pitch` apart."""

    size: int
    offset: int
    rows: int
    width: int
    pitch: int


class Exit(NamedTuple):
    """How spikes leave a map: summed over windows of ky x kx, which gives `places` sums."""

    ky: int
    kx: int
    height: int
    width: int
    channels: int
    places: int


class Constants(NamedTuple):
    """Constants of a node. `threshold` and `bias` are spread over one row of the sheet.

    A readout is a neuron with a threshold that is never reached and without a clamp.
    """

    threshold: Array
    bias: Array
    leak_mul: int
    leak_shift: int
    subtract: bool
    lowest: int
    highest: int


class Layer(NamedTuple):
    """One compiled edge (without its pool, which is its source's exit) and the node behind it."""

    wiring: Wiring
    sheet: Sheet
    constants: Constants
    exit: Exit
    empty_drive: Array
    neurons: int


def compiled(network: Network) -> list[Layer]:
    """The layers of a network, one per node behind the input."""
    proven = node_widths(network)
    following = [*network.edges[1:], None]
    layers: list[Layer] = []
    for place, (edge, after) in enumerate(zip(network.edges, following, strict=True)):
        source, node = network.nodes[place : place + 2]
        assert isinstance(node, LIF | Readout)
        wiring, sheet = _wire(edge, source.shape, channel_last=not isinstance(source, Input))
        bits = proven[node.name].drive_bits
        drive = np.zeros(0, np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64)
        constants, leave = _constants(node, sheet.width), _exit(node.shape, after)
        layers.append(Layer(wiring, sheet, constants, leave, drive, math.prod(node.shape)))
    return layers


def _wire(edge: Edge, shape: Shape, channel_last: bool) -> tuple[Wiring, Sheet]:
    """Compile an edge; addresses behind its pool count (y, x, channel) or (channel, y, x)."""
    shape = edge.pool.output_shape(shape) if edge.pool is not None else shape
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    channel, y, x = np.indices((channels, height, width))
    synapse = edge.synapse
    if synapse is None:
        row, base = np.zeros_like(y), (y * width + x) * channels + channel
        weights, pitch = np.ones((1, 1, 1), np.int8), 0
        sheet = Sheet(y.size, 0, 1, y.size, 0)
    elif isinstance(synapse, Linear):
        row, base = (channel * height + y) * width + x, np.zeros_like(y)
        weights, pitch = synapse.weight.T[:, None, :], 0
        sheet = Sheet(len(synapse.weight), 0, 1, len(synapse.weight), 0)
    else:
        out, _, ky, kx = synapse.weight.shape
        columns = width + kx - 1
        row, weights = channel, _kernel_rows(synapse)
        base, pitch = (y * columns + x) * out, columns * out
        halo_y, halo_x = ky - 1 - synapse.padding[0], kx - 1 - synapse.padding[1]
        _, rows, valid = synapse.output_shape(shape)
        sheet = Sheet(
            (height + ky - 1) * pitch, (halo_y * columns + halo_x) * out, rows, valid * out, pitch
        )

    def table(values: Array) -> Array:
        ordered = values.transpose(1, 2, 0) if channel_last else values
        return np.ascontiguousarray(ordered, np.int32).ravel()

    return Wiring(table(row), table(base), np.ascontiguousarray(weights), pitch), sheet


def _kernel_rows(synapse: Conv2d) -> Array:
    """Weights (in, kernel_y, kernel_x * out), both kernel axes turned round.

    An event at x reaches the targets x - tap: seen from the event, the kernel runs backwards.
    """
    out, channels, ky, kx = synapse.weight.shape
    return synapse.weight[:, :, ::-1, ::-1].transpose(1, 2, 3, 0).reshape(channels, ky, kx * out)


def _constants(node: LIF | Readout, width: int) -> Constants:
    never = np.iinfo(np.int64)
    threshold, subtract = np.full(node.shape[0], never.max), False
    lowest, highest = int(never.min), int(never.max)
    if isinstance(node, LIF):
        threshold, subtract = node.threshold, node.reset == "subtract"
        lowest, highest = node.lowest, node.highest
    repeats = width // node.shape[0]  # (x, channel): the channels again for every x
    spread = np.tile(threshold, repeats), np.tile(node.bias, repeats)
    return Constants(*spread, node.leak_mul, node.leak_shift, subtract, lowest, highest)


def _exit(shape: Shape, after: Edge | None) -> Exit:
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    ky, kx = after.pool.kernel_size if after is not None and after.pool is not None else (1, 1)
    return Exit(ky, kx, height, width, channels, (height // ky) * (width // kx) * channels)
