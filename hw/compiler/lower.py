"""Lowers every edge to one form: an event selects a row, a base address, and valid taps.

Kernel, stride, padding, groups, pooling and gains become contents of tables and rows only. Weights
are lists of the nonzero ones, so nothing here grows with neurons x neurons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikewright.golden.arrays import Ints
from spikewright.golden.bits import bits_for
from spikewright.golden.network.edges import Conv2d, Edge, Linear, SumPool2d
from spikewright.golden.network.nodes import Shape


@dataclass(frozen=True, eq=False)
class Weights:
    """The nonzero weights of an edge, as arrays of one length.

    In the row of source channel `channel` and position `position`, tap `tap` adds `value` to
    target channel `out`.
    """

    channel: Ints
    position: Ints
    tap: Ints
    out: Ints
    value: Ints


@dataclass(frozen=True, eq=False)
class Synapses:
    """A lowered edge: the uniform form of all kinds of edges.

    Windows of `kernel` (rows, columns) start at every multiple of `stride`, from `padding` (top,
    left) before the map's corner on; `pool` is the pooling window before them, `source` the map
    before both, `target` the map after both, of `outputs` channels. `positions` (rows, columns)
    counts the values of an event's position that select its row: for a convolution (`moves`) the
    residue under the stride, since the quotient moves the base; for a linear edge the whole
    position. `parts` gives it explicitly for each source row and column (see `bordered`).

    Under a stride of s, kernel row k is tap k div s of the events whose residue is k mod s: a row
    lists only the taps of its own residue. With groups, a row lists only the channels of its own
    group.
    """

    weights: Weights
    bits: int
    channels: int
    outputs: int
    source: tuple[int, int]
    target: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    pool: tuple[int, int]
    positions: tuple[int, int]
    moves: bool
    parts: tuple[Ints | None, Ints | None] = (None, None)

    @property
    def grid(self) -> tuple[int, int]:
        """The most kernel rows and columns that one event meets; their bits in the masks."""
        if not self.moves:
            return (1, 1)
        return (-(-self.kernel[0] // self.stride[0]), -(-self.kernel[1] // self.stride[1]))

    @property
    def taps(self) -> int:
        """The taps that entries may name."""
        return self.grid[0] * self.grid[1]

    @property
    def row_bits(self) -> int:
        """Bits of a position in the row number."""
        return bits_for(self.positions[0] * self.positions[1])

    def axis(self, axis: int) -> tuple[Ints, Ints, Ints]:
        """Of every source row (axis 0) or column: mask of valid taps, row part, target position."""
        taps, stride, pool = self.grid[axis], self.stride[axis], self.pool[axis]
        pooled = np.arange(self.source[axis]) // pool
        inside = pooled < self.source[axis] // pool
        window, residue = np.divmod(pooled + self.padding[axis], stride)
        mask = np.zeros_like(pooled)
        for tap in range(taps):
            target = window - tap
            exists = tap * stride + residue < self.kernel[axis]
            # In a linear edge the position selects the row: one tap and no target position.
            hit = exists & (target >= 0) & (target < self.target[axis]) if self.moves else True
            mask |= (inside & hit).astype(np.int64) << tap
        part = self.parts[axis]
        row = part if part is not None else residue if self.moves else pooled * inside
        start = window if self.moves else np.zeros_like(pooled)
        return mask, row * (self.positions[1], 1)[axis], start


def lower(edge: Edge, shape: Shape) -> Synapses:
    """Lower an edge; `shape` is the sender's map after the windows that its sweep merges.

    So a max pool needs no lowering.
    """
    channels, height, width = (*shape, 1, 1)[:3]
    pool = edge.pool.kernel_size if isinstance(edge.pool, SumPool2d) else (1, 1)
    pooled = (height // pool[0], width // pool[1])
    synapse, one = edge.synapse, (1, 1)
    plain = Synapses(
        _diagonal(np.ones(channels, np.int64)), 2, channels, channels, (height, width), pooled,
        one, one, (0, 0), pool, one, True,
    )  # fmt: skip
    if synapse is None:
        return plain
    plain = replace(plain, bits=synapse.weight_bits)
    if isinstance(synapse, Linear):
        out, source = np.nonzero(synapse.weight)
        channel, position = np.divmod(source, pooled[0] * pooled[1])
        value = synapse.weight[out, source].astype(np.int64)
        weights = Weights(channel, position, np.zeros_like(out), out, value)
        outputs = len(synapse.weight)
        return replace(
            plain, weights=weights, outputs=outputs, target=one, positions=pooled, moves=False
        )
    if not isinstance(synapse, Conv2d):
        return replace(plain, weights=_diagonal(synapse.gain.astype(np.int64)))
    outputs, rows, columns = synapse.output_shape((channels, *pooled))
    kernel, padding = synapse.weight.shape[2:], synapse.padding
    return replace(
        plain, weights=_by_residue(synapse), outputs=outputs, target=(rows, columns),
        kernel=(kernel[0], kernel[1]), stride=synapse.stride, padding=(padding[0], padding[2]),
        positions=synapse.stride,
    )  # fmt: skip


def _diagonal(gain: Ints) -> Weights:
    """A depthwise convolution of 1 x 1."""
    channel = np.flatnonzero(gain)
    zero = np.zeros_like(channel)
    return Weights(channel, zero, zero, channel, gain[channel])


def _kernel_weights(synapse: Conv2d) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """(out, source channel, kernel row, kernel column, value) of every nonzero weight."""
    targets, inputs = synapse.weight.shape[:2]
    out, within, y, x = np.nonzero(synapse.weight)
    group = out // (targets // synapse.groups)
    return out, group * inputs + within, y, x, synapse.weight[out, within, y, x].astype(np.int64)


def _by_residue(synapse: Conv2d) -> Weights:
    """Rows by channel and residue, entries by tap."""
    out, channel, y, x, value = _kernel_weights(synapse)
    sy, sx = synapse.stride
    along = -(-synapse.weight.shape[3] // sx)
    return Weights(channel, y % sy * sx + x % sx, y // sy * along + x // sx, out, value)


def bordered(synapses: Synapses, axes: tuple[bool, bool]) -> Synapses:
    """A convolution with border rows: separate rows for source rows, or columns, near a border.

    They list only the taps that lie inside the map there, so no lane walks the others. The cost is
    copies of weights: those of a 3 x 3 kernel become 7/3 as many along one axis, 49/9 along
    both. On a map so small that every position is near a border, there is one row per position.
    """
    weights, along = synapses.weights, synapses.grid[1]
    residue = np.divmod(weights.position, synapses.positions[1])
    tap = np.divmod(weights.tap, along)
    which, number = np.arange(len(weights.value)), np.zeros_like(weights.position)
    parts: list[Ints] = []
    sizes: list[int] = []
    for axis, wanted in enumerate(axes):
        part, kinds, masks = _kinds(synapses, axis, wanted)
        hit = kinds == residue[axis][which][:, None]
        hit &= (masks >> tap[axis][which][:, None] & 1) == 1
        entry, kind = np.nonzero(hit)
        which, number = which[entry], number[entry] * len(kinds) + kind
        parts.append(part)
        sizes.append(len(kinds))
    copied = Weights(
        weights.channel[which], number, weights.tap[which], weights.out[which],
        weights.value[which],
    )  # fmt: skip
    return replace(
        synapses, weights=copied, positions=(sizes[0], sizes[1]), parts=(parts[0], parts[1])
    )


def _kinds(synapses: Synapses, axis: int, wanted: bool) -> tuple[Ints, Ints, Ints]:
    """The kinds of source rows (axis 0) or columns: (kind of each, residue and mask of each kind).

    If not `wanted`, rows differ in their residue only, as in `lower`.
    """
    mask, row, _ = synapses.axis(axis)
    residue = row // (synapses.positions[1], 1)[axis]
    if not wanted or not mask.any():
        every = np.arange(synapses.positions[axis])
        return residue, every, np.full(len(every), (1 << synapses.grid[axis]) - 1)
    pairs, part = np.unique(np.stack([residue, mask]), axis=1, return_inverse=True)
    kept = pairs[1] != 0  # events without a valid tap are dropped: their row does not matter
    kind = np.cumsum(kept) - 1
    return np.maximum(kind[part.reshape(-1)], 0), pairs[0][kept], pairs[1][kept]
