"""The workload of a core: entries of its rows, and how often each row is walked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikewright.golden.arrays import Floats, Ints
from spikewright.golden.errors import BadInput, require
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import Input

INFERENCES = "activity_inferences"
"""The key of a network's meta with the number of inferences in its activity."""

SPIKE_RATE = 0.1
"""Spikes per neuron and step without activity; all values of an input then count as events."""

_GRAIN = 2.0**16
"""Rates are multiples of its inverse, so that sums over rows are exact in any order."""

_CHUNK = 4096
"""Rows of which a dense table is made at a time."""


@dataclass(frozen=True, eq=False)
class Work:
    """All rows of one core.

    Attributes
    ----------
    channels
        Output channels of the core.
    row, channel
        Of every entry (nonzero weight): the row that lists it, the channel that it adds to.
    rate
        (rows,): events that walk the row in one accumulation, on average: a step, or an inference
        where a direct frame is accumulated once.
    spread
        (rows,): the variance of that number, as if neurons fired independently.
    """

    channels: int
    row: Ints
    channel: Ints
    rate: Floats
    spread: Floats

    @property
    def lengths(self) -> Ints:
        """(rows,): entries of each row."""
        return np.bincount(self.row, minlength=len(self.rate))

    @property
    def entries_per_row(self) -> float:
        """Entries of an average row, over all lanes."""
        return len(self.row) / len(self.rate)

    @property
    def entries_per_event(self) -> float:
        """Entries that an average event walks, over all lanes."""
        events = float(self.rate.sum())
        return float(self.lengths @ self.rate) / events if events else 0.0

    def by_group(self, group: Ints, groups: int) -> Ints:
        """(rows, groups): entries of each row whose channel is in the group `group[channel]`."""
        index = self.row * groups + group[self.channel]
        counts = np.bincount(index, minlength=len(self.rate) * groups)
        return counts.reshape(len(self.rate), groups)

    def products(self) -> tuple[Floats, Floats]:
        """Load (channels,) and gram (channels, channels); both exact sums of multiples of 2^-16.

        `load[c]` is the number of entries of c that an accumulation walks on average; `gram[c, d]`
        the sum over rows of `spread` times the entries of c times those of d.
        """
        order = np.argsort(self.row, kind="stable")
        row, channel = self.row[order], self.channel[order]
        load = np.zeros(self.channels)
        np.add.at(load, self.channel, self.rate[self.row])
        gram = np.zeros((self.channels, self.channels))
        for start in range(0, len(self.rate), _CHUNK):
            end = min(start + _CHUNK, len(self.rate))
            part = slice(*np.searchsorted(row, [start, end]))
            index = (row[part] - start) * self.channels + channel[part]
            counts = np.bincount(index, minlength=(end - start) * self.channels)
            table = counts.reshape(end - start, self.channels).astype(np.float64)
            gram += (table * self.spread[start:end, None]).T @ table
        return load, gram


def joined(channels: int, parts: Sequence[Work]) -> Work:
    """The work of several edges into one core: their rows, edge after edge."""
    starts = np.cumsum([0, *(len(part.rate) for part in parts)])
    return Work(
        channels,
        np.concatenate([p.row + start for p, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.channel for part in parts]),
        np.concatenate([part.rate for part in parts]),
        np.concatenate([part.spread for part in parts]),
    )


def walked(channels: int, row: Ints, channel: Ints, rows: int, row_of: Ints, rates: Floats) -> Work:
    """The work of one edge.

    Parameters
    ----------
    row, channel
        As in `Work`.
    row_of
        The row that an event of each source position walks, -1 if the decoder drops it.
    rates
        Events of each source position in an accumulation, as `row_of`: 0..1.
    """
    inside = row_of.reshape(-1) >= 0
    where, rate = row_of.reshape(-1)[inside], rates.reshape(-1)[inside]
    return Work(
        channels, row, channel, _summed(where, rate, rows), _summed(where, rate * (1 - rate), rows)
    )


def _summed(where: Ints, values: Floats, rows: int) -> Floats:
    """Sums of grained values by row; floats even where there are none."""
    return np.bincount(where, np.rint(values * _GRAIN) / _GRAIN, rows).astype(np.float64)


def event_rates(network: Network, name: str) -> Floats:
    """Events of every neuron of a sending node in an accumulation, 0..1, in the node's shape.

    Counted rates lie strictly between 0 and 1: neurons silent on all calibration images keep a
    small rate. Without activity an input sends every value, and a neuron fires in a tenth of the
    steps.

    Raises
    ------
    BadInput
        If the meta's number of inferences is not a number, or too small for a neuron's events.
    """
    node = network.node(name)
    framed = isinstance(node, Input) and node.coding == "direct"
    counts = network.activity.get(name)
    if counts is None:
        return np.full(node.shape, 1.0 if isinstance(node, Input) else SPIKE_RATE)
    steps = 1 if framed else network.timesteps
    least = -(-int(counts.max(initial=0)) // steps)
    chances = _inferences(network, name, least) * steps
    return (counts + 0.5) / (chances + 1)


def _inferences(network: Network, name: str, least: int) -> int:
    """Over how many inferences activity was counted; if not given, the fewest possible."""
    text = network.meta.get(INFERENCES)
    if text is None:
        return max(least, 1)
    try:
        number = int(text)
    except ValueError:
        raise BadInput(f"network: meta {INFERENCES!r} is {text!r}, must be a number") from None
    require(number >= max(least, 1), f"activity of {name!r}", f"meta {INFERENCES!r}", number,
            f"at least {max(least, 1)}, as a neuron's events tell")  # fmt: skip
    return number
