"""The visits of a sweep: blocks of words, step by step, and far enough apart."""

from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from spikewright.golden.image.timing import TURN, block
from spikewright.hw.core.visits import Visits

CASES = [((1, 1), 5, 4), ((1, 1), 16, 2), ((5, 6), 1, 3), ((5, 7), 3, 2), ((2, 2), 25, 4)]


@pytest.mark.parametrize(("size", "local", "steps"), CASES)
@pytest.mark.parametrize("window", [(1, 1), (2, 2)])
def test_every_word_at_every_step(conv_core, size, local, steps, window):
    core = replace(
        conv_core(), shape=(local * 2, *size), local_channels=local, steps_per_pass=steps,
        window=(min(window[0], size[0]), min(window[1], size[1])),
    )  # fmt: skip
    dut = Visits(core)
    step, address = core.visits
    count = len(step)
    assert sorted(zip(step, address, strict=True)) == [
        (s, a) for s in range(steps) for a in range(core.words)
    ]
    length = block(core.words, steps)
    expected = [
        (int(a), int(a) % local, int(s), s == steps - 1, n == count - 1)
        for n, (s, a) in enumerate(zip(step, address, strict=True))
    ]
    overs = []

    async def bench(ctx):
        for number in range(2 * count):
            if number % 3 == 0:  # a visit stays until it advances
                await ctx.tick()
            found = (dut.address, dut.channel, dut.step, dut.last, dut.end)
            assert tuple(map(ctx.get, found)) == expected[number % count]
            if ctx.get(dut.round_end):
                overs.append(number)
            ctx.set(dut.advance, 1)
            await ctx.tick()
            ctx.set(dut.advance, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    # A round ends where the next visit is one of another step.
    assert overs[:-1] == [
        n for n in range(2 * count - 1) if step[n % count] != step[(n + 1) % count]
    ]
    assert core.words < TURN or length >= TURN


@pytest.mark.parametrize("steps", [2, 5])
def test_no_word_is_visited_before_its_state_is_back(steps):
    for words in range(1, 3000):
        length = block(words, steps)
        rest = words % length or length
        assert min(length, rest) >= min(TURN, words)
        assert length <= 3 * TURN


def test_one_step_needs_no_blocks():
    assert [block(words, 1) for words in (1, 10, 1000)] == [1, 10, 1000]
