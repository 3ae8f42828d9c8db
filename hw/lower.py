"""Edges lowered to the one idea of the machine: an event owns a row, a base address, valid taps.

Kernel, stride, padding, groups, pooling and gains are contents of tables and rows, nothing else.
Weights stay a list of the nonzero ones: nothing here grows with neurons x neurons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from golden.edges import Conv2d, Edge, Linear, SumPool2d
from golden.nodes import Shape
from golden.rows import bits_for

Ints = NDArray[np.int64]

UNROLLED = 16
"""The most positions of a map whose convolution may be lowered to rows of their own."""


@dataclass(frozen=True, eq=False)
class Weights:
    """The nonzero weights of an edge, as arrays of one length.

    Of the row of source channel `channel` and position `position`, tap `tap` adds `value` to
    target channel `out`.
    """

    channel: Ints
    position: Ints
    tap: Ints
    out: Ints
    value: Ints


@dataclass(frozen=True, eq=False)
class Synapses:
    """An edge as every core sees it.

    A window of `kernel` (rows, columns) lies every `stride` from `padding` (top, left) before the
    map's corner on; `pool` is the window before it, `source` the map before both, `target` the map
    behind, of `outputs` channels. `positions` (rows, columns) is what of an event's position
    belongs to the row number: for a convolution (`moves`) the residue under the stride, since the
    rest moves the base; for a linear edge, or a convolution `unrolled`, all of it, and then a tap
    is a position of the target.

    Under a stride of s, kernel row k is tap k div s of the events whose residue is k mod s: a row
    lists only the taps of its own residue. Groups are rows without the other groups' channels.
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
    unrolled: bool = False

    @property
    def grid(self) -> tuple[int, int]:
        """The most kernel rows and columns that one event meets; their bits in the masks."""
        if not self.moves:
            return (1, 1)
        return (-(-self.kernel[0] // self.stride[0]), -(-self.kernel[1] // self.stride[1]))

    @property
    def taps(self) -> int:
        """The taps that entries may name."""
        rows, columns = self.grid if self.moves else self.target
        return rows * columns

    @property
    def row_bits(self) -> int:
        """Bits of a position in the row number."""
        return bits_for(self.positions[0] * self.positions[1])

    def axis(self, axis: int) -> tuple[Ints, Ints, Ints]:
        """Of every source row (axis 0) or column: mask of valid taps, row part, target place."""
        taps, stride, pool = self.grid[axis], self.stride[axis], self.pool[axis]
        pooled = np.arange(self.source[axis]) // pool
        inside = pooled < self.source[axis] // pool
        window, residue = np.divmod(pooled + self.padding[axis], stride)
        mask = np.zeros_like(pooled)
        for tap in range(taps):
            target = window - tap
            exists = tap * stride + residue < self.kernel[axis]
            # A row-addressed map has no target position: all of it is one tap.
            hit = exists & (target >= 0) & (target < self.target[axis]) if self.moves else True
            mask |= (inside & hit).astype(np.int64) << tap
        row = residue if self.moves else pooled * inside
        place = window if self.moves else np.zeros_like(pooled)
        return mask, row * (self.positions[1], 1)[axis], place


def lower(edge: Edge, shape: Shape) -> Synapses:
    """Lower an edge whose sender sends a map of `shape`, behind the windows that its sweep merges.

    So nothing is left of a max pool here.
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
    """Every channel to itself: a depthwise convolution of 1 x 1."""
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


def unrolled(synapses: Synapses, synapse: Conv2d) -> Synapses:
    """A convolution with one row per source position, of the targets that it really reaches."""
    out, channel, y, x, value = _kernel_weights(synapse)
    pooled = tuple(side // pool for side, pool in zip(synapses.source, synapses.pool, strict=True))
    (step_y, step_x), (top, left) = synapses.stride, synapses.padding
    ty, tx = (place.reshape(-1, 1) for place in np.indices(synapses.target))
    sy, sx = ty * step_y + y - top, tx * step_x + x - left
    tap, which = np.nonzero((sy >= 0) & (sy < pooled[0]) & (sx >= 0) & (sx < pooled[1]))
    position = sy[tap, which] * pooled[1] + sx[tap, which]
    weights = Weights(channel[which], position, tap, out[which], value[which])
    one = (1, 1)
    return replace(
        synapses, weights=weights, kernel=one, stride=one, padding=(0, 0),
        positions=(pooled[0], pooled[1]), moves=False, unrolled=True,
    )  # fmt: skip
