"""A queue for places where somebody else has counted: small, and quick at its reading end."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory as Ram
from amaranth.lib.wiring import In, Out

from golden.rows import bits_for


class Queue(wiring.Component):
    """Words in the order in which they came; a word is readable `golden.timing.FIFO` cycles later.

    As `amaranth.lib.fifo.SyncFIFOBuffered`, but nobody is told when it is full: whoever writes
    holds a credit. A distributed memory, a register behind it, and nothing that counts: whether a
    word waits is known from the two ends, so that `r_en` may come late in the cycle.

    Parameters
    ----------
    width
        Bits of a word.
    depth
        Words, the one in the output register included: a power of two, and one more.

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
        self.places = depth - 1
        super().__init__({
            "w_data": In(width),
            "w_en": In(1),
            "level": Out(range(depth + 1)),
            "r_data": Out(width),
            "r_rdy": Out(1),
            "r_en": In(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Two ends that run around the memory, with a bit more than its addresses have."""
        m = Module()
        m.submodules.storage = storage = Ram(shape=len(self.w_data), depth=self.places, init=[])
        writer, reader = storage.write_port(), storage.read_port(domain="comb")
        width = bits_for(self.places) + 1
        newest, oldest, second = Signal(width), Signal(width), Signal(width, init=1)
        some, pull = Signal(), Signal()  # words in the memory; the oldest goes to the output
        m.d.comb += [
            writer.addr.eq(newest[:-1]), writer.data.eq(self.w_data), writer.en.eq(self.w_en),
            reader.addr.eq(oldest[:-1]),
            pull.eq(some & (~self.r_rdy | self.r_en)),
            self.level.eq((newest - oldest)[:width] + self.r_rdy),
        ]  # fmt: skip
        m.d.sync += newest.eq(newest + self.w_en)
        m.d.sync += some.eq(self.w_en | Mux(pull, newest != second, some))
        m.d.sync += self.r_rdy.eq(some | (self.r_rdy & ~self.r_en))
        with m.If(pull):
            m.d.sync += [oldest.eq(second), second.eq(second + 1), self.r_data.eq(reader.data)]
        return m
