"""What every core asks for before its lanes are chosen: rows and their use, sweeps, memories."""

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
"""Cycles of a step besides its events and its sweep, where the next step's events wait already."""


@dataclass(frozen=True, eq=False)
class Demand:
    """A core to be.

    Attributes
    ----------
    shape
        Of the node: (C, H, W) or (N,).
    ordered
        Its channels keep their order, and its lanes are a power of two (a readout).
    framed
        All edges are direct: one accumulation for each inference, then a sweep for each step.
    sent
        Events that leave it in a step, on average.
    taps
        Numbers of taps that entries name.
    shared
        (depth, width) of its tables.
    capacity
        Words and entries that a lane can address.
    places
        (rows,): kernel positions at which a row has weights, each at most an entry of every word.
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
    places: Ints
    width: int = 1

    @property
    def channels(self) -> int:
        """Channels of the node."""
        return self.shape[0]

    @property
    def positions(self) -> int:
        """Places of its map."""
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
        room = int(self.places.sum()) * -(-self.channels // self.width) * self.width
        return len(self.work.row) / max(room, 1)

    def words(self, lanes: int) -> int:
        """Membrane words in each of so many lanes."""
        return self.positions * -(-self.channels // (lanes * self.width))


@dataclass(frozen=True, eq=False)
class Load:
    """A core with some lanes: how it will spend its time, in cycles per inference, and its shape.

    `events` is the time that its events need at one per cycle, `entries` that of its slowest lane
    to walk their rows; the longer counts. `sweep` holds the pauses too. Meanwhile its spikes leave
    at one per cycle, which takes `output`.
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
        """What takes most of them: entries, events, sweep or output."""
        if self.output >= self.cycles:
            return "output"
        return max(("entries", "events", "sweep"), key=lambda name: getattr(self, name))


def load(demand: Demand, lanes: int) -> Load:
    """What a core would do with its channels shared among so many lanes."""
    work, columns = demand.work, lanes * demand.width
    local = -(-demand.channels // columns)
    codes = tuple(range(demand.channels)) if demand.ordered else assign_channels(work, columns)
    lane_of = (np.array(codes) & ((1 << bits_for(columns)) - 1)) // demand.width
    counts = work.by_group(lane_of, lanes)
    if demand.width > 1:  # weights of one word share an entry: at most all words of a lane
        words = -(-np.bincount(lane_of, minlength=lanes) // demand.width)
        counts = np.minimum(counts, demand.places[:, None] * words)
    steps = 1 if demand.framed else demand.timesteps
    words, sweeps = demand.words(lanes), demand.timesteps
    # A framed core sweeps all steps at a stretch, no word sooner again than it was written.
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
    """Mean entries of the lane that has most of them in an accumulation.

    `counts` is (rows, lanes). Lanes are taken as normally distributed about their means, each apart
    from what all of them share.
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
