"""From nonzero weights to the row memories of the lanes, in the format with the fewest bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikewright.golden.arrays import Bools, Ints
from spikewright.golden.bits import bits_for
from spikewright.golden.errors import require
from spikewright.golden.image.rows import (
    LONG,
    Entries,
    Layout,
    Memory,
    entry_layout,
    pack_entries,
    pack_pointers,
)
from spikewright.hw.compiler.lower import Synapses

MAX_BITS = 256
"""The most bits of an entry."""

MAX_WORDS = 1 << 20
"""The most membrane words, rows or entries that one lane can address."""


@dataclass(frozen=True, eq=False)
class Arrival:
    """An edge as packed by its core: rows from `row_start`, taps from `tap_start` on."""

    synapses: Synapses
    codes: Ints
    row_start: int
    tap_start: int
    reloadable: bool

    @property
    def rows(self) -> int:
        """Row numbers that its events may have, from `row_start` on.

        Which codes are free depends on the weights; with `reloadable` all of them count.
        """
        positions = self.synapses.positions[0] * self.synapses.positions[1]
        last = int(self.codes.max())
        last = (1 << last.bit_length()) - 1 if self.reloadable else last
        return (last << self.synapses.row_bits) + positions

    @property
    def used(self) -> Ints:
        """The row numbers that events use."""
        (mask_y, y, _), (mask_x, x, _) = self.synapses.axis(0), self.synapses.axis(1)
        position = np.unique(np.add.outer(y[mask_y != 0], x[mask_x != 0]))
        code = self.codes[:, None] << self.synapses.row_bits
        return (self.row_start + (code | position)).reshape(-1)


@dataclass(frozen=True, eq=False)
class Packed:
    """The row memories of a core; `row_lengths` as in `golden.image.memory_image.CoreImage`."""

    memories: dict[str, Memory]
    relative: bool
    row_lengths: tuple[int | None, ...]


def arrivals(
    edges: Sequence[Synapses], codes: Sequence[tuple[int, ...]], reloadable: bool
) -> list[Arrival]:
    """The edges of a core, with rows and taps numbered edge after edge."""
    packed_edges: list[Arrival] = []
    row = tap = 0
    for synapses, sender in zip(edges, codes, strict=True):
        packed_edges.append(Arrival(synapses, np.array(sender, np.int64), row, tap, reloadable))
        row, tap = row + packed_edges[-1].rows, tap + synapses.taps
    return packed_edges


def pack_lanes(
    where: str, edges: Sequence[Arrival], codes: tuple[int, ...], lanes: int, width: int,
    local: int, reloadable: bool,
) -> Packed:  # fmt: skip
    """Pointer and entry memories of every lane; `width` weights in an entry.

    Entries are absolute or relative, whichever takes fewer bits over all lanes. A lane whose used
    rows have equal length has no pointers and flags, if the entries of unused rows between
    them take fewer bits than the pointers would. With `reloadable`, entries are absolute, and all
    lanes have pointers and flags.

    Raises
    ------
    BadInput
        If a lane cannot address its rows or entries, or these would be too wide.
    """
    depth = edges[-1].row_start + edges[-1].rows
    require(depth <= MAX_WORDS, where, "rows", depth,
            f"at most {MAX_WORDS}; pool or narrow the source")  # fmt: skip
    channel_bits = bits_for(local)
    used = np.zeros(depth, bool)
    for edge in edges:
        used[edge.used] = True
    parts = _by_lane(edges, codes, lanes, width, channel_bits, used)
    most = max(len(part.row) for part in parts)
    fit = min(len(codes), -(-sum(len(part.row) for part in parts) // MAX_WORDS))
    require(most <= MAX_WORDS, where, f"weight entries in a lane, of {lanes},", most,
            f"at most {MAX_WORDS}; take at least {fit} lanes, or prune more")  # fmt: skip
    weight = width * max(edge.synapses.bits for edge in edges)
    tap_bits = bits_for(edges[-1].tap_start + edges[-1].synapses.taps)
    skip = max(int(part.skips.max(initial=0)) for part in parts).bit_length()
    relative = not reloadable and skip < tap_bits + channel_bits
    bits = 1 + min(skip, tap_bits + channel_bits) + weight
    require(bits <= MAX_BITS, where, f"bits of an entry of {width} channels", bits,
            f"at most {MAX_BITS}; take {_fitting(width, bits, weight)} channels")  # fmt: skip
    memories: dict[str, Memory] = {}
    row_lengths: list[int | None] = []
    for lane, part in enumerate(parts):
        lengths = part.lengths(depth)

        def layout(last: bool) -> Layout:
            return entry_layout(tap_bits, channel_bits, weight, skip if relative else None, last)

        pointers, flagged = pack_pointers(lengths)
        equal = None if reloadable else _equal_length(lengths[used])
        entry_bits = layout(False).width
        if equal is not None and (depth * equal - len(part.row)) * entry_bits < pointers.bits:
            memories[f"entries_{lane}"] = pack_entries(
                _spread(part, equal), layout(False), channel_bits, flagged[:0]
            )
        else:
            equal = None
            memories[f"pointers_{lane}"] = pointers
            memories[f"entries_{lane}"] = pack_entries(
                part, layout(reloadable or int(lengths.max()) >= LONG), channel_bits, flagged
            )
        row_lengths.append(equal)
    return Packed(memories, relative, tuple(row_lengths))


def _by_lane(
    edges: Sequence[Arrival], codes: tuple[int, ...], lanes: int, width: int, channel_bits: int,
    used: Bools,
) -> list[Entries]:  # fmt: skip
    """The entries of every lane, sorted by row, then dense index; rows without events get none."""
    target = np.array(codes, np.int64)
    fields: list[tuple[Ints, Ints, Ints, Ints]] = []
    for edge in edges:
        weights, bits = edge.synapses.weights, edge.synapses.row_bits
        row = edge.row_start + (edge.codes[weights.channel] << bits | weights.position)
        local, column = np.divmod(target[weights.out], 1 << bits_for(lanes * width))
        dense_index = (edge.tap_start + weights.tap) << channel_bits | local
        fields.append((row, dense_index, column, weights.value))
    row, dense_index, column, value = (np.concatenate(parts) for parts in zip(*fields, strict=True))
    lane, member = np.divmod(column, width)
    order = np.lexsort((dense_index, row, lane))
    order = order[used[row[order]]]
    row, dense_index, lane, member, value = (
        field[order] for field in (row, dense_index, lane, member, value)
    )
    # Weights of one word are one entry.
    new = (np.diff(row) != 0) | (np.diff(dense_index) != 0) | (np.diff(lane) != 0)
    first = np.flatnonzero(np.append(True, new)[: len(row)])
    weight = np.zeros((len(first), width), np.int64)
    weight[np.searchsorted(first, np.arange(len(row)), "right") - 1, member] = value
    ends = np.searchsorted(lane[first], np.arange(1, lanes))
    parts = (np.split(field, ends) for field in (row[first], dense_index[first], weight))
    return [Entries(*part) for part in zip(*parts, strict=True)]


def _fitting(width: int, bits: int, weight: int) -> int:
    """The most channels, a power of two, with at most `MAX_BITS` per entry."""
    while bits > MAX_BITS and width > 1:
        width, bits, weight = width // 2, bits - weight // 2, weight // 2
    return width


def _equal_length(lengths: Ints) -> int | None:
    """The length that all rows have, None if they differ or are empty."""
    same = len(lengths) > 0 and lengths[0] > 0 and (lengths == lengths[0]).all()
    return int(lengths[0]) if same else None


def _spread(part: Entries, length: int) -> Entries:
    """The entries at row * length, with zeros in unused rows."""
    depth = int(part.row[-1]) + 1
    row = np.repeat(np.arange(depth), length)
    dense_index = np.zeros(len(row), np.int64)
    weight = np.zeros((len(row), part.weight.shape[1]), np.int64)
    within = np.arange(len(part.row)) % length
    dense_index[:] = np.tile(np.arange(length), depth)
    dense_index[part.row * length + within] = part.dense_index
    weight[part.row * length + within] = part.weight
    return Entries(row, dense_index, weight)
