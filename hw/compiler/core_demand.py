"""The demand of a core before its lanes are chosen: rows and their use, sweeps, memories."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from spikewright.golden.arrays import Floats, Ints
from spikewright.golden.bits import bits_for
from spikewright.golden.image import timing
from spikewright.hw.compiler.channel_assignment import assign_channels
from spikewright.hw.compiler.cost import CoreShape
from spikewright.hw.compiler.workload import Work

STEP = timing.SWEEP_START + timing.RELEASE + timing.SETTLE
"""Overhead cycles of a step besides events and sweep, when the next step's events wait."""


@dataclass(frozen=True, eq=False)
class Demand:
    """The demand of a core.

    Attributes
    ----------
    shape
        The node's: (C, H, W) or (N,).
    ordered
        Its channels keep their order, and its lanes are a power of two (a readout).
    framed
        All edges are direct: one accumulation for each inference, then a sweep for each step.
    sent
        Mean events that it sends in a step.
    taps
        Numbers of taps that entries name.
    shared
        (depth, width) of its tables.
    capacity
        Words and entries that a lane can address.
    row_taps
        (rows,): kernel positions at which a row has weights; each needs at most one entry per word.
    width
        Channels of a word.
    """

    node: str
    shape: tuple[int, ...]
    work: Work
    timesteps: int
    ordered: bool
    framed: bool
    sent: float
    taps: int
    weight_bits: int
    word_bits: int
    value_bits: int
    constant_bits: int
    shared: tuple[tuple[int, int], ...]
    capacity: int
    row_taps: Ints
    width: int = 1

    @property
    def channels(self) -> int:
        """Channels of the node."""
        return self.shape[0]

    @property
    def positions(self) -> int:
        """Positions of its map."""
        return math.prod(self.shape[1:])

    @property
    def least_lanes(self) -> int:
        """The fewest lanes, a power of two, that can address their membranes and entries."""
        lanes = 1
        while (
            2 * lanes <= self.channels
            and max(self.words(lanes), len(self.work.row) // lanes) > self.capacity
        ):
            lanes *= 2
        return lanes

    @property
    def filled(self) -> float:
        """The share of weights that are not zero, in the words of all rows together."""
        room = int(self.row_taps.sum()) * -(-self.channels // self.width) * self.width
        return len(self.work.row) / max(room, 1)

    def words(self, lanes: int) -> int:
        """Membrane words per lane, for a number of lanes."""
        return self.positions * -(-self.channels // (lanes * self.width))


@dataclass(frozen=True, eq=False)
class Load:
    """The load of a core with some lanes, in cycles per inference, and its shape.

    `events` is the time of its events at one per cycle, `entries` that of its slowest lane to walk
    their rows; the longer one counts. `sweep` includes the pauses. Meanwhile its spikes are sent at
    one per cycle, which takes `output`.
    """

    node: str
    lanes: int
    width: int
    codes: tuple[int, ...]
    events: float
    entries: float
    sweep: float
    output: float
    shape: CoreShape

    @property
    def cycles(self) -> float:
        """Cycles of one inference."""
        return max(max(self.events, self.entries) + self.sweep, self.output)

    @property
    def bound(self) -> str:
        """The bottleneck: entries, events, sweep or output."""
        if self.output >= self.cycles:
            return "output"
        return max(("entries", "events", "sweep"), key=lambda name: getattr(self, name))


def load(demand: Demand, lanes: int) -> Load:
    """The load of a core with its channels distributed over `lanes`."""
    work, columns = demand.work, lanes * demand.width
    local = -(-demand.channels // columns)
    codes = tuple(range(demand.channels)) if demand.ordered else assign_channels(work, columns)
    lane_of = (np.array(codes) & ((1 << bits_for(columns)) - 1)) // demand.width
    counts = work.by_group(lane_of, lanes)
    if demand.width > 1:  # weights of one word share an entry: at most all words of a lane
        words = -(-np.bincount(lane_of, minlength=lanes) // demand.width)
        counts = np.minimum(counts, demand.row_taps[:, None] * words)
    steps = 1 if demand.framed else demand.timesteps
    words, sweeps = demand.words(lanes), demand.timesteps
    # A core with direct edges only sweeps all steps in succession, each word after it was written.
    sweep = (
        sweeps * max(words, timing.SWEEP + 1) + STEP if demand.framed else sweeps * (words + STEP)
    )
    return Load(
        demand.node, lanes, demand.width, codes,
        events=float(work.rate.sum()) * steps,
        entries=slowest(work, counts) * steps,
        sweep=float(sweep),
        output=demand.sent * demand.timesteps,
        shape=_shape(demand, lanes, local, words, counts),
    )  # fmt: skip


def slowest(work: Work, counts: Ints) -> float:
    """Mean entries of the slowest lane in an accumulation.

    `counts` is (rows, lanes). Lanes are modelled as independent normal variables about their means,
    apart from what all of them share.
    """
    lanes = counts.shape[1]
    mean = work.rate @ counts
    if lanes == 1:
        return float(mean[0])
    apart = counts - counts.mean(axis=1, keepdims=True)
    deviation = np.sqrt(work.spread @ np.square(apart))
    return _largest(mean, np.maximum(deviation, 1e-9))


def _largest(mean: Floats, deviation: Floats) -> float:
    """The mean of the largest of independent normal numbers."""
    low = float((mean - 6 * deviation).min())
    high = float((mean + 6 * deviation).max())
    x = np.linspace(low, high, 512)
    z = (x[:, None] - mean) / (deviation * math.sqrt(2))
    below = np.prod((1 + np.vectorize(math.erf)(z)) / 2, axis=1)  # that all are below x
    return float(high - np.trapezoid(below, x))


def _shape(demand: Demand, lanes: int, local: int, words: int, counts: Ints) -> CoreShape:
    entries, rows = max(int(counts.sum(axis=0).max()), 1), len(counts)
    width = demand.width
    entry = bits_for(demand.taps) + bits_for(local) + demand.weight_bits * width
    memories = [(words, demand.word_bits * width), (local, demand.constant_bits * width)]
    if (counts == counts[0]).all():
        memories.append((entries, entry))
    else:
        memories += [(entries, entry + 1), (rows, bits_for(max(entries, 2)) + 2)]
    return CoreShape(
        lanes, demand.word_bits * width, demand.weight_bits * width, bits_for(words),
        demand.value_bits, tuple(memories), demand.shared,
    )  # fmt: skip
