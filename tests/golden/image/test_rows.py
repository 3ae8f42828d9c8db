"""Packed words and the row format."""

import numpy as np
import pytest

from spikewright.golden.bits import bits_for, signed_bits
from spikewright.golden.image.rows import (
    Entries,
    Layout,
    entry_layout,
    pack_entries,
    pack_pointers,
    pack_weights,
    read_rows,
    row_spans,
    unpack_weights,
)


def test_fields_lie_least_significant_first():
    layout = Layout.of(a=2, b=0, c=3)
    assert layout.fields == (("a", 2), ("c", 3))
    assert int(layout.pack(a=1, c=5)) == 0b10101
    assert layout.bits("b") == 0
    assert layout.unpack(np.array([31, 0]), "b").tolist() == [0, 0]


@pytest.mark.parametrize("width", range(1, 20))
def test_signed_fields_come_back(width):
    layout = Layout.of(low=3, value=width, high=2)
    values = np.arange(-(1 << (width - 1)), 1 << (width - 1))
    words = layout.pack(low=5, value=values, high=2)
    assert (layout.unpack(words, "value", signed=True) == values).all()
    assert (layout.unpack(words, "low") == 5).all()
    assert (layout.unpack(words, "high") == 2).all()
    assert signed_bits(int(values[0]), int(values[-1])) == width


@pytest.mark.parametrize("width", [63, 64, 200])
def test_words_may_be_wider_than_the_machine_s(width):
    layout = Layout.of(low=5, wide=width, high=7)
    wide = [0, 1, (1 << width) - 1, 5 << (width - 3)]
    words = layout.pack(low=3, wide=np.array(wide, object), high=100)
    assert [int(word) for word in words] == [3 | w << 5 | 100 << (5 + width) for w in wide]
    assert layout.unpack(words, "wide").tolist() == wide
    assert layout.unpack(words, "high").dtype == np.int64
    assert (layout.unpack(words, "high") == 100).all()
    assert (layout.unpack(words, "none") == 0).all()


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_side_by_side(bits):
    weights = np.random.default_rng(0).integers(-(1 << bits - 1), 1 << bits - 1, (20, 16))
    words = pack_weights(weights, bits * 16)
    np.testing.assert_array_equal(unpack_weights(words, bits * 16, 16), weights)


def packed(rows, relative=False, flags=True):
    """Rows of (place, weight) packed with 3 channel bits, with pointers, and read back."""
    number = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = np.array([entry for row in rows for entry in row], np.int64).reshape(-1, 2)
    entries = Entries(number, flat[:, 0], flat[:, 1:])
    skip = int(entries.skips.max(initial=0)).bit_length() if relative else None
    pointers, flagged = pack_pointers(entries.lengths(len(rows)))
    layout = entry_layout(2, 3, 4, skip, flags)
    return pointers, pack_entries(entries, layout, 3, flagged)


def unpacked(rows):
    """The rows again, as lists of (place, weight)."""
    places = (rows.tap << 3 | rows.channel).tolist()
    flat = list(zip(places, rows.weight[:, 0].tolist(), strict=True))
    spans = zip(rows.start.tolist(), rows.length.tolist(), strict=True)
    return [flat[start : start + length] for start, length in spans]


def random_rows(rng, lengths):
    return [
        [(int(p), int(rng.integers(-8, 8))) for p in np.sort(rng.permutation(32)[:n])]
        for n in lengths
    ]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_rows_are_found_from_counts_and_flags_alone(seed, relative):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, rng.choice([0, 0, 1, 2, 3, 4, 7], 40))
    pointers, entries = packed(rows, relative)
    assert unpacked(read_rows(pointers, entries, 0, 3, relative)) == rows


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_rows_of_one_length_need_neither_pointers_nor_flags(length, relative):
    rows = random_rows(np.random.default_rng(length), [length] * 9)
    _, entries = packed(rows, relative, flags=False)
    assert entries.layout.bits("last") == 0
    assert unpacked(read_rows(None, entries, length, 3, relative)) == rows


def test_a_dense_row_has_no_offsets():
    rows = [[(place, 1) for place in range(32)]] * 3
    _, entries = packed(rows, relative=True, flags=False)
    assert entries.layout.fields == (("weight", 4),)
    assert unpacked(read_rows(None, entries, 32, 3, True)) == rows


def test_skips_count_the_places_between_entries():
    places = np.array([3, 4, 9, 0, 7])
    entries = Entries(np.array([0, 0, 0, 1, 2]), places, np.ones(5, np.int64))
    assert entries.skips.tolist() == [3, 0, 4, 0, 7]


def test_no_rows_at_all_still_make_a_memory():
    pointers, entries = packed([[], []])
    assert len(entries.words) == 1
    assert row_spans(pointers, entries)[1].tolist() == [0, 0]
    assert bits_for(1) == 0
