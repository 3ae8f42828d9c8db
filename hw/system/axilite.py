"""An AXI4-Lite slave in front of registers: two channels in, one word at a time."""

from amaranth.hdl import Module, Signal

from spikewright.hw.hdl import Component, In, Out

OKAY, SLVERR = 0, 2
READ_CYCLES = 3
"""From a stable read address to its data: select, look up, register."""


class AxiLite(Component):
    """32-bit AXI4-Lite. Write address and write data may arrive in any order and cycle.

    Every ready is a register, so no path leads from a valid to a ready. One write and one read may
    be under way, independent of each other. `write` is high for one cycle, in the cycle after
    address and data have both arrived; a response follows in the next. A read is answered
    `READ_CYCLES` + 2 cycles after its address.

    Members
    -------
    aw..., w..., b..., ar..., r...
        The bus, names as in AXI4-Lite. Protection bits are ignored.
    write, write_word, write_data, write_mask : Out
        A write of the register with this word number; `write_mask` covers the bytes to change.
    write_fails : In(1)
        In the cycle of `write`: answer with SLVERR.
    read_word : Out, read_data, read_fails : In
        A read: the answer is taken `READ_CYCLES` cycles after the number is stable.
    """

    awaddr: Signal
    awprot: Signal
    awvalid: Signal
    awready: Signal
    wdata: Signal
    wstrb: Signal
    wvalid: Signal
    wready: Signal
    bresp: Signal
    bvalid: Signal
    bready: Signal
    araddr: Signal
    arprot: Signal
    arvalid: Signal
    arready: Signal
    rdata: Signal
    rresp: Signal
    rvalid: Signal
    rready: Signal
    write: Signal
    write_word: Signal
    write_data: Signal
    write_mask: Signal
    write_fails: Signal
    read_word: Signal
    read_data: Signal
    read_fails: Signal

    def __init__(self, address_bits: int) -> None:
        word = address_bits - 2
        super().__init__({
            "awaddr": In(address_bits), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
            "wdata": In(32), "wstrb": In(4), "wvalid": In(1), "wready": Out(1),
            "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
            "araddr": In(address_bits), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
            "rdata": Out(32), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
            "write": Out(1), "write_word": Out(word), "write_data": Out(32),
            "write_mask": Out(32), "write_fails": In(1),
            "read_word": Out(word), "read_data": In(32), "read_fails": In(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """A register for each channel, a bit that says whether it is full."""
        m = Module()
        self._write(m)
        self._read(m)
        return m
        return m

    def _write(self, m: Module) -> None:
        addressed = Signal()
        given = Signal()
        strobe = Signal(4)
        m.d.comb += [self.awready.eq(~addressed), self.wready.eq(~given)]
        with m.If(self.awvalid & self.awready):
            m.d.sync += [addressed.eq(1), self.write_word.eq(self.awaddr[2:])]
        with m.If(self.wvalid & self.wready):
            m.d.sync += [given.eq(1), self.write_data.eq(self.wdata), strobe.eq(self.wstrb)]
        for byte in range(4):
            m.d.comb += self.write_mask.word_select(byte, 8).eq(strobe[byte].replicate(8))
        m.d.comb += self.write.eq(addressed & given & ~self.bvalid)
        with m.If(self.write):
            m.d.sync += [addressed.eq(0), given.eq(0), self.bvalid.eq(1)]
            m.d.sync += self.bresp.eq(self.write_fails * SLVERR)
        with m.If(self.bvalid & self.bready):
            m.d.sync += self.bvalid.eq(0)

    def _read(self, m: Module) -> None:
        addressed = Signal()
        cycle = Signal(range(READ_CYCLES + 1))
        m.d.comb += self.arready.eq(~addressed)
        with m.If(self.arvalid & self.arready):
            m.d.sync += [addressed.eq(1), cycle.eq(0), self.read_word.eq(self.araddr[2:])]
        with m.If(addressed & ~self.rvalid):
            m.d.sync += cycle.eq(cycle + 1)
            with m.If(cycle == READ_CYCLES):
                m.d.sync += [self.rvalid.eq(1), self.rdata.eq(self.read_data)]
                m.d.sync += self.rresp.eq(self.read_fails * SLVERR)
        with m.If(self.rvalid & self.rready):
            m.d.sync += [self.rvalid.eq(0), addressed.eq(0)]
