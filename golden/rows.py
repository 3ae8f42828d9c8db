"""Packed memory words, and the row format in which a lane keeps its weights.

A row is the list of `(tap, channel, weight)` that one presynaptic address owns in one lane. Rows
lie one behind the other in the entry memory; a pointer word says where a row starts and whether it
has 0, 1, 2 or "3 and more" entries. A row of three or more marks its third last entry with `last`:
a walker that reads one entry per cycle through a memory of two cycles latency sees this flag
exactly when it issues the row's final address, so rows follow each other without a bubble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONG = 3
"""The pointer's `count` for a row of three or more entries."""

Words = NDArray[np.int64]
Entry = tuple[int, int, int]


def bits_for(values: int) -> int:
    """How many bits an index into `values` things takes.

    >>> [bits_for(n) for n in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return max(values - 1, 0).bit_length()


def signed_bits(lowest: int, highest: int) -> int:
    """The two's complement width that holds `lowest`..`highest`.

    >>> [signed_bits(0, 0), signed_bits(-1, 0), signed_bits(-8, 7), signed_bits(0, 8)]
    [1, 1, 4, 5]
    """
    return 1 + max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0)


@dataclass(frozen=True)
class Layout:
    """The fields of a memory word, least significant first; fields without bits are left out.

    >>> word = Layout.of(last=1, tap=0, weight=4).pack(last=1, tap=0, weight=-2)
    >>> int(word), int(Layout.of(last=1, weight=4).unpack(word, "weight", signed=True))
    (29, -2)
    """

    fields: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, **widths: int) -> Layout:
        """A layout from names and widths in order; at most 63 bits in all."""
        layout = cls(tuple((name, width) for name, width in widths.items() if width > 0))
        if layout.width > 63:
            raise ValueError(f"a word of {layout.width} bits, at most 63")
        return layout

    @property
    def width(self) -> int:
        """Bits of a whole word."""
        return sum(width for _, width in self.fields)

    def bits(self, name: str) -> int:
        """Bits of one field, 0 if the word has none of that name."""
        return dict(self.fields).get(name, 0)

    def pack(self, **values: ArrayLike) -> Words:
        """Words from field values (broadcast together); negative values as two's complement."""
        word: Words = np.zeros(np.broadcast_shapes(*map(np.shape, values.values())), np.int64)
        shift = 0
        for name, width in self.fields:
            word = word | ((np.asarray(values[name], np.int64) & ((1 << width) - 1)) << shift)
            shift += width
        return word

    def unpack(self, words: ArrayLike, name: str, signed: bool = False) -> Words:
        """One field of every word; zeros if the word has no such field."""
        shift = 0
        array = np.asarray(words, np.int64)
        for field, width in self.fields:
            if field == name:
                value = (array >> shift) & ((1 << width) - 1)
                return value - ((value >> (width - 1)) << width) if signed else value
            shift += width
        return np.zeros_like(array)


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


def pack_rows(
    rows: Sequence[Sequence[Entry]], tap: int, channel: int, weight: int
) -> tuple[Memory, Memory]:
    """The pointer and the entry memory of one lane.

    Parameters
    ----------
    rows
        For every presynaptic address the entries `(tap, channel, weight)` of this lane.
    tap, channel, weight
        Widths of the entry's fields in bits.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
    total = max(int(lengths.sum()), 1)
    flat = np.array([entry for row in rows for entry in row] or [(0, 0, 0)], np.int64)
    last = np.zeros(total, np.int64)
    long = lengths >= LONG
    last[starts[long] + lengths[long] - LONG] = 1
    entry = Layout.of(last=1, tap=tap, channel=channel, weight=weight)
    pointer = Layout.of(start=max(bits_for(total), 1), count=2)
    starts = np.where(lengths > 0, starts, 0)
    pointers = pointer.pack(start=starts, count=np.minimum(lengths, LONG))
    entries = entry.pack(last=last, tap=flat[:, 0], channel=flat[:, 1], weight=flat[:, 2])
    return Memory(pointer, pointers), Memory(entry, entries)


def row_spans(pointers: Memory, entries: Memory) -> tuple[Words, Words]:
    """Start and length of every row, found as the hardware finds them: from count and flags."""
    starts, counts = pointers.field("start"), pointers.field("count")
    flags = np.flatnonzero(entries.field("last"))
    first_flag = np.searchsorted(flags, starts)
    # A long row ends two entries behind the first flag at or after its start.
    flag = flags[np.minimum(first_flag, len(flags) - 1)] if len(flags) else np.zeros_like(starts)
    return starts, np.where(counts == LONG, flag + LONG - starts, counts)
