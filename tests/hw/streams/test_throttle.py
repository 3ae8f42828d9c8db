"""The gate that benches hold streams with keeps the rules of a stream."""

import random

import pytest
from amaranth.sim import Simulator

from spikewright.hw.streams.throttle import Throttle


@pytest.mark.parametrize("seed", range(3))
def test_beats_stay_offered_and_all_arrive_in_order(seed):
    dut, rng, arrived = Throttle(8), random.Random(seed), []
    offered = []  # payload that the sink has seen and not yet taken

    async def bench(ctx):
        sent = 0
        ctx.set(dut.source.valid, 1)
        while len(arrived) < 200:
            ctx.set(dut.source.payload, sent % 256)
            ctx.set(dut.hold, rng.random() < 0.5)
            ctx.set(dut.sink.ready, rng.random() < 0.5)
            valid, payload = ctx.get(dut.sink.valid), ctx.get(dut.sink.payload)
            taken = valid and ctx.get(dut.sink.ready)
            assert bool(taken) == bool(ctx.get(dut.source.ready) and ctx.get(dut.source.valid))
            if offered:
                assert valid
                assert payload == offered[0]
            offered[:] = [payload] if valid and not taken else []
            if taken:
                arrived.append(payload)
                sent += 1
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert arrived == [i % 256 for i in range(200)]
