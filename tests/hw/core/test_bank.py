"""Banks of accumulators: additions at every distance, in memories of either kind."""

import random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from spikewright.hw.core.bank import SMALL, Bank, matches

FIELDS = 3
OPERANDS = data.ArrayLayout(signed(5), FIELDS)


class Adder(wiring.Component):
    """A bank behind a pipeline of operands: additions as stage a takes them."""

    add: In(1)
    address: In(7)
    operands: In(OPERANDS)
    write: In(1)
    word: Out(data.ArrayLayout(signed(12), FIELDS))

    def __init__(self, words):
        self.words = words
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        add, address = Signal(), Signal(7)
        m.d.sync += [add.eq(self.add), address.eq(self.address)]
        shared = matches(m, add, address, self.words <= SMALL)
        m.submodules.bank = bank = Bank(self.words, 7, signed(12), FIELDS, signed(5), signed(13))
        operands = self.operands
        for stage in "abcs":
            later = Signal(OPERANDS, name=f"operands_{stage}")
            m.d.sync += later.eq(operands)
            operands = later
        m.d.comb += [
            bank.shared.eq(shared), bank.operands.eq(operands), self.word.eq(bank.word),
            bank.write.eq(self.write), bank.write_address.eq(self.address),
        ]  # fmt: skip
        return m


def run(words, stream):
    """Clear, add `(address, operands)` or None cycle by cycle, then read every word."""
    dut, found = Adder(words), []

    async def bench(ctx):
        for address in range(words):
            ctx.set(dut.write, 1)
            ctx.set(dut.address, address)
            await ctx.tick()
        ctx.set(dut.write, 0)
        for beat in stream:
            ctx.set(dut.add, beat is not None)
            if beat is not None:
                ctx.set(dut.address, beat[0])
                ctx.set(dut.operands, beat[1])
            await ctx.tick()
        ctx.set(dut.add, 0)
        for cycle in range(words + 3):
            ctx.set(dut.address, cycle % words)
            await ctx.tick()
            found.append([ctx.get(dut.word[field]) for field in range(FIELDS)])

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return found[3:]


@pytest.mark.parametrize("words", [1, SMALL, SMALL + 1, 100])
@pytest.mark.parametrize("seed", range(2))
def test_no_addition_is_lost(words, seed):
    rng = random.Random(seed)
    near = range(min(3, words))
    stream = [
        (rng.choice(near) if rng.random() < 0.7 else rng.randrange(words),
         [rng.randrange(-16, 16) for _ in range(FIELDS)])
        if rng.random() < 0.85 else None
        for _ in range(800)
    ]  # fmt: skip
    expected = [[0] * FIELDS for _ in range(words)]
    for address, operands in filter(None, stream):
        expected[address] = [a + b for a, b in zip(expected[address], operands, strict=True)]
    assert run(words, stream) == expected
