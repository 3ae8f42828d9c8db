"""The neuron's pipeline against the step of DESIGN, written here once more in plain integers."""

import itertools
import random

import pytest
from amaranth.sim import Simulator

from spikewright.hw.core.lif import Neuron, signed_digits

LATENCY = {"membrane": 4, "word": 6}


def step(total, threshold, core, restart):
    fired = core.kind == "lif" and total >= threshold
    if fired:
        total = total - threshold if core.reset == "subtract" else 0
    if core.kind == "lif":
        total = max(-256, min(255, total))
    leaked = total - ((total * core.leak_mul) >> core.leak_shift)
    return fired, total, 0 if restart else leaked


def cases(rng, threshold):
    """Ties, both clamps, the smallest negatives, and anything else."""
    edges = [threshold - 1, threshold, threshold + 1, -1, 0, 1, 255, 256, -256, -257, 8191, -8192]
    edges += [threshold + 255, threshold + 256]
    return edges + [rng.randrange(-8192, 8192) for _ in range(300)]


def run(core, totals, thresholds, drives, restarts):
    neuron = Neuron(core)
    seen = []

    async def bench(ctx):
        for cycle in range(len(totals) + 7):
            if cycle < len(totals):
                ctx.set(neuron.summed, totals[cycle] - drives[cycle])
                ctx.set(neuron.drive, drives[cycle])
                ctx.set(neuron.threshold, thresholds[cycle])
            late = cycle - 5
            ctx.set(neuron.restart, restarts[late] if 0 <= late < len(totals) else 0)
            await ctx.tick()
            seen.append((ctx.get(neuron.fired), ctx.get(neuron.membrane), ctx.get(neuron.word)))

    simulator = Simulator(neuron)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    count = len(totals)
    fired, membrane, _ = zip(*seen[LATENCY["membrane"] - 1 :][:count], strict=True)
    *_, word = zip(*seen[LATENCY["word"] - 1 :][:count], strict=True)
    return list(zip(fired, membrane, word, strict=True))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(
    ("leak_mul", "leak_shift"), [(0, 0), (1, 3), (5, 3), (13, 4), (255, 8), (1, 0)]
)
def test_neuron_is_the_step(neuron_core, reset, leak_mul, leak_shift):
    core = neuron_core(reset=reset, leak_mul=leak_mul, leak_shift=leak_shift)
    rng = random.Random(leak_mul)
    threshold_bits = core.memories["constants_0"].layout.bits("threshold")
    thresholds = [rng.randrange(1, 1 << threshold_bits) for _ in range(300)]
    totals, limits = [], []
    for threshold in {*thresholds[:4], 1}:
        for total in cases(rng, threshold):
            totals.append(total)
            limits.append(threshold)
    restarts = [rng.random() < 0.2 for _ in totals]
    found = run(core, totals, limits, [0] * len(totals), restarts)
    for got, total, threshold, restart in zip(found, totals, limits, restarts, strict=True):
        fired, membrane, word = step(total, threshold, core, restart)
        assert got == (fired, membrane, word), (total, threshold, restart)
    assert any(fired for fired, _, _ in found)
    assert any(not fired for fired, _, _ in found)
    # A reset to zero leaves nothing above a threshold that lies inside the clamp range.
    ends = {-256, 255} if reset == "subtract" else {-256}
    assert ends <= {membrane for _, membrane, _ in found}


def test_readout_never_fires_and_keeps_its_sum(neuron_core):
    core = neuron_core(kind="readout", reset="none", leak_mul=3, leak_shift=2)
    totals = [-256, -1, 0, 1, 255, 100]
    found = run(core, totals, [1] * 6, [0] * 6, [False] * 6)
    assert [(fired, membrane) for fired, membrane, _ in found] == [(0, total) for total in totals]


def test_a_drive_is_added(neuron_core, framed):
    core = framed(neuron_core(drive_bits=10, leak_mul=1, leak_shift=1))
    totals, drives = [7, -9, 300, 4], [3, -20, 511, -512]
    restarts = [False, False, False, True]
    found = run(core, totals, [5, 5, 5, 5], drives, restarts)
    for got, total, restart in zip(found, totals, restarts, strict=True):
        assert got == step(total, 5, core, restart), total


def test_a_state_that_accumulates_is_written_with_its_sign(neuron_core, mixed):
    core = mixed(neuron_core(drive_bits=10, leak_mul=1, leak_shift=1))
    assert (core.held_bits, core.word_bits) == (14, 14 + 10)
    totals, drives = [-200, 3, -1], [-7, 0, 511]
    found = run(core, totals, [5] * 3, drives, [False] * 3)
    for got, total in zip(found, totals, strict=True):
        assert got == step(total, 5, core, False)


@pytest.mark.parametrize("factor", range(257))
def test_signed_digits_sum_to_the_factor(factor):
    digits = signed_digits(factor)
    assert sum(sign << place for sign, place in digits) == factor
    places = [place for _, place in digits]
    assert all(b - a >= 2 for a, b in itertools.pairwise(places))
