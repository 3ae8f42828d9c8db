"""Read-modify-write at every distance, and the hand-over to and from the sweep."""

import random
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.sim import Simulator

from spikewright.golden.image.timing import SUM
from spikewright.hw.core.membrane import Membrane


def run_adds(core, stream, words=16):
    """Present `(address, operand[, direct])` or None per cycle, then sweep; the words after it."""
    dut = Membrane(core, 0, Shape(8, signed=True))
    found = []

    async def write_zeros(ctx):
        for address in range(words):
            ctx.set(dut.write, 1)
            ctx.set(dut.write_address, address)
            ctx.set(dut.write_states, [0])
            ctx.set(dut.clear_drives, 1)
            await ctx.tick()
        ctx.set(dut.write, 0)

    async def bench(ctx):
        await write_zeros(ctx)
        for beat in stream:
            ctx.set(dut.valid, beat is not None)
            if beat is not None:
                ctx.set(dut.address, beat[0])
                ctx.set(dut.operands, [beat[1]])
                ctx.set(dut.direct, beat[2] if len(beat) > 2 else 0)
            await ctx.tick()
        ctx.set(dut.valid, 0)
        for cycle in range(words + SUM + 1):
            ctx.set(dut.sweep, {"valid": cycle < words, "address": cycle % words, "channel": 0})
            await ctx.tick()
            found.append((ctx.get(dut.summed[0]), ctx.get(dut.drives[0])))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found[SUM:][:words]


@pytest.mark.parametrize("distance", range(1, 7))
def test_sums_under_way_are_forwarded(conv_core, distance):
    core = replace(conv_core(lanes=1), acc_bits=12)
    bias = int(core.memories["constants_0"].field("bias", signed=True)[0])
    stream = []
    for round_ in range(5):
        stream += [(3, 1 + round_)] + [(8 + i, 1) for i in range(distance - 1)]
    found = run_adds(core, stream)
    assert found[3][0] == sum(range(1, 6)) + bias


def test_random_adds_with_gaps(conv_core):
    core = replace(conv_core(lanes=1), acc_bits=14)
    rng = random.Random(1)
    stream = [
        (rng.randrange(4) if rng.random() < 0.7 else rng.randrange(16), rng.randrange(-128, 128))
        if rng.random() < 0.85 else None
        for _ in range(600)
    ]  # fmt: skip
    expected = [0] * 16
    for beat in stream:
        if beat is not None:
            expected[beat[0]] += beat[1]
    assert [summed for summed, _ in run_adds(core, stream)] == expected
    assert len({address for address, _ in filter(None, stream)}) == 16


def test_direct_words_keep_state_and_drive_apart(conv_core, framed):
    core = replace(framed(conv_core(lanes=1)), state_bits=7, drive_bits=12, acc_bits=13)
    stream = [(2, -100), (2, 30), (2, -1), (5, 127), (2, 1)]
    found = run_adds(core, stream)
    assert found[2] == (0, -70)
    assert found[5] == (0, 127)
    assert found[3] == (0, 0)


def test_events_add_to_the_state_and_direct_events_to_the_drive(conv_core, mixed):
    core = replace(mixed(conv_core(lanes=1)), state_bits=7, acc_bits=10, drive_bits=12)
    rng = random.Random(2)
    stream = [
        (rng.randrange(3), rng.randrange(-9, 10), rng.randrange(2)) if rng.random() < 0.8 else None
        for _ in range(150)
    ]
    state, drive = [0] * 16, [0] * 16
    for address, operand, direct in filter(None, stream):
        (drive if direct else state)[address] += operand
    assert run_adds(core, stream) == list(zip(state, drive, strict=True))
    assert min(map(max, (state, drive))) > 0


def test_bias_is_the_operand_of_a_sweep(conv_core):
    core = replace(conv_core(lanes=1, bias=np.arange(6) - 3), acc_bits=14)
    codes = core.codes
    bias = core.memories["constants_0"].field("bias", signed=True)
    assert sorted(bias) == [-3, -2, -1, 0, 1, 2]
    assert [int(bias[code]) for code in codes] == [-3, -2, -1, 0, 1, 2]
    assert run_adds(core, [(4, 9)])[4][0] == 9 + int(bias[0])


def wide(conv_core, steps, width, words):
    """A core of `width` channels a word, `steps` steps a pass and `words` words in its one lane."""
    core = conv_core(lanes=1, bias=np.arange(6) - 3)
    constants = {f"constants_{k}": core.memories["constants_0"] for k in range(width)}
    return replace(
        core, channels_per_word=width, steps_per_pass=steps, shape=(width, 1, words),
        local_channels=1, memories={**core.memories, **constants}, acc_bits=14, drive_bits=12,
    )  # fmt: skip


def run_pass(core, stream):
    """Add `(address, operands, steps)`, then visit every word at every step: what each is shown.

    A visit writes back 100 + its step, and the last one clears the slots.
    """
    width, steps = core.channels_per_word, core.steps_per_pass
    dut = Membrane(core, 0, Shape(8, signed=True))
    found = []

    async def write(ctx, address, value, clear):
        ctx.set(dut.write, 1)
        ctx.set(dut.write_address, address)
        ctx.set(dut.write_states, [value] * width)
        ctx.set(dut.clear_slots, clear)
        await ctx.tick()
        ctx.set(dut.write, 0)

    async def visit(ctx, address, step):
        ctx.set(dut.sweep, {"valid": 1, "address": address, "channel": 0, "step": step})
        await ctx.tick()
        ctx.set(dut.sweep, {"valid": 0})
        await ctx.tick().repeat(SUM)
        found.append([(ctx.get(dut.summed[k]), ctx.get(dut.drives[k])) for k in range(width)])

    async def bench(ctx):
        for address in range(core.words):
            await write(ctx, address, 0, 1)
        for _ in range(2):
            for address, operands, mask in stream:
                ctx.set(dut.valid, 1)
                ctx.set(dut.address, address)
                ctx.set(dut.operands, operands)
                ctx.set(dut.steps, mask)
                await ctx.tick()
            ctx.set(dut.valid, 0)
            for address in range(core.words):
                for step in range(steps):
                    await visit(ctx, address, step)
                    await write(ctx, address, 100 + step, step == steps - 1)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize(("steps", "width"), [(2, 1), (3, 2), (5, 4), (1, 4)])
@pytest.mark.parametrize("words", [7, 40])
def test_an_operand_counts_in_its_steps_and_columns(conv_core, steps, width, words):
    core = wide(conv_core, steps, width, words)
    rng = random.Random(steps)
    stream = [
        (rng.randrange(min(words, 9)), [rng.randrange(-9, 10) for _ in range(width)],
         rng.randrange(1, 1 << steps)) for _ in range(120)
    ]  # fmt: skip
    drive = np.zeros((words, steps, width), int)
    for address, operands, mask in stream:
        for step in range(steps):
            drive[address, step] += np.array(operands) * (mask >> step & 1)
    bias = int(core.memories["constants_0"].field("bias", signed=True)[0])
    found = iter(run_pass(core, stream))
    for number in range(2):
        for address, step in np.ndindex(words, steps):
            # The first step's events are in the state; it is 0 before, or what was written back.
            before = 100 + step - 1 if step else (100 + steps - 1) * number
            first = drive[address, 0] if step == 0 else 0 * drive[address, 0]
            later = drive[address, step] if step else 0 * first
            expected = [(before + int(a) + bias, int(b)) for a, b in zip(first, later, strict=True)]
            assert next(found) == expected, (number, address, step)
