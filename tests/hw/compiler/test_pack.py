"""Row memories in the format of fewest bits."""

import numpy as np

from spikewright.golden.network.edges import Edge, Linear
from spikewright.hw.compiler.lower import lower
from spikewright.hw.compiler.pack import arrivals, pack_lanes


def packed(weight, lanes=1, source=None, reloadable=False):
    """A linear edge from `source` (channels, rows, columns) packed for `lanes`."""
    out, inputs = weight.shape
    shape = source or (inputs,)
    synapses = lower(Edge("a", "b", (Linear(weight, 4),)), shape)
    arriving = arrivals([synapses], [tuple(range(shape[0]))], reloadable)
    return pack_lanes(
        "node 'b'", arriving, tuple(range(out)), lanes, 1, -(-out // lanes), reloadable
    )


def bits(packed, name):
    return sum(m.bits for key, m in packed.memories.items() if key.startswith(name))


def test_dense_rows_are_weights_and_nothing_else():
    found = packed(np.ones((16, 10), int))
    assert (found.relative, found.row_lengths) == (True, (16,))
    assert bits(found, "entries") == 16 * 10 * 4
    assert bits(found, "pointers") == 0


def test_places_far_apart_are_absolute():
    weight = np.zeros((64, 4), int)
    weight[[0, 63], :] = 1  # 62 places between them: as many bits as a channel
    found = packed(weight)
    assert not found.relative
    assert found.memories["entries_0"].layout.fields == (("channel", 6), ("weight", 4))


def test_places_close_together_are_relative():
    weight = np.zeros((64, 4), int)
    weight[::4, :] = 1
    found = packed(weight)
    assert found.relative
    assert found.memories["entries_0"].layout.fields == (("skip", 2), ("weight", 4))


def test_a_flag_only_where_rows_are_long():
    weight = np.zeros((8, 4), int)
    weight[0, 1:], weight[3, 2:], weight[5, 3:] = 1, 1, 1
    assert packed(weight).memories["entries_0"].layout.bits("last") == 0
    weight[6, 3:] = 1
    assert packed(weight).memories["entries_0"].layout.bits("last") == 1


def test_each_lane_for_itself():
    weight = np.ones((4, 6), int)
    weight[1, 2] = 0  # a row of lane 1 is shorter
    found = packed(weight, lanes=2)
    assert found.row_lengths == (2, None)
    assert set(found.memories) == {"entries_0", "entries_1", "pointers_1"}


def test_unused_row_numbers_between_rows_cost_entries():
    """Three positions take two bits: every fourth row number belongs to no event."""
    few = packed(np.ones((2, 15), int), source=(5, 1, 3))
    assert few.row_lengths == (2,)  # 4 unused rows of 2 entries of 4 bits: less than pointers
    assert len(few.memories["entries_0"].words) == 2 * 19
    many = packed(np.ones((64, 15), int), source=(5, 1, 3))
    assert many.row_lengths == (None,)  # 4 unused rows of 64 entries: more than pointers
    assert len(many.memories["entries_0"].words) == 64 * 15


def test_what_is_loaded_at_run_time_has_one_format():
    found = packed(np.ones((16, 10), int), reloadable=True)
    assert (found.relative, found.row_lengths) == (False, (None,))
    fields = (("last", 1), ("channel", 4), ("weight", 4))
    assert found.memories["entries_0"].layout.fields == fields


def test_a_lane_without_weights_keeps_its_pointers():
    weight = np.ones((2, 3), int)
    weight[1] = 0
    found = packed(weight, lanes=2)
    assert found.row_lengths == (1, None)
    assert found.memories["pointers_1"].field("count").tolist() == [0, 0, 0]
    assert len(found.memories["entries_1"].words) == 1
