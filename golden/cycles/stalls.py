"""Random stalls: the same bits with which benches stall streams, so that such runs are predictable.

Every stream has a 32-bit xorshift register that steps in every cycle after reset. Half of the
streams decide anew in every cycle whether they are held, half keep a decision for 8 cycles on
average. `sim/templates/bench.v` does the same in Verilog.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Spikes
from spikewright.golden.errors import require
from spikewright.golden.jit import part

EXTRA = 3
"""Streams beside the cores' inputs: the output, the gaps between input beats, the taker."""

_MASK = 0xFFFFFFFF
_MOST = 253  # of 256: no stream is stalled for ever


@dataclass(frozen=True)
class Stalls:
    """In which cycles streams are stalled.

    Attributes
    ----------
    rate
        The share of stalled cycles, in 1/256.
    seed
        32 bits; its lowest says which half of the streams decides anew in every cycle.
    bench
        The number of the accelerator in a bench of several.
    """

    rate: int = 0
    seed: int = 0
    bench: int = 0

    @classmethod
    def from_percent(cls, percent: int, seed: int, bench: int = 0) -> Stalls:
        """`percent` (0..99) of the cycles, to the nearest 1/256."""
        require(0 <= percent <= 99, "stalls", "stall", percent, "0..99 (percent)")
        return cls(min(round(percent * 256 / 100), _MOST), seed, bench)

    def registers(self, streams: int) -> NDArray[np.uint32]:
        """The random registers in the first cycle after reset."""
        first = [
            (self.seed + stream * 0x9E3779B9 + self.bench * 0x85EBCA6B) & _MASK | 1
            for stream in range(streams)
        ]
        return np.array(first, np.uint32)

    def bits(self, streams: int) -> Iterator[Spikes]:
        """For every cycle from the first after reset on, 1 for each stream that is held."""
        random, held = self.registers(streams), np.zeros(streams, np.uint8)
        while True:
            yield held.copy()
            draw(random, held, self.rate, self.seed & 1)


@part
def draw(random: NDArray[np.uint32], held: Spikes, rate: int, odd: int) -> None:
    """One clock edge: `held` becomes the bits of the next cycle."""
    for stream in range(len(random)):
        x = random[stream]
        if (stream + odd) & 1 == 0 or (x >> 8) & 7 == 0:
            held[stream] = (x >> 24) < rate
        x ^= np.uint32(x << 13)
        x ^= x >> 17
        x ^= np.uint32(x << 5)
        random[stream] = x
