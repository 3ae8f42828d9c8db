"""Pointers and rows: every entry once, in order, without a bubble between rows."""

import random

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from spikewright.golden.image.timing import DESCRIPTORS, QUEUE_DEPTH, slack
from spikewright.hw.core.fetch import Fetch
from spikewright.hw.core.walker import Walker

TOKEN = None


class Front(Elaboratable):
    """Fetch and walker, joined as in a lane."""

    def __init__(self, core):
        self.fetch, self.walker = Fetch(core, 0), Walker(core, 0)

    def elaborate(self, platform):
        m = Module()
        m.submodules.fetch, m.submodules.walker = self.fetch, self.walker
        wiring.connect(m, self.fetch.rows, self.walker.rows)
        return m


def walk(core, rows, go_after=5, gaps=lambda: False, deadline=4000):
    """Feed row numbers (TOKEN ends a step); `(cycle, address, operand)` of every addition.

    Also the cycles at which the walker was found waiting, before it was let go.
    """
    front = Front(core)
    fetch, walker = front.fetch, front.walker
    additions, stops = [], []

    async def feed(ctx):
        for row in rows:
            while gaps() or not ctx.get(fetch.room):
                await ctx.tick()
            ctx.set(fetch.valid, 1)
            ctx.set(fetch.request, {"last": row is TOKEN, "row": row or 0})
            await ctx.tick()
            ctx.set(fetch.valid, 0)

    async def watch(ctx):
        tokens = sum(row is TOKEN for row in rows)
        stopped = 0
        for cycle in range(deadline):
            waiting = ctx.get(walker.waiting)
            stopped = stopped + 1 if waiting else 0
            ctx.set(walker.resume, stopped == go_after)
            if stopped == go_after:
                stops.append(cycle)
            _, _, valid, address, operand = await ctx.tick().sample(
                walker.valid, walker.address, walker.operands[0]
            )
            if valid:
                additions.append((cycle, address, operand))
            if len(stops) > tokens:
                return
        pytest.fail(f"hung: {len(additions)} additions, {len(stops) - 1} of {tokens} tokens")

    simulator = Simulator(front)
    simulator.add_clock(1e-8)
    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(watch)
    simulator.run()
    return additions, stops


def entries(core, row):
    """The additions that a row stands for, read from the image."""
    rows = core.rows(0)
    span = slice(int(rows.start[row]), int(rows.start[row] + rows.length[row]))
    pairs = zip(rows.channel[span], rows.weight[span, 0], strict=True)
    return [(int(channel), int(weight)) for channel, weight in pairs]


LENGTHS = [0, 1, 2, 3, 4, 5, 9, 0, 1, 1, 2, 3, 30, 0, 0, 64]


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_rows_of_any_length_in_any_order(dense_core, seed, scattered):
    core, rng = dense_core(LENGTHS, scattered=scattered), random.Random(seed)
    assert core.relative != scattered
    assert core.row_lengths == (None,)
    rows = [rng.choice([*range(16), 0, 1, 8, TOKEN]) for _ in range(150)] + [TOKEN]
    additions, _ = walk(core, rows, gaps=lambda: rng.random() < 0.2 * seed)
    expected = [pair for row in rows if row is not TOKEN for pair in entries(core, row)]
    assert [(address, operand) for _, address, operand in additions] == expected
    assert {row for row in rows if row is not TOKEN} == set(range(16))


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 9])
def test_rows_of_one_length_without_pointers(dense_core, length, scattered):
    core = dense_core([length] * 16, scattered=scattered)
    assert core.relative != scattered
    assert core.row_lengths == (length,)
    rng = random.Random(length)
    rows = [rng.choice([*range(16), TOKEN]) for _ in range(100)] + [TOKEN]
    additions, _ = walk(core, rows)
    expected = [pair for row in rows if row is not TOKEN for pair in entries(core, row)]
    assert [(address, operand) for _, address, operand in additions] == expected
    settled, _ = walk(core, [3] * 20 + [TOKEN])
    cycles = [cycle for cycle, _, _ in settled[3 * length :]]
    assert cycles == list(range(cycles[0], cycles[0] + 17 * length))


@pytest.mark.parametrize("row", [2, 3, 4, 6])
def test_no_bubble_between_rows(dense_core, row):
    core = dense_core(LENGTHS)
    additions, _ = walk(core, [row] * 20 + [TOKEN])
    cycles = [cycle for cycle, _, _ in additions]
    assert len(cycles) == 20 * LENGTHS[row]
    # From the third row on the queues are ahead; every cycle then brings an entry.
    settled = cycles[3 * LENGTHS[row] :]
    assert settled == list(range(settled[0], settled[0] + len(settled)))


def test_empty_rows_cost_no_lane_cycle(dense_core):
    core = dense_core(LENGTHS)
    alone, _ = walk(core, [12] * 4 + [TOKEN])
    mixed, _ = walk(core, [12, 0, 7, 13, 12, 0, 0, 14, 12, 7, 12, TOKEN])
    assert mixed[-1][0] - mixed[0][0] == alone[-1][0] - alone[0][0]


def test_the_last_entry_before_a_token_is_not_lost(dense_core):
    core = dense_core(LENGTHS)
    for row in (1, 2, 3, 6):
        additions, stops = walk(core, [row, TOKEN, row, TOKEN])
        assert len(additions) == 2 * LENGTHS[row]
        # The first stop is that of reset, the second ends the first step.
        assert sum(cycle < stops[1] for cycle, _, _ in additions) == LENGTHS[row]


def test_a_step_waits_for_go(dense_core):
    core = dense_core(LENGTHS)
    additions, stops = walk(core, [6, TOKEN, TOKEN, 6, TOKEN], go_after=50)
    assert len(additions) == 18
    first, second = additions[8][0], additions[9][0]
    assert first < stops[1]
    assert second > stops[2]


def test_room_falls_before_the_queue_overflows(dense_core):
    core = dense_core(LENGTHS)
    fetch = Fetch(core, 0)
    taken = []

    async def bench(ctx):
        await ctx.tick().repeat(2)
        for cycle in range(60):
            ctx.set(fetch.valid, 1)
            ctx.set(fetch.request, {"last": 0, "row": 1 + cycle % 3})
            await ctx.tick()
            taken.append(cycle)
            if not ctx.get(fetch.room):
                break
        for cycle in range(slack(1)):
            ctx.set(fetch.request, {"last": 0, "row": 1 + (len(taken) + cycle) % 3})
            await ctx.tick()
        ctx.set(fetch.valid, 0)
        starts = []
        ctx.set(fetch.rows.ready, 1)
        for _ in range(100):
            _, _, valid, payload = await ctx.tick().sample(fetch.rows.valid, fetch.rows.payload)
            if valid:
                starts.append(payload["count"])
        counts = [min(LENGTHS[1 + i % 3], 3) for i in range(len(taken) + slack(1))]
        assert starts == counts

    simulator = Simulator(fetch)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert 8 <= len(taken) <= QUEUE_DEPTH + DESCRIPTORS
