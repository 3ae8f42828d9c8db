"""A memory of accumulators: read, add, write, one word per cycle, hazards forwarded."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value

from spikewright.golden.image.timing import SUM
from spikewright.hw.hdl import Component, In, Out, Ram, View, data, like
from spikewright.hw.shapes import elements, record

SMALL = 32
"""Words up to which a memory is read without a clock: distributed RAM, or registers."""


def ahead_layout(address_bits: int) -> data.StructLayout:
    """Signals shared by all banks of a lane: addresses of an addition, and its hazards.

    `address` of stage a; `late_address` and `late_add` of the stage in which sums are written.
    Hazards of stage b, detected by `matches`: the same address as one, two or three additions
    before, and as any addition but the previous one.
    """
    return data.StructLayout({
        "address": address_bits,
        "first": 1,
        "second": 1,
        "third": 1,
        "older": 1,
        "late_address": address_bits,
        "late_add": 1,
    })  # fmt: skip


def stages(m: Module, value: Value, name: str) -> list[Signal]:
    """A value of stage a in the stages b, c, s and d."""
    later: list[Signal] = []
    for stage in "bcsd":
        held = like(value, name=f"{stage}_{name}")
        m.d.sync += held.eq(value)
        value = held
        later.append(held)
    return later


def is_small(words: int) -> bool:
    """Whether a bank of `words` needs no forwarding."""
    return words <= SMALL


def matches(m: Module, add: Signal, address: Signal, small: bool) -> View:
    """Compare the address of stage a with those of the `SUM` additions before it.

    Their sums are still under way: in stage s, where a sum is formed, in d, and in the two cycles
    after d.
    """
    assert SUM == 4
    adds, addresses = stages(m, add, "add"), stages(m, address, "address")
    shared = record(ahead_layout(len(address)))
    late = 2 if small else 3
    m.d.comb += [
        shared["address"].eq(addresses[2] if small else address),
        shared["late_address"].eq(addresses[late]),
        shared["late_add"].eq(adds[late]),
    ]
    if not small:
        hits = [a & (address == before) for a, before in zip(adds, addresses, strict=True)]
        registers = [Signal(name=f"hit_{distance}") for distance in range(1, SUM + 1)]
        m.d.sync += Cat(registers).eq(Cat(hits))
        for name, hit in zip(("first", "second", "third"), registers, strict=False):
            m.d.comb += shared[name].eq(hit)
        m.d.comb += shared["older"].eq(Cat(registers[1:]).any())
    return shared


class Bank(Component):
    """A memory of words of equal fields; an addition adds one operand to each field.

    Stages a: address, b: memory, c: output register, word chosen, s: sum, d: written. The memory
    has one reader and one writer, and its output goes straight into a register without reset. Any
    word may follow any other in the next cycle: the four sums under way are forwarded. Banks of up
    to `SMALL` words are read in stage s itself and written at its end, without any hazard.

    Parameters
    ----------
    words
        Depth.
    field, fields
        Shape of a field, and how many a word has.
    operand, total
        Shapes of every operand and of every sum; the word keeps the low bits of a sum.

    Members
    -------
    shared : In(`ahead_layout`)
        See `matches`; the same for all banks of a lane.
    operands : In(array of operands)
        Of stage s.
    word, total : Out(array of fields)
        In stage s: the word, and with its operands.
    write, write_address, write_word : In
        A word's new value; no addition may be under way.
    """

    shared: View
    operands: View
    word: View
    total: View
    write: Signal
    write_address: Signal
    write_word: View

    def __init__(
        self, words: int, address_bits: int, field: Shape, fields: int, operand: Shape, total: Shape
    ) -> None:
        self.words = words
        word = data.ArrayLayout(field, fields)
        super().__init__({
            "shared": In(ahead_layout(address_bits)),
            "operands": In(data.ArrayLayout(operand, fields)),
            "word": Out(word),
            "total": Out(data.ArrayLayout(total, fields)),
            "write": In(1),
            "write_address": In(address_bits),
            "write_word": In(word),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """The memory, the word of stage s, the adders, the write."""
        m = Module()
        shared, old_word = self.shared, Value.cast(self.word)
        m.submodules.words = words = Ram(shape=len(old_word), depth=max(self.words, 2), init=[])
        small = is_small(self.words)
        reader = words.read_port(domain="comb" if small else "sync")
        writer = words.write_port()
        m.d.comb += reader.addr.eq(shared["address"])
        old, new = elements(self.word), elements(self.total)
        for before, after, operand in zip(old, new, elements(self.operands), strict=True):
            m.d.comb += after.eq(before + operand)
        if small:
            m.d.comb += old_word.eq(reader.data)
        total = Cat(sum_[: len(field)] for sum_, field in zip(new, old, strict=True))
        newest = total
        if not small:
            newest = Signal(len(old_word))
            m.d.sync += newest.eq(total)
            self._forward(m, reader.data, total, newest)
        with m.If(self.write):
            m.d.comb += [writer.addr.eq(self.write_address), writer.data.eq(self.write_word)]
        with m.Else():
            m.d.comb += [writer.addr.eq(shared["late_address"]), writer.data.eq(newest)]
        m.d.comb += writer.en.eq(self.write | shared["late_add"])
        return m

    def _forward(self, m: Module, read: Value, total: Value, newest: Signal) -> None:
        """Select the word of stage c, or the youngest sum of it that is not yet in the memory.

        The youngest of the three older sums is selected into a register first, so that stage c
        selects among three words.
        """
        shared, width = self.shared, len(newest)
        memory_word = Signal(width, reset_less=True)
        newest_before = Signal(width)
        older_sum = Signal(width)
        first = Signal()
        older = Signal()
        m.d.sync += [
            memory_word.eq(read), newest_before.eq(newest),
            first.eq(shared["first"]), older.eq(shared["older"]),
            older_sum.eq(Mux(shared["second"], total, Mux(shared["third"], newest, newest_before))),
            Value.cast(self.word).eq(Mux(first, total, Mux(older, older_sum, memory_word))),
        ]  # fmt: skip
