"""A credit-controlled FIFO without a full flag: small, and with a fast read port."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikewright.golden.bits import bits_for
from spikewright.hw.hdl import Component, In, Out, Ram


class Fifo(Component):
    """Credit-controlled FIFO without a full flag: words in the order of their arrival.

    Latency `golden.image.timing.FIFO` cycles from write to read, one word per cycle. Same behaviour
    as `amaranth.lib.fifo.SyncFIFOBuffered`, except that a writer must hold a credit. The read port
    of the memory is the output register. The two pointers alone, without a counter, determine
    whether a word waits, so that `r_en` may arrive late in the cycle; `level` is a separate
    counter, which synthesis removes where it is unused.

    Parameters
    ----------
    width
        Bits of a word.
    depth
        Words that it holds at least, including the one in the output register.

    Members
    -------
    w_data, w_en : In
        A word is taken in every cycle with `w_en`.
    level : Out
        Number of words inside, including the one in the output register.
    r_data, r_rdy : Out
        The oldest word, in a register.
    r_en : In(1)
        It is taken, if there is one.
    """

    w_data: Signal
    w_en: Signal
    level: Signal
    r_data: Signal
    r_rdy: Signal
    r_en: Signal

    def __init__(self, width: int, depth: int) -> None:
        self.bits = bits_for(depth - 1)
        super().__init__({
            "w_data": In(width),
            "w_en": In(1),
            "level": Out(self.bits + 2),
            "r_data": Out(width),
            "r_rdy": Out(1),
            "r_en": In(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Two pointers into the memory; `some` distinguishes a full memory from an empty one."""
        m = Module()
        m.submodules.storage = storage = Ram(shape=len(self.w_data), depth=1 << self.bits, init=[])
        writer = storage.write_port()
        reader = storage.read_port()
        newest = Signal(self.bits)
        oldest = Signal(self.bits)
        second = Signal(self.bits, init=1 if self.bits else 0)  # the pointer after `oldest`
        # words in the memory; the oldest goes to the output
        some = Signal()
        pull = Signal()
        leaves = self.r_rdy & self.r_en
        m.d.comb += [
            writer.addr.eq(newest), writer.data.eq(self.w_data), writer.en.eq(self.w_en),
            reader.addr.eq(oldest), reader.en.eq(pull), self.r_data.eq(reader.data),
            pull.eq(some & (~self.r_rdy | self.r_en)),
        ]  # fmt: skip
        m.d.sync += some.eq(self.w_en | Mux(pull, newest != second, some))
        m.d.sync += self.r_rdy.eq(some | (self.r_rdy & ~self.r_en))
        with m.If(self.w_en != leaves):
            m.d.sync += self.level.eq(self.level + Mux(leaves, -1, 1))
        with m.If(self.w_en):
            m.d.sync += newest.eq(_after(newest))
        with m.If(pull):
            m.d.sync += [oldest.eq(second), second.eq(_after(second))]
        return m


_TAPS = {1: 0, 2: 0b01, 3: 0b010, 4: 0b0100, 5: 0b00100, 6: 0b010000}
"""By width: the feedback taps besides the highest bit, for a maximum-length shift register."""


def _after(pointer: Signal) -> Value:
    """The next pointer: any order through all values will do, and a shift register takes one gate.

    A maximum-length feedback shift register; 0 is inserted after the value with only its highest
    bit set.
    """
    if len(pointer) == 0:
        return Const(0, 0)
    feedback = pointer[-1] ^ (pointer & _TAPS[len(pointer)]).xor() ^ (pointer[:-1] == 0)
    return Cat(feedback, pointer[:-1])
