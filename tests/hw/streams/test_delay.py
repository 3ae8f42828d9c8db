"""A delayed edge is one token ahead, and forgets an inference's last spikes; a queue keeps all."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from spikewright.golden.image.timing import FIFO
from spikewright.hw.streams.delay import Delay

STEPS = 3
TOKEN = "token"


def delay(core, beats, depth=4, ready=lambda: True, gap=lambda: False, deadline=3000, late=1):
    """Every beat that came out, by cycle, and the cycle in which each one went in."""
    edge = replace(core.edges[0], delay=late, depth=depth)
    dut = Delay(edge, STEPS)
    came, went = [], []

    def fields(beat):
        blank = dict.fromkeys(dict(edge.event.fields), 0)
        return {"last": 1, **blank} if beat == TOKEN else {"last": 0, **blank, "x": beat}

    async def bench(ctx):
        offered, quiet, waiting = False, 0, None
        for cycle in range(deadline):
            offered = len(went) < len(beats) and (offered or not gap())
            ctx.set(dut.source.valid, offered)
            if offered:
                ctx.set(dut.source.payload, fields(beats[len(went)]))
            accept = ready()
            ctx.set(dut.sink.ready, accept)
            valid, payload = ctx.get(dut.sink.valid), ctx.get(dut.sink.payload)
            beat = TOKEN if payload["last"] else payload["x"]
            if waiting is not None:
                assert (valid, beat) == (1, waiting)
            waiting = beat if valid and not accept else None
            if valid and accept:
                came.append((cycle, beat))
            if offered and ctx.get(dut.source.ready):
                went.append(cycle)
                offered = False
            quiet = 0 if valid and accept else quiet + 1
            await ctx.tick()
            if quiet > 40:
                return
        pytest.fail("hung")

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return came, went


def test_the_first_step_is_empty_and_the_last_one_is_dropped(conv_core):
    one = [1, 2, TOKEN, 3, TOKEN, 4, 5, TOKEN]  # an inference of three steps
    came, went = delay(conv_core(), one * 2, depth=10)
    assert [beat for _, beat in came] == [TOKEN, *([1, 2, TOKEN, 3, TOKEN, TOKEN] * 2)]
    assert len(went) == 16
    assert came[0][0] == 0


@pytest.mark.parametrize("seed", range(4))
def test_order_and_contents_under_stalls(conv_core, seed):
    rng = random.Random(seed)
    steps = [[rng.randrange(6) for _ in range(rng.randrange(5))] for _ in range(9 * STEPS)]
    beats = [beat for step in steps for beat in (*step, TOKEN)]
    came, _ = delay(
        conv_core(), beats, depth=2 + seed, ready=lambda: rng.random() < 0.4,
        gap=lambda: rng.random() < 0.3,
    )  # fmt: skip
    kept = [step if index % STEPS != STEPS - 1 else [] for index, step in enumerate(steps)]
    assert [beat for _, beat in came] == [TOKEN, *(b for step in kept for b in (*step, TOKEN))]


@pytest.mark.parametrize("seed", range(3))
def test_without_a_delay_every_beat_passes(conv_core, seed):
    rng = random.Random(seed)
    beats = [rng.choice([TOKEN, 1, 2, 3]) for _ in range(60)]
    came, went = delay(
        conv_core(), beats, depth=2 + 3 * seed, ready=lambda: rng.random() < 0.5,
        gap=lambda: rng.random() < 0.3, late=0,
    )  # fmt: skip
    assert [beat for _, beat in came] == beats
    came, went = delay(conv_core(), [5, TOKEN], late=0)
    assert [cycle for cycle, _ in came] == [cycle + FIFO for cycle in went]


def test_latency_through_the_empty_queue(conv_core):
    came, went = delay(conv_core(), [TOKEN, 5, TOKEN])
    assert [cycle for cycle, _ in came[1:]] == [cycle + FIFO for cycle in went]


def test_it_holds_as_many_beats_as_it_is_deep(conv_core):
    _, went = delay(conv_core(), [TOKEN] * 9, depth=6, ready=lambda: False)
    assert len(went) == 6
