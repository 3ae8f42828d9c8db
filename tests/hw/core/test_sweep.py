"""The common sweep: order, pauses, steps, and what it waits for."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from spikewright.golden.image.timing import SWEEP, TURN, WALK
from spikewright.hw.core.sweep import SweepController


def watch(core, timesteps, cycles, waiting=lambda cycle: True, room=lambda cycle: True):
    """`(address, final, end, clear)` of every visited word by cycle, and the cycles of `go`."""
    dut = SweepController(core, timesteps)
    visits, released, classes = {}, [], []

    async def bench(ctx):
        for cycle in range(cycles):
            ctx.set(dut.waiting, waiting(cycle))
            ctx.set(dut.room, room(cycle))
            address = ctx.get(dut.address)
            if address["valid"]:
                flags = (ctx.get(dut.final), ctx.get(dut.end), ctx.get(dut.clear))
                visits[cycle] = (address["address"], address["channel"], *flags)
            if ctx.get(dut.resume):
                released.append((cycle, ctx.get(dut.done)))
            classes.append(sum(ctx.get(s) for s in (dut.accumulating, dut.sweeping, dut.stalled)))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert set(classes) == {1}
    return visits, released


def sweeps(visits, words):
    """The visits cut into whole sweeps; the one that the end of the bench cut off is left out."""
    rows = sorted(visits.items())
    return [rows[start : start + words] for start in range(0, len(rows) - words + 1, words)]


def test_reset_sweeps_once_and_releases(conv_core):
    core = conv_core()
    visits, released = watch(core, 3, core.words + 40, waiting=lambda cycle: False)
    found = sweeps(visits, core.words)
    assert len(found) == 1
    clear = found[0]
    assert [visit[0] for _, visit in clear] == list(range(core.words))
    assert all(visit[4] for _, visit in clear)
    assert [done for _, done in released] == [0]


def test_words_channels_and_steps(conv_core):
    core = conv_core()
    visits, released = watch(core, 3, 5 * (core.words + 20))
    every = sweeps(visits, core.words)
    assert len(every) >= 4
    for number, sweep in enumerate(every):
        assert [visit[0] for _, visit in sweep] == list(range(core.words))
        assert [visit[1] for _, visit in sweep] == [
            w % core.local_channels for w in range(core.words)
        ]
        assert [visit[3] for _, visit in sweep] == [0] * (core.words - 1) + [1]
        assert {visit[4] for _, visit in sweep} == {int(number == 0)}
        if number:
            assert {visit[2] for _, visit in sweep} == {int((number - 1) % 3 == 2)}
    assert [done for _, done in released][:4] == [0, 0, 0, 1]


def test_released_lanes_read_behind_the_last_write(conv_core):
    core = conv_core()
    visits, released = watch(core, 3, 3 * (core.words + 20))
    last = [cycle for cycle, visit in visits.items() if visit[3]]
    for end, (go, _) in zip(last, released, strict=False):
        # Released at `go`, a lane presents its first entry two cycles later.
        assert go + 2 + WALK == end + WALK + SWEEP + 1


@pytest.mark.parametrize("local", [1, 3])
def test_a_direct_core_sweeps_all_steps_behind_one_token(conv_core, framed, local):
    side = (3, 2) if local == 1 else (5, 6)  # fewer words than a sweep takes to turn, and more
    core = replace(framed(conv_core()), shape=(2 * local, *side), local_channels=local)
    assert (core.words < TURN) == (local == 1)
    visits, released = watch(core, 3, 9 * (core.words + 15))
    ends = [cycle for cycle, visit in visits.items() if visit[3]]
    # One release after reset, one after the three steps of the first inference.
    assert released[0][0] < ends[1]
    assert ends[3] < released[1][0] < ends[4]
    assert [done for _, done in released[:2]] == [0, 1]
    steps = sweeps(visits, core.words)[1:4]
    assert [{visit[2] for _, visit in step} for step in steps] == [{0}, {0}, {1}]
    starts = [step[0][0] for step in steps]
    # No word is visited again before it is rewritten, and nothing else is waited for.
    assert [after - before for before, after in pairwise(starts)] == [max(core.words, TURN)] * 2


@pytest.mark.parametrize("seed", range(3))
def test_without_room_no_word_is_issued(conv_core, seed):
    core, rng = conv_core(), random.Random(seed)
    plan = [rng.random() < 0.4 for _ in range(2000)]
    visits, _ = watch(core, 2, 1500, room=lambda cycle: plan[cycle])
    issued = [cycle for cycle, visit in visits.items() if not visit[4]]
    assert len(issued) > 2 * core.words
    assert all(plan[cycle] for cycle in issued)
    order = [visits[cycle][0] for cycle in issued]
    assert order == [place % core.words for place in range(len(order))]
