"""Packed memory words, and the row format in which a lane keeps its weights.

A row is the list of `(tap, channel, weights)` that one presynaptic address owns in one lane, in the
order of the dense index `tap << channel_bits | channel`; it has a weight for each neuron of a
membrane word. The entry memory holds row after row. An entry encodes its dense index absolutely, by
the fields `tap` and `channel`; or relatively, by `skip`, the number of indices between it and the
previous entry (a dense row needs no bits for that).

A pointer word holds the start of a row and whether it has 0, 1, 2, 3 or "4 and more" entries. A row
of four or more marks its fourth last entry with `last`: a walker that reads one entry per cycle
through a memory of two cycles latency, and keeps the flag in a register, has it exactly when it
issues the row's final address, so rows follow each other without a bubble. Where
all rows of a lane have the same length there are neither pointers nor flags: row r starts at r
times that length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spikewright.golden.arrays import Array, Ints
from spikewright.golden.bits import bits_for

LONG = 4
"""The pointer's `count` for a row of four or more entries."""

COUNT_BITS = 3
"""Bits of the pointer's `count`."""

MACHINE_BITS = 63
"""The widest word that a NumPy integer holds."""

Words = Ints
"""Words of a memory, or fields of them; see `word_dtype`."""


def word_dtype(width: int) -> np.dtype[Any]:
    """The element type of an array of words of `width` bits."""
    return np.dtype(np.int64 if width <= MACHINE_BITS else np.object_)


@dataclass(frozen=True)
class Layout:
    """The fields of a memory word, least significant first; fields without bits are left out.

    Words are int64; wider than 63 bits, they are Python integers in arrays of objects.

    >>> word = Layout.of(last=1, tap=0, weight=4).pack(last=1, tap=0, weight=-2)
    >>> int(word), int(Layout.of(last=1, weight=4).unpack(word, "weight", signed=True))
    (29, -2)
    """

    fields: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, **widths: int) -> Layout:
        """A layout from names and widths in order."""
        return cls(tuple((name, width) for name, width in widths.items() if width > 0))

    @property
    def width(self) -> int:
        """Bits of a whole word."""
        return sum(width for _, width in self.fields)

    def bits(self, name: str) -> int:
        """Bits of one field, 0 if the word has none of that name."""
        return dict(self.fields).get(name, 0)

    def pack(self, **values: ArrayLike) -> Words:
        """Words from field values (broadcast together); negative values as two's complement."""
        kind = word_dtype(self.width)
        word: Array = np.zeros(np.broadcast_shapes(*map(np.shape, values.values())), kind)
        shift = 0
        for name, width in self.fields:
            word = word | ((np.asarray(values[name], kind) & ((1 << width) - 1)) << shift)
            shift += width
        return word

    def unpack(self, words: ArrayLike, name: str, signed: bool = False) -> Words:
        """One field of every word; zeros if the word has no such field."""
        shift = 0
        array: Array = np.asarray(words, word_dtype(self.width))
        for field, width in self.fields:
            if field == name:
                value: Array = np.asarray((array >> shift) & ((1 << width) - 1), word_dtype(width))
                return value - ((value >> (width - 1)) << width) if signed else value
            shift += width
        return np.zeros(array.shape, np.int64)


@dataclass(frozen=True, eq=False)
class Memory:
    """One memory of the image: its contents word by word."""

    layout: Layout
    words: Words

    def field(self, name: str, signed: bool = False) -> Words:
        """One field of every word."""
        return self.layout.unpack(self.words, name, signed)

    @property
    def bits(self) -> int:
        """Storage in bits."""
        return self.layout.width * len(self.words)


@dataclass(frozen=True, eq=False)
class Entries:
    """The weights of one lane, in the order of their rows; arrays of one length.

    `row` is the row's number, `dense_index` is `tap << channel_bits | channel`, and `weight`
    (entries, W) holds one weight for each neuron of the word.
    """

    row: Words
    dense_index: Words
    weight: Words

    @property
    def skips(self) -> Words:
        """How many indices of the same row lie between an entry and the previous one."""
        previous = np.concatenate([[-1], self.dense_index[:-1]])
        previous[np.flatnonzero(np.diff(self.row)) + 1] = -1
        return self.dense_index - previous - 1

    def lengths(self, depth: int) -> Words:
        """How many entries each of `depth` rows has."""
        return np.bincount(self.row, minlength=depth).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one lane, as a walker reads them from the memories.

    Row r owns `length[r]` entries from `start[r]` on; `tap`, `channel` and `weight` (entries, W)
    are those of every entry.
    """

    start: Words
    length: Words
    tap: Words
    channel: Words
    weight: Words

    def walk(self, rows: Words) -> tuple[Words, Words]:
        """Every entry of `rows`, row after row: (index into `rows`, entry)."""
        length = self.length[rows]
        index = np.repeat(np.arange(len(rows)), length)
        within = np.arange(len(index)) - np.repeat(np.cumsum(length) - length, length)
        return index, self.start[rows[index]] + within


def entry_layout(tap: int, channel: int, weight: int, skip: int | None, last: bool) -> Layout:
    """The word of an entry: its fields' bits; `skip` instead of `tap` and `channel` if relative."""
    if skip is None:
        return Layout.of(last=int(last), tap=tap, channel=channel, weight=weight)
    return Layout.of(last=int(last), skip=skip, weight=weight)


