"""Packed words and the row format."""

import numpy as np
import pytest

from golden.rows import Layout, bits_for, pack_rows, row_spans, signed_bits


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


def test_a_word_has_at_most_63_bits():
    with pytest.raises(ValueError, match="a word of 64 bits, at most 63"):
        Layout.of(a=32, b=32)


@pytest.mark.parametrize("seed", range(20))
def test_rows_are_found_from_counts_and_flags_alone(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.choice([0, 0, 1, 2, 3, 4, 7], 40)
    rows = [
        [(int(rng.integers(4)), int(rng.integers(8)), int(rng.integers(-8, 8))) for _ in range(n)]
        for n in lengths
    ]
    pointers, entries = pack_rows(rows, 2, 3, 4)
    starts, found = row_spans(pointers, entries)
    assert found.tolist() == lengths.tolist()
    for row, start, length in zip(rows, starts, found, strict=True):
        span = slice(int(start), int(start + length))
        fields = (
            entries.field("tap"),
            entries.field("channel"),
            entries.field("weight", signed=True),
        )
        assert list(zip(*(f[span].tolist() for f in fields), strict=True)) == row


def test_no_rows_at_all_still_make_a_memory():
    pointers, entries = pack_rows([[], []], 0, 0, 4)
    assert len(entries.words) == 1
    assert row_spans(pointers, entries)[1].tolist() == [0, 0]
    assert bits_for(1) == 0
