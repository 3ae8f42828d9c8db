"""A queue for places where somebody else has counted: small, and quick at its reading end."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikewright.golden.bits import bits_for
from spikewright.hw.hdl import Component, In, Out, Ram


class Fifo(Component):
    """Words in the order of their arrival, readable `golden.image.timing.FIFO` cycles later.

    As `amaranth.lib.fifo.SyncFIFOBuffered`, but nobody is told when it is full: whoever writes
    holds a credit. A memory, whose read port is the output register. Whether a word waits is known
    from the two ends, without counting, so that `r_en` may come late in the cycle; `level` is a
    counter beside them, which costs nothing where nobody looks at it.

    Parameters
    ----------
    width
        Bits of a word.
    depth
        Words that it holds at least, the one in the output register included.

    Members
    -------
    w_data, w_en : In
        A word is taken in every cycle with `w_en`.
    level : Out
        Words inside, the one in the output register included.
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
        """Two ends that run around the memory; `some` tells a full memory from an empty one."""
        m = Module()
        m.submodules.storage = storage = Ram(shape=len(self.w_data), depth=1 << self.bits, init=[])
        writer, reader = storage.write_port(), storage.read_port()
        newest, oldest = Signal(self.bits), Signal(self.bits)
        second = Signal(self.bits, init=1 if self.bits else 0)  # behind the oldest
        some, pull = Signal(), Signal()  # words in the memory; the oldest goes to the output
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
"""By bits: what a shift register feeds back beside its highest bit, to reach every value but 0."""


def _after(place: Signal) -> Value:
    """The place that follows: any order through all of them does, and a shift takes one gate.

    The lowest bit is a feedback of full length, with 0 put behind the highest bit alone.
    """
    if len(place) == 0:
        return Const(0, 0)
    back = place[-1] ^ (place & _TAPS[len(place)]).xor() ^ (place[:-1] == 0)
    return Cat(back, place[:-1])
