"""The gates in Amaranth's simulator: resets and flushes at any cycle, against a slow other side."""

from itertools import pairwise

import numpy as np
import pytest
from amaranth.sim import Simulator

from spikewright.golden.image.rows import Layout
from spikewright.hw.system.gates import InputGate, OutputGate
from spikewright.hw.system.shell import RESET_CYCLES

CYCLES = 1500
LENGTH = 4  # beats of a packet


def simulate(gate, bench):
    simulator = Simulator(gate)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


def packets(beats):
    """Beats (last, data), cut after each last one; what is not ended comes last."""
    found = [[]]
    for last, data in beats:
        found[-1].append(data)
        if last:
            found.append([])
    return found


@pytest.mark.parametrize("speed", [0.05, 0.3, 0.9])
def test_the_output_sends_whole_packets_or_ends_them_with_a_zero(speed):
    """Data are 16 p + k + 1 for beat k of packet p: after a reset the cores begin a new packet."""
    gate, rng = OutputGate(16), np.random.default_rng(int(100 * speed))
    sent, full_at_restart, cut = [], 0, 0

    async def bench(ctx):
        nonlocal full_at_restart, cut
        packet, beat, held, offered = 0, 0, 0, None
        for _ in range(CYCLES):
            restart = rng.random() < 0.03
            held = RESET_CYCLES if restart else max(held - 1, 0)
            if held and beat:
                packet, beat, cut = packet + 1, 0, cut + 1
            ctx.set(gate.in_reset, held > 0)
            ctx.set(gate.restart, restart)
            ctx.set(gate.inner_valid, not held and rng.random() < 0.8)
            ctx.set(gate.inner_data, 16 * packet + beat + 1)
            ctx.set(gate.inner_last, beat == LENGTH - 1)
            ctx.set(gate.ready, rng.random() < speed)
            now = (ctx.get(gate.last), ctx.get(gate.data))
            assert offered is None or (ctx.get(gate.valid) and now == offered)
            full_at_restart += restart and ctx.get(gate.valid)
            offered = None
            if ctx.get(gate.valid):
                if ctx.get(gate.ready):
                    sent.append(now)
                else:
                    offered = now
            if ctx.get(gate.inner_valid) and ctx.get(gate.inner_ready):
                packet, beat = (packet + 1, 0) if beat == LENGTH - 1 else (packet, beat + 1)
            await ctx.tick()

    simulate(gate, bench)
    whole, ended = 0, 0
    for data in packets(sent)[:-1]:
        body = data[:-1] if data[-1] == 0 else data
        assert body == list(range(body[0], body[0] + len(body)))
        assert body[0] % 16 == 1
        assert (len(body) == LENGTH) != (data[-1] == 0)
        whole, ended = whole + (data[-1] != 0), ended + (data[-1] == 0)
    assert whole > 5
    assert ended > 2
    assert full_at_restart > 5
    assert cut > 2


@pytest.mark.parametrize("speed", [0.05, 0.3, 0.9])
def test_the_input_passes_whole_inferences_between_flushes(speed):
    """Two packets an inference. What passed after a flush begins where the host began anew."""
    layout, ends = Layout((("x", 3), ("number", 13))), 2
    gate, rng = InputGate(layout, {"x": 6}, ends), np.random.default_rng(int(100 * speed))
    passed, due, flushes, rejected = [], [], 0, 0

    async def bench(ctx):
        nonlocal flushes, rejected
        flush, beat = 0, 0
        ctx.set(gate.enable, 1)
        for _ in range(CYCLES):
            begins = not flush and rng.random() < 0.01
            flush = int(rng.integers(3, 12)) if begins else max(flush - 1, 0)
            if begins:  # the host stops sending with it and begins anew
                flushes, beat = flushes + 1, 0
                passed.append("flush")
                due.append("flush")
            ctx.set(gate.flush, flush > 0)
            ctx.set(gate.in_reset, flush > 0)
            ctx.set(gate.restart, begins)
            x, last = int(rng.integers(8)), beat % LENGTH == LENGTH - 1
            number = len(due) % 8192
            ctx.set(gate.data, int(layout.pack(x=x, number=number)))
            ctx.set(gate.last, last)
            ctx.set(gate.valid, not flush and rng.random() < 0.8)
            ctx.set(gate.inner_ready, not flush and rng.random() < speed)
            if ctx.get(gate.inner_valid) and ctx.get(gate.inner_ready):
                passed.append((ctx.get(gate.inner_last), ctx.get(gate.inner_data)))
            if ctx.get(gate.valid) and ctx.get(gate.ready):
                outside = not last and x >= 6
                assert ctx.get(gate.rejected) == outside
                rejected += outside
                if not outside:
                    due.append((int(last), int(layout.pack(x=x, number=number))))
                beat = (beat + 1) % (ends * LENGTH)
                assert ctx.get(gate.complete) == (beat == 0)
            await ctx.tick()

    simulate(gate, bench)

    def between_flushes(beats):
        marks = [-1, *(i for i, beat in enumerate(beats) if beat == "flush"), len(beats)]
        return [beats[a + 1 : b] for a, b in pairwise(marks)]

    for got, sent in zip(between_flushes(passed), between_flushes(due), strict=True):
        assert got == sent[: len(got)]
        assert len(got) >= len(sent) - 2  # at most what its two registers hold
    assert flushes > 3
    assert rejected > 3
