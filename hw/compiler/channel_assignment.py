"""Assigns channels to lanes, balancing the work expected from measured firing."""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.bits import bits_for
from spikewright.hw.compiler.workload import Work

PASSES = 32
"""Maximum rounds of swaps over all channels; most networks converge in a few."""


def balanced(work: Work, lanes: int) -> bool:
    """Whether every row has as many entries in each lane, with channel c in lane c mod lanes.

    This holds after bank-balanced pruning, for its number of banks and every divisor of it.
    """
    counts = work.by_group(np.arange(work.channels) % lanes, lanes)
    return bool((counts == counts[:, :1]).all())


def assign_channels(work: Work, lanes: int) -> tuple[int, ...]:
    """The code of every channel, so that lanes finish an accumulation together.

    Where rows are `balanced` over channel mod lanes, that is the lane. Else there are two starting
    points: by load, the longest first, and channel mod lanes (which only border rows may keep from
    being balanced). From each, channels are swapped between lanes as long as that lowers the sum
    over lanes of the mean square of a lane's deviation from the average work:

        sum over lanes of (sum over rows of rate d)^2 + (sum over rows of spread d^2)

    where d is the difference of a row's entries in this lane from the row's average. The first part
    is the imbalance of the totals, the second that of single rows. The better of the two results is
    taken. No step depends on the order of floating-point sums: the same network gets the
    same codes everywhere.

    Parameters
    ----------
    lanes
        Number of lanes; each takes at most ceil(channels / lanes) channels.

    Returns
    -------
    The code `local << lane_bits | lane` of every channel: the channel number as events carry it,
    so no look-up is needed at run time.
    """
    if lanes == 1 or balanced(work, lanes):
        return _codes(np.arange(work.channels) % lanes, lanes)
    load, gram = work.products()
    cost = _exact(load, gram)
    starts = (_dealt(load, lanes), np.arange(work.channels) % lanes)
    candidates = [_swapped(cost, start, lanes) for start in starts]
    return _codes(min(candidates, key=lambda lane_of: _sum(cost, lane_of)), lanes)


def _codes(lane_of: Ints, lanes: int) -> tuple[int, ...]:
    """The codes of channels; channels of a lane are numbered in order."""
    codes = np.zeros(len(lane_of), np.int64)
    for lane in range(lanes):
        members = np.flatnonzero(lane_of == lane)
        codes[members] = np.arange(len(members)) << bits_for(lanes) | lane
    return tuple(codes.tolist())


def _dealt(load: NDArray[np.float64], lanes: int) -> Ints:
    """The lane of every channel: the largest load first, each to the least loaded with room."""
    room = -(-len(load) // lanes)
    heap = [(0.0, lane) for lane in range(lanes)]
    lane_of, members = np.zeros(len(load), np.int64), [0] * lanes
    for channel in np.argsort(-load, kind="stable").tolist():
        so_far, lane = heapq.heappop(heap)
        lane_of[channel] = lane
        members[lane] += 1
        if members[lane] < room:
            heapq.heappush(heap, (so_far + float(load[channel]), lane))
    return lane_of


def _exact(load: NDArray[np.float64], gram: NDArray[np.float64]) -> Ints:
    """The cost of two channels in one lane, as integers whose sums fit int64."""
    whole = float(load.sum()) ** 2 + float(gram.sum())
    half = math.floor((50 - math.log2(whole)) / 2) if whole else 0
    parts = np.rint(load * 2.0**half).astype(np.int64)
    return np.multiply.outer(parts, parts) + np.rint(gram * 4.0**half).astype(np.int64)


def _sum(cost: Ints, lane_of: Ints) -> int:
    """The objective that `_swapped` minimizes."""
    return int(cost[lane_of[:, None] == lane_of].sum())


def _swapped(cost: Ints, lane_of: Ints, lanes: int) -> Ints:
    """Swap channels of different lanes while it lowers the sum of `cost` over pairs in a lane.

    Lanes with room hold channels of no cost, so that a swap may also be a move.
    """
    channels = len(lane_of)
    room = -(-channels // lanes)
    padding = room * lanes - channels
    cost = np.pad(cost, (0, padding))
    free = np.repeat(np.arange(lanes), room - np.bincount(lane_of, minlength=lanes))
    lane_of = np.concatenate([lane_of, free])
    together = np.stack([cost[:, lane_of == lane].sum(axis=1) for lane in range(lanes)], axis=1)
    own = np.diagonal(cost)
    everyone = np.arange(len(lane_of))
    for _ in range(PASSES):
        before = lane_of.copy()
        for channel in range(channels):
            here = lane_of[channel]
            change = (
                together[channel, lane_of] - together[channel, here]
                + together[:, here] - together[everyone, lane_of]
                + own[channel] + own - 2 * cost[channel]
            )  # fmt: skip
            other = int(np.where(lane_of == here, 0, change).argmin())
            if lane_of[other] == here or change[other] >= 0:
                continue
            there = lane_of[other]
            step = cost[other] - cost[channel]
            together[:, here] += step
            together[:, there] -= step
            lane_of[channel], lane_of[other] = there, here
        if (lane_of == before).all():
            break
    return lane_of[:channels]
