"""A fork gives every beat to every branch once, whoever is slow."""

import random

import pytest
from amaranth.sim import Simulator

from spikewright.hw.streams.fork import Fork


def fork(branches, beats, ready, gap=lambda: False, deadline=2000):
    """What every branch took, by cycle; rules of streams asserted on every branch."""
    dut = Fork(8, branches)
    taken = [[] for _ in range(branches)]

    async def bench(ctx):
        at, offered, waiting = 0, None, [None] * branches
        for cycle in range(deadline):
            if offered is None and at < len(beats) and not gap():
                offered = beats[at]
            ctx.set(dut.source.valid, offered is not None)
            ctx.set(dut.source.payload, offered or 0)
            accepts = [ready(index) for index in range(branches)]
            for sink, accept in zip(dut.sinks, accepts, strict=True):
                ctx.set(sink.ready, accept)
            for index, sink in enumerate(dut.sinks):
                valid, payload = ctx.get(sink.valid), ctx.get(sink.payload)
                if waiting[index] is not None:
                    assert (valid, payload) == (1, waiting[index])
                waiting[index] = payload if valid and not accepts[index] else None
                if valid and accepts[index]:
                    taken[index].append((cycle, payload))
            if offered is not None and ctx.get(dut.source.ready):
                at, offered = at + 1, None
            await ctx.tick()
            if at == len(beats):
                return
        pytest.fail("hung")

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return taken


@pytest.mark.parametrize("branches", [2, 3, 5])
@pytest.mark.parametrize("stall", [0.2, 0.8])
def test_every_branch_gets_every_beat_once(branches, stall):
    rng = random.Random(branches)
    beats = list(range(100))
    taken = fork(branches, beats, lambda _: rng.random() >= stall, lambda: rng.random() < 0.3)
    for branch in taken:
        assert [beat for _, beat in branch] == beats


def test_no_bubble_when_all_are_ready():
    taken = fork(3, list(range(20)), lambda _: True)
    assert taken == [[(beat, beat) for beat in range(20)]] * 3


def test_a_branch_takes_while_the_other_waits():
    cycle = [0]

    def ready(index):
        cycle[0] += index == 0
        return index == 0 or cycle[0] > 10

    quick, slow = fork(2, [7, 8], ready)
    assert [at for at, _ in quick] == [0, slow[0][0] + 1]
    assert slow[0][0] == 10
