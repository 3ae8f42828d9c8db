"""Channels to lanes: by hand, against all assignments, balanced layouts kept, the same anywhere."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spikewright.hw.compiler.channel_assignment import assign_channels, balanced
from spikewright.hw.compiler.workload import Work, joined, walked


def work_of(table: np.ndarray, rates: np.ndarray) -> Work:
    """Rows (rows, channels) of 0 and 1, each walked by one place that fires at its rate."""
    row, channel = np.nonzero(table)
    rows = len(table)
    return walked(table.shape[1], row, channel, rows, np.arange(rows), rates)


def lanes_of(codes: tuple[int, ...], lanes: int) -> np.ndarray:
    return np.array(codes) & ((1 << (lanes - 1).bit_length()) - 1)


def cost(work: Work, lane_of: np.ndarray, lanes: int) -> float:
    """What `assign_channels` says that it lowers."""
    counts = work.by_group(lane_of, lanes)
    apart = counts - counts.mean(axis=1, keepdims=True)
    return float(((work.rate @ apart) ** 2).sum() + (work.spread @ apart**2).sum())


@pytest.mark.parametrize("lanes", [1, 2, 3, 7])
def test_all_channels_are_placed_and_lanes_hold_as_many(lanes):
    rng = np.random.default_rng(0)
    work = work_of(rng.random((40, 31)) < rng.random(31), rng.random(40))
    codes = assign_channels(work, lanes)
    assert len(set(codes)) == 31
    bits = (lanes - 1).bit_length()
    assert lanes_of(codes, lanes).max() < lanes
    assert max(code >> bits for code in codes) < -(-31 // lanes)


def test_what_fires_counts():
    # Channels 0 and 1 have the busy row, 2 and 3 three silent ones: by weights alone 0 and 1 would
    # share a lane with as many weights as ...; by work they must be apart.
    table = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    lane = lanes_of(assign_channels(work_of(table, np.array([0.9, 0.01, 0.01, 0.01])), 2), 2)
    assert lane[0] != lane[1]
    assert lane[2] != lane[3]


def test_rows_are_balanced_not_only_totals():
    # Every channel has one entry, so every split has equal totals; but each row has two channels.
    table = np.repeat(np.eye(4, dtype=int), 2, axis=1)
    lane = lanes_of(assign_channels(work_of(table, np.full(4, 0.5)), 2), 2)
    assert all(lane[2 * row] != lane[2 * row + 1] for row in range(4))


@pytest.mark.parametrize("seed", range(20))
def test_close_to_the_best_of_all_assignments(seed):
    rng = np.random.default_rng(seed)
    channels, lanes = 7, 2
    work = work_of(rng.random((9, channels)) < 0.5, rng.random(9))
    every = [
        np.array(lane)
        for lane in itertools.product(range(lanes), repeat=channels)
        if max(np.bincount(lane, minlength=lanes)) <= 4
    ]
    found = cost(work, lanes_of(assign_channels(work, lanes), lanes), lanes)
    costs = sorted(cost(work, lane, lanes) for lane in every)
    assert found <= costs[len(costs) // 8] + 1e-6


def test_no_swap_is_left_that_helps():
    rng = np.random.default_rng(3)
    work = work_of(rng.random((50, 24)) < 0.3, rng.random(50))
    lane = lanes_of(assign_channels(work, 4), 4)
    best = cost(work, lane, 4)
    for one, other in itertools.combinations(range(24), 2):
        swapped = lane.copy()
        swapped[[one, other]] = lane[[other, one]]
        assert cost(work, swapped, 4) >= best - 1e-3


def bank_balanced(rows: int, channels: int, banks: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = np.zeros((rows, channels), int)
    for row in range(rows):
        kept = rng.integers(1, channels // banks + 1)
        for bank in range(banks):
            members = np.arange(bank, channels, banks)
            table[row, rng.choice(members, kept, replace=False)] = 1
    return table


@pytest.mark.parametrize("banks", [2, 3, 8])
def test_balanced_rows_keep_their_banks(banks):
    work = work_of(bank_balanced(30, 26, banks, 0), np.random.default_rng(1).random(30))
    for lanes in range(2, 9):
        if banks % lanes == 0:
            assert balanced(work, lanes)
            assert (lanes_of(assign_channels(work, lanes), lanes) == np.arange(26) % lanes).all()
    assert not balanced(work, 7)
    spoiled = bank_balanced(30, 26, banks, 0)
    spoiled[0, np.flatnonzero(spoiled[0])[0]] = 0
    assert not balanced(work_of(spoiled, np.full(30, 0.5)), banks)


@pytest.mark.parametrize("seed", range(5))
def test_nearly_balanced_rows_lose_nothing_against_their_banks(seed):
    # As behind bank-balanced pruning with rows near borders, which list only some of the taps.
    rng = np.random.default_rng(seed)
    inner = bank_balanced(24, 32, 8, seed)
    border = inner[:6] * (rng.random((6, 32)) < 0.6)
    rates = np.concatenate([rng.random(24), 0.2 * rng.random(6)])
    work = work_of(np.concatenate([inner, border]), rates)
    found = cost(work, lanes_of(assign_channels(work, 8), 8), 8)
    assert found <= cost(work, np.arange(32) % 8, 8) + 1e-6


def test_rows_of_several_edges_count_together():
    one = work_of(np.array([[1, 0, 1]]), np.array([0.5]))
    two = work_of(np.array([[0, 1, 0], [1, 1, 1]]), np.array([0.25, 0.125]))
    both = joined(3, [one, two])
    assert both.lengths.tolist() == [2, 1, 3]
    assert both.rate.tolist() == [0.5, 0.25, 0.125]
    assert both.by_group(np.array([0, 1, 1]), 2).tolist() == [[1, 1], [0, 1], [1, 2]]
    assert both.entries_per_event == pytest.approx((2 * 0.5 + 0.25 + 3 * 0.125) / 0.875)


def test_dropped_events_walk_nothing():
    places = np.array([[0, 1], [1, -1]])
    work = walked(2, np.array([0]), np.array([1]), 2, places, np.full((2, 2), 0.5))
    assert work.rate.tolist() == [0.5, 1.0]
    assert work.spread.tolist() == [0.25, 0.5]


def test_large_layers_do_better_than_in_natural_order():
    rng = np.random.default_rng(0)
    table = rng.random((784, 512)) < rng.gamma(2, 0.05, 512)
    rates = rng.beta(0.3, 1.7, 784)
    work = work_of(table, rates)
    lane = lanes_of(assign_channels(work, 32), 32)
    fired = rng.random((500, 784)) < rates
    longest = (fired.astype(np.int64) @ work.by_group(lane, 32)).max(axis=1).mean()
    natural = (fired.astype(np.int64) @ work.by_group(np.arange(512) % 32, 32)).max(axis=1).mean()
    assert longest < 0.85 * natural
