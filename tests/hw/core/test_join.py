"""The join: which edge is heard, when a step is complete, when an inference has begun."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from spikewright.hw.core.join import Join

STEPS = 3
EVENT, TOKEN = 0, 1


def core_with(core, kinds):
    """A core with one edge per letter: `e`vents or `d`irect."""
    return replace(core, edges=tuple(replace(core.edges[0], direct=k == "d") for k in kinds))


def join(core, queues, room=lambda cycle: True, gap=lambda: False, deadline=4000):
    """Per cycle `(taken edge | "token", opened)`; every queue is a list of EVENT and TOKEN."""
    dut = Join(core, STEPS)
    rows = []
    queues = [list(queue) for queue in queues]

    async def bench(ctx):
        shown = [False] * len(queues)
        for cycle in range(deadline):
            shown = [bool(q) and (s or not gap()) for q, s in zip(queues, shown, strict=True)]
            ctx.set(dut.room, room(cycle))
            ctx.set(dut.valid, sum(s << i for i, s in enumerate(shown)))
            # What an edge without a beat shows means nothing.
            heads = [q[0] if s else cycle & 1 for q, s in zip(queues, shown, strict=True)]
            ctx.set(dut.last, sum(head << i for i, head in enumerate(heads)))
            ready, taken = ctx.get(dut.ready), ctx.get(dut.taken)
            moved = [i for i in range(len(queues)) if shown[i] and ready >> i & 1]
            if ctx.get(dut.token):
                assert all(heads[i] == TOKEN for i in moved)
                rows.append((cycle, tuple(moved), ctx.get(dut.inference_begins)))
            elif taken:
                assert [1 << i for i in moved] == [taken]
                assert heads[moved[0]] == EVENT
                rows.append((cycle, moved[0], ctx.get(dut.inference_begins)))
            else:
                assert not moved
            for i in moved:
                queues[i].pop(0)
                shown[i] = False
            await ctx.tick()
            if not any(queues):
                return
        pytest.fail(f"hung: {queues}")

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return rows


def test_two_edges_with_events_take_turns(conv_core):
    rows = join(core_with(conv_core(), "ee"), [[0, 0, 1], [0, 0, 0, 0, 1]])
    assert [row[1] for row in rows] == [0, 1, 0, 1, 1, 1, (0, 1)]
    cycles = [row[0] for row in rows]
    assert cycles == list(range(cycles[0], cycles[0] + 7))


def test_behind_every_event_the_order_is_reversed(conv_core):
    rows = join(core_with(conv_core(), "eee"), [[0, 0, 1], [0, 0, 1], [0, 0, 0, 1]])
    assert [row[1] for row in rows] == [0, 2, 0, 2, 1, 2, 1, (0, 1, 2)]


def test_an_edge_at_its_token_does_not_hold_the_others(conv_core):
    rows = join(core_with(conv_core(), "eee"), [[1, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1]])
    assert [row[1] for row in rows] == [1, 2, 1, (0, 1, 2), 2, 0, (0, 1, 2)]


def test_a_token_waits_for_all_edges(conv_core):
    rows = join(core_with(conv_core(), "ee"), [[1], [0] * 9 + [1]])
    assert [row[1] for row in rows] == [1] * 9 + [(0, 1)]


def test_a_direct_edge_is_heard_in_the_first_step_only(conv_core):
    inference = [0, 1, 0, 1, 0, 1]
    rows = join(core_with(conv_core(), "de"), [[0, 0, 1] * 2, inference * 2])
    rest = [(0, 1), 1, (1,), 1, (1,)]
    assert [row[1] for row in rows] == [0, 1, 0, *rest, 1, 0, 0, *rest]


def test_the_first_beat_opens_an_inference(conv_core):
    rows = join(core_with(conv_core(), "ee"), [[0, 1, 1, 0, 1, 1, 1, 1], [0, 1, 1, 1, 0, 1, 1, 1]])
    opened = [opened for _, _, opened in rows]
    tokens = [number for number, (_, what, _) in enumerate(rows) if isinstance(what, tuple)]
    assert len(tokens) == 6
    begins = [0, tokens[2] + 1]
    assert [number for number, bit in enumerate(opened) if bit] == begins


def test_with_direct_edges_alone_every_token_ends_an_inference(conv_core):
    rows = join(core_with(conv_core(), "dd"), [[0, 1, 1], [1, 0, 1]])
    assert [(what, opened) for _, what, opened in rows] == [
        (0, 1), ((0, 1), 0), (1, 1), ((0, 1), 0)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kinds", ["e", "ee", "eee", "de", "eded"])
def test_every_beat_is_taken_once_in_its_step(conv_core, kinds, seed):
    rng = random.Random(seed)
    plan = [rng.random() < 0.6 for _ in range(4000)]
    inferences = 4
    steps = [inferences if kind == "d" else inferences * STEPS for kind in kinds]
    counts = [[rng.randrange(4) for _ in range(n)] for n in steps]
    queues = [[b for n in edge for b in [EVENT] * n + [TOKEN]] for edge in counts]
    rows = join(
        core_with(conv_core(), kinds), queues, lambda c: plan[c], lambda: rng.random() < 0.3
    )
    assert all(plan[cycle - 1] for cycle, _, _ in rows)
    found = [[0] for _ in kinds]  # events per step and edge
    for _, what, _ in rows:
        for edge in range(len(kinds)):
            if what == edge:
                found[edge][-1] += 1
            elif isinstance(what, tuple) and edge in what:
                found[edge].append(0)
    assert [edge[:-1] for edge in found] == counts
    assert sum(opened for _, _, opened in rows) == inferences
