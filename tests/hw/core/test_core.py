"""A whole core: what its cycles are counted as."""

import random

import pytest
from amaranth.sim import Simulator

from spikewright.golden.image import timing
from spikewright.golden.image.counters import COUNTERS
from spikewright.hw.core.core import Core
from spikewright.hw.core.counters import WIDTH

STEPS, CYCLES = 3, 1700
ENTRY = timing.RELEASE + timing.SETTLE - 1  # cycles in settle


def run(core, beats, gaps):
    """Counters, the cycle of every accepted beat, and that of every word of every sweep."""
    dut, accepted, words, counts = Core(core, STEPS), [], [], {}

    async def bench(ctx):
        ctx.set(dut.sink.ready, 1)
        blank = dict.fromkeys(dict(core.edges[0].event.fields), 0)
        for cycle in range(CYCLES):
            at = len(accepted)
            offer = at < len(beats) and cycle >= gaps[at]
            ctx.set(dut.source_0.valid, offer)
            if offer:
                ctx.set(dut.source_0.payload, {**blank, **beats[at]})
                if ctx.get(dut.source_0.ready):
                    accepted.append(cycle)
            if ctx.get(dut.trace)["valid"]:
                words.append(cycle)
            await ctx.tick()
        values = ctx.get(dut.counts)
        for index, name in enumerate(COUNTERS):
            counts[name] = values >> index * WIDTH & ((1 << WIDTH) - 1)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return counts, accepted, words


@pytest.mark.parametrize("apart", [0, 7, 330, 700])
def test_an_inference_is_open_from_its_first_beat_to_its_last_release(conv_core, apart):
    core, rng = conv_core(), random.Random(apart)
    event = [{"last": 0, "x": 3, "y": 2, "value": 1}] * 4
    inference = [beat for _ in range(STEPS) for beat in (*event[: rng.randrange(5)], {"last": 1})]
    beats = inference * 2
    gaps = [120] * len(inference) + [120 + apart] * len(inference)
    counts, accepted, words = run(core, beats, gaps)
    assert len(accepted) == len(beats)
    assert len(words) == 2 * STEPS * core.words
    # A word's vector shows `result` cycles after the word was visited; `settle` comes behind it.
    result = timing.walk(core.relative) + timing.RESULT
    ends = [words[(n + 1) * STEPS * core.words - 1] - result for n in range(2)]
    open_ = {
        cycle
        for first, end in zip((accepted[0], accepted[len(inference)]), ends, strict=True)
        for cycle in range(first + 1, end + ENTRY + 1)
    }
    # The increment of the last cycle is still in its register.
    idle = set(range(CYCLES - 1)) - open_ - set(range(core.words + ENTRY))
    assert counts["idle"] == len(idle)
    assert sum(counts[name] for name in list(COUNTERS)[:5]) == CYCLES - 1
