"""The queue: what comes out when, against the queue of Amaranth that it stands for."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.sim import Simulator

from spikewright.hw.streams.fifo import Fifo


@pytest.mark.parametrize("depth", [2, 3, 5, 9, 17, 33, 65])
@pytest.mark.parametrize("pace", [(0.9, 0.9), (0.9, 0.3), (0.3, 0.9)])
def test_same_cycle_by_cycle(depth, pace):
    ours, known = Fifo(8, depth), SyncFIFOBuffered(width=8, depth=depth)
    both = Module()
    both.submodules += [ours, known]
    both.d.comb += [known.w_data.eq(ours.w_data), known.w_en.eq(ours.w_en)]
    both.d.comb += known.r_en.eq(ours.r_en)
    rng, levels = random.Random(depth), set()

    async def bench(ctx):
        for cycle in range(600):
            level = ctx.get(ours.level)
            assert (level, ctx.get(ours.r_rdy)) == (ctx.get(known.level), ctx.get(known.r_rdy))
            if ctx.get(ours.r_rdy):
                assert ctx.get(ours.r_data) == ctx.get(known.r_data)
            levels.add(level)
            ctx.set(ours.w_data, cycle & 255)
            ctx.set(ours.w_en, ctx.get(known.w_rdy) and rng.random() < pace[0])
            ctx.set(ours.r_en, rng.random() < pace[1])
            await ctx.tick()

    simulator = Simulator(both)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    if pace[0] > pace[1]:
        assert depth in levels