def pack_entries(entries: Entries, layout: Layout, channel_bits: int, last: Words) -> Memory:
    """The entry memory of one lane; `last` are the entries that carry the flag."""
    flags = np.zeros(len(entries.row), np.int64)
    flags[last] = 1
    words = layout.pack(
        last=flags, tap=entries.dense_index >> channel_bits,
        channel=entries.dense_index & ((1 << channel_bits) - 1), skip=entries.skips,
        weight=pack_weights(entries.weight, layout.bits("weight")),
    )  # fmt: skip
    return Memory(layout, words if len(words) else np.zeros(1, words.dtype))


def pack_weights(weights: Words, bits: int) -> Words:
    """(entries, W) weights side by side in fields of `bits`, the first lowest.

    >>> pack_weights(np.array([[1, -1], [0, 7]]), 8).tolist()
    [241, 112]
    """
    width: int = weights.shape[1]
    each = bits // width
    shift = np.arange(width) * each
    fields: Array = (weights & ((1 << each) - 1)).astype(word_dtype(bits)) << shift
    return fields.sum(axis=1)


def unpack_weights(words: Words, bits: int, width: int) -> Words:
    """(entries, W) weights from fields of `bits`.

    >>> unpack_weights(np.array([241, 112]), 8, 2).tolist()
    [[1, -1], [0, 7]]
    """
    each = bits // width
    raw = (words[:, None] >> each * np.arange(width) & ((1 << each) - 1)).astype(np.int64)
    return raw - ((raw >> (each - 1)) << each)


def pack_pointers(lengths: Words) -> tuple[Memory, Words]:
    """The pointer memory of rows of the given lengths, and the entries to flag."""
    starts = np.cumsum(lengths) - lengths
    layout = Layout.of(start=max(bits_for(int(lengths.sum())), 1), count=COUNT_BITS)
    long = lengths >= LONG
    pointers = layout.pack(start=np.where(lengths > 0, starts, 0), count=np.minimum(lengths, LONG))
    return Memory(layout, pointers), (starts + lengths - LONG)[long]


def read_rows(
    pointers: Memory | None, entries: Memory, length: int, channel_bits: int, relative: bool,
    width: int = 1,
) -> Rows:  # fmt: skip
    """The rows of one lane from its memories.

    Parameters
    ----------
    pointers
        None if every row has `length` entries.
    channel_bits
        The low bits of a dense index, the local channel.
    relative
        Entries hold the distance to the previous entry.
    width
        Weights in an entry.
    """
    if pointers is not None:
        start, lengths = row_spans(pointers, entries)
    else:
        start = np.arange(0, len(entries.words), length)
        lengths = np.full(len(start), length)
    tap, channel = entries.field("tap"), entries.field("channel")
    if relative:
        # Dense indices restart with every row.
        ends = np.cumsum(entries.field("skip") + 1)
        first = np.unique(start[lengths > 0])
        base = np.zeros(len(ends), np.int64)
        base[first] = np.diff(ends[first] - entries.field("skip")[first] - 1, prepend=0)
        dense_index = ends - 1 - np.cumsum(base)
        tap, channel = dense_index >> channel_bits, dense_index & ((1 << channel_bits) - 1)
    weight = unpack_weights(entries.field("weight"), entries.layout.bits("weight"), width)
    return Rows(start, lengths, tap, channel, weight)


def row_spans(pointers: Memory, entries: Memory) -> tuple[Words, Words]:
    """Start and length of every row, determined as in the hardware: from count and flags."""
    starts, counts = pointers.field("start"), pointers.field("count")
    flags = np.flatnonzero(entries.field("last"))
    first_flag = np.searchsorted(flags, starts)
    # A long row ends LONG - 1 entries after the first flag at or after its start.
    flag = flags[np.minimum(first_flag, len(flags) - 1)] if len(flags) else np.zeros_like(starts)
    return starts, np.where(counts == LONG, flag + LONG - starts, counts)
