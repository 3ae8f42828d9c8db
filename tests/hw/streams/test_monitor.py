"""The monitor of streams sees what breaks a rule, and nothing else."""

import random

import pytest
from amaranth.sim import Simulator

from spikewright.hw.streams.monitor import Monitor


def watch(beats):
    """The cycles in which `(valid, ready, payload)` per cycle is found broken."""
    dut, found = Monitor(4), []

    async def bench(ctx):
        for cycle, (valid, ready, payload) in enumerate(beats):
            ctx.set(dut.valid, valid)
            ctx.set(dut.ready, ready)
            ctx.set(dut.payload, payload)
            if ctx.get(dut.broken):
                found.append(cycle)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize(
    ("beats", "broken"),
    [
        ([(1, 0, 5), (1, 1, 5), (0, 0, 3), (1, 0, 2)], []),
        ([(1, 0, 5), (0, 0, 5), (1, 1, 5)], [1]),
        ([(1, 0, 5), (1, 1, 4)], [1]),
        ([(1, 1, 5), (1, 0, 4), (1, 0, 4), (1, 0, 6), (1, 1, 6)], [3]),
    ],
)
def test_a_beat_stays_until_it_is_taken(beats, broken):
    assert watch(beats) == broken


def test_sound_streams_are_never_broken():
    rng, beats, offered = random.Random(0), [], None
    for _ in range(300):
        if offered is None and rng.random() < 0.6:
            offered = rng.randrange(16)
        ready = rng.random() < 0.5
        beats.append(
            (offered is not None, ready, rng.randrange(16) if offered is None else offered)
        )
        offered = None if ready else offered
    assert watch(beats) == []
