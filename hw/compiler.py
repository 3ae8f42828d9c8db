"""From the integer network to the memory image: rows, tables, lanes and widths.

Every kind of edge is lowered to the one idea `(row, base, valid taps)`: decoder tables turn an
event's position into a row and a base address, and a row lists `(tap, local channel, weight)`.
Kernel, stride, padding, groups and pooling are contents of those tables and rows, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.edges import Conv2d, Edge, Linear
from golden.errors import require
from golden.file import fingerprint
from golden.image import CoreImage, EdgeImage, Image, InputImage
from golden.network import Network
from golden.nodes import LIF, Input, Readout, Shape
from golden.rows import Entry, Layout, Memory, bits_for, pack_rows, signed_bits
from golden.widths import Widths, node_widths
from hw.lanes import assign_channels, lanes_of

MAX_CORES = 32
"""Cores whose counters `count_select` can name."""

MAX_WORDS = 1 << 16
"""Membrane words, pointers and entries that one lane can address."""


@dataclass(frozen=True, eq=False)
class Source:
    """The sender of a core's events: its map, its channel codes, and the fields of an event."""

    name: str
    shape: Shape
    codes: tuple[int, ...]
    event: Layout
    direct: bool = False
    signed: bool = False

    @property
    def size(self) -> tuple[int, int, int]:
        """The shape as (channels, height, width)."""
        channels, height, width = (*self.shape, 1, 1)[:3]
        return channels, height, width


@dataclass(frozen=True, eq=False)
class Synapses:
    """An edge as every core sees it: `weight` (out, in, position, tap) and how taps are placed.

    A window of `kernel` (rows, columns) lies every `stride` from `padding` (top, left) before the
    map's corner on; `pool` is the window before it. `positions` (rows, columns) is what of an
    event's position belongs to the row number: for a convolution (`moves`) the residue under the
    stride, since the rest moves the base; for a linear edge all of it.

    Under a stride of s, kernel row k is tap k div s of the events whose residue is k mod s: a row
    lists only the taps of its own residue. Groups are rows without the other groups' channels.
    """

    weight: NDArray[np.int64]
    bits: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    pool: tuple[int, int]
    positions: tuple[int, int]
    moves: bool

    @property
    def taps(self) -> tuple[int, int]:
        """The most kernel rows and columns that one event meets."""
        return (-(-self.kernel[0] // self.stride[0]), -(-self.kernel[1] // self.stride[1]))


def compile_network(network: Network, lanes: int | dict[str, int] = 8) -> Image:
    """Compile a network for cores of at most `lanes` lanes, or of the lanes given per node.

    Raises
    ------
    BadInput
        If a lane cannot hold its share of a node; the message names the node and the remedy.
    """
    count = len(network.nodes) - 1
    require(count <= MAX_CORES, "network", "number of cores", count, f"at most {MAX_CORES}")
    widths = node_widths(network)
    given = _input_image(network.input)
    source = Source(
        given.name, given.shape, tuple(range(given.shape[0])), given.event, given.direct,
        given.signed,
    )  # fmt: skip
    cores = []
    for edge, node in zip(network.edges, network.nodes[1:], strict=True):
        assert isinstance(node, LIF | Readout)
        core = _compile_core(edge, node, source, widths[node.name], lanes)
        cores.append(core)
        source = Source(node.name, node.shape, core.codes, core.event)
    return Image(network.timesteps, given, tuple(cores), fingerprint(network))


def _input_image(node: Input) -> InputImage:
    channels, height, width = (*node.shape, 1, 1)[:3]
    # A plain spike has no value field, and then its core has no multiplier.
    value = node.bits if node.bits > 1 or node.signed else 0
    event = Layout.of(x=bits_for(width), y=bits_for(height), c=bits_for(channels), value=value)
    return InputImage(node.name, node.shape, node.coding == "direct", event, node.signed)


def _lower(edge: Edge, source: Shape) -> Synapses:
    pool = edge.pool.kernel_size if edge.pool else (1, 1)
    channels, height, width = (*source, 1, 1)[:3]
    pooled = (height // pool[0], width // pool[1])
    synapse = edge.synapse
    if isinstance(synapse, Linear):
        weight = synapse.weight.astype(np.int64).reshape(-1, channels, pooled[0] * pooled[1], 1)
        one = (1, 1)
        return Synapses(weight, synapse.weight_bits, one, one, (0, 0), pool, pooled, False)
    if isinstance(synapse, Conv2d):
        kernel, stride, padding = synapse.weight.shape[2:], synapse.stride, synapse.padding
        weight = _by_residue(_ungrouped(synapse, channels), stride)
        return Synapses(
            weight, synapse.weight_bits, (kernel[0], kernel[1]), stride, (padding[0], padding[2]),
            pool, stride, True,
        )  # fmt: skip
    weight = np.eye(channels, dtype=np.int64)[:, :, None, None]
    return Synapses(weight, 2, (1, 1), (1, 1), (0, 0), pool, (1, 1), True)


def _ungrouped(synapse: Conv2d, channels: int) -> NDArray[np.int64]:
    """Weights (out, in, ky, kx) of all source channels: 0 from those of another group."""
    out, inputs, ky, kx = synapse.weight.shape
    weight = np.zeros((out, channels, ky, kx), np.int64)
    per_group = out // synapse.groups
    for group in range(synapse.groups):
        mine = slice(group * per_group, (group + 1) * per_group)
        weight[mine, group * inputs : (group + 1) * inputs] = synapse.weight[mine]
    return weight


def _by_residue(weight: NDArray[np.int64], stride: tuple[int, int]) -> NDArray[np.int64]:
    """Weights (out, in, residue, tap) from (out, in, ky, kx); 0 behind the kernel's end."""
    out, channels, ky, kx = weight.shape
    sy, sx = stride
    down, along = -(-ky // sy), -(-kx // sx)
    spread = np.zeros((out, channels, sy, sx, down, along), np.int64)
    for y, x in np.ndindex(ky, kx):
        spread[:, :, y % sy, x % sx, y // sy, x // sx] = weight[:, :, y, x]
    return spread.reshape(out, channels, sy * sx, down * along)


def _compile_core(
    edge: Edge, node: LIF | Readout, source: Source, widths: Widths, lanes: int | dict[str, int]
) -> CoreImage:  # fmt: skip
    where, lif = f"node {node.name!r}", node if isinstance(node, LIF) else None
    synapses = _lower(edge, source.shape)
    kept = np.count_nonzero(synapses.weight, axis=(1, 2, 3))
    rows = synapses.weight.shape[1] * synapses.weight.shape[2]
    count = lanes_of(lanes, node.name, len(kept), float(kept.sum()) / rows)
    # Logits carry their class number, so the classes of a readout keep their order.
    codes = assign_channels(kept, count) if lif else tuple(range(len(kept)))
    require(
        lif is not None or count & (count - 1) == 0,
        where,
        "lanes",
        count,
        "a power of two for a readout",
    )
    local = -(-len(kept) // count)
    channels, height, width = (*node.shape, 1, 1)[:3]
    words = height * width * local
    fit = min(len(kept), -(-channels * height * width // MAX_WORDS))
    require(words <= MAX_WORDS, where, f"membrane words in each of {count} lanes", words,
            f"at most {MAX_WORDS}; it takes at least {fit} lanes, or a smaller map")  # fmt: skip
    row_bits = bits_for(synapses.positions[0] * synapses.positions[1])
    memories = _tables(synapses, source, (height, width), local)
    memories |= _lane_rows(synapses, source, codes, count, local, row_bits, where)
    memories |= _lane_constants(node, codes, count, local)
    return CoreImage(
        node=node.name, kind="lif" if lif else "readout", shape=node.shape,
        lanes=count, local_channels=local, codes=codes, window=(1, 1),
        edges=(EdgeImage(
            source.name, 0, 0, source.direct, source.event, source.signed, row_bits, 0
        ),),
        leak_mul=node.leak_mul, leak_shift=node.leak_shift,
        reset=lif.reset if lif else "none", clamp_bits=lif.membrane_bits if lif else 0,
        state_bits=widths.state_bits, acc_bits=widths.acc_bits, drive_bits=widths.drive_bits,
        memories=memories,
    )  # fmt: skip


def _tables(
    synapses: Synapses, source: Source, size: tuple[int, int], local: int
) -> dict[str, Memory]:
    """The decoder's two tables and the taps: all that depends on geometry."""
    height, width = size
    address_bits = max(bits_for(height * width * local), 1)
    row_bits = bits_for(synapses.positions[0] * synapses.positions[1])
    names = ("table_y_0", "table_x_0")
    base_steps, row_steps = (width * local, local), (synapses.positions[1], 1)
    memories = {}
    for axis, name in enumerate(names):
        taps, stride, pool = synapses.taps[axis], synapses.stride[axis], synapses.pool[axis]
        pooled = np.arange(source.size[1 + axis]) // pool
        inside = pooled < source.size[1 + axis] // pool
        window, residue = np.divmod(pooled + synapses.padding[axis], stride)
        mask = np.zeros_like(pooled)
        for tap in range(taps):
            target = window - tap
            exists = tap * stride + residue < synapses.kernel[axis]
            # A row-addressed map (Linear) has no target position: all of it is one tap.
            hit = exists & (target >= 0) & (target < size[axis]) if synapses.moves else True
            mask |= (inside & hit).astype(np.int64) << tap
        row = (residue if synapses.moves else pooled * inside) * row_steps[axis]
        base = window * base_steps[axis] if synapses.moves else np.zeros_like(pooled)
        layout = Layout.of(mask=taps, row=row_bits, base=address_bits)
        memories[name] = Memory(layout, layout.pack(mask=mask, row=row, base=base))
    ky, kx = (k.reshape(-1) for k in np.indices(synapses.taps))
    offset = -(ky * width + kx) * local
    layout = Layout.of(
        offset=address_bits, ky=bits_for(synapses.taps[0]), kx=bits_for(synapses.taps[1])
    )
    memories["taps"] = Memory(layout, layout.pack(offset=offset, ky=ky, kx=kx))
    return memories


def _lane_rows(
    synapses: Synapses, source: Source, codes: tuple[int, ...], lanes: int, local: int,
    row_bits: int, where: str,
) -> dict[str, Memory]:  # fmt: skip
    """Pointer and entry memory of every lane."""
    lane_bits = bits_for(lanes)
    depth = (max(source.codes) + 1) << row_bits
    require(
        depth <= MAX_WORDS, where, "rows", depth, f"at most {MAX_WORDS}; pool or narrow the source"
    )
    rows: list[list[list[Entry]]] = [[[] for _ in range(depth)] for _ in range(lanes)]
    for channel, position, tap, out in np.argwhere(synapses.weight.transpose(1, 2, 3, 0)):
        row = (source.codes[channel] << row_bits) | int(position)
        code = codes[out]
        weight = int(synapses.weight[out, channel, position, tap])
        rows[code & ((1 << lane_bits) - 1)][row].append((int(tap), code >> lane_bits, weight))
    tap_bits, channel_bits = bits_for(synapses.weight.shape[3]), bits_for(local)
    memories = {}
    for lane in range(lanes):
        pair = pack_rows(rows[lane], tap_bits, channel_bits, synapses.bits)
        memories[f"pointers_{lane}"], memories[f"entries_{lane}"] = pair
        entries = len(pair[1].words)
        require(entries <= MAX_WORDS, where, f"weight entries in lane {lane} of {lanes}", entries,
                f"at most {MAX_WORDS}; take more lanes or prune more")  # fmt: skip
    return memories


def _lane_constants(
    node: LIF | Readout, codes: tuple[int, ...], lanes: int, local: int
) -> dict[str, Memory]:
    """Threshold and bias of every local channel; a padding channel can never fire."""
    channels = len(codes)
    bias = np.zeros((lanes, local), np.int64)
    threshold = np.ones((lanes, local), np.int64)
    lif = isinstance(node, LIF)
    for channel in range(channels):
        lane, place = (
            codes[channel] & ((1 << bits_for(lanes)) - 1),
            codes[channel] >> bits_for(lanes),
        )
        bias[lane, place] = node.bias[channel]
        threshold[lane, place] = node.threshold[channel] if lif else 0
    layout = Layout.of(
        threshold=int(threshold.max()).bit_length() if lif else 0,
        bias=signed_bits(int(bias.min()), int(bias.max())),
    )
    packed = layout.pack(threshold=threshold, bias=bias)
    return {f"constants_{lane}": Memory(layout, packed[lane]) for lane in range(lanes)}
