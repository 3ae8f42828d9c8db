"""The membrane memory of a lane: read, add, write, one word per cycle, hazards forwarded."""

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory as Ram
from amaranth.lib.wiring import In, Out

from golden.image import CoreImage
from golden.timing import SUM
from hw.ram import LoadBus, ram
from hw.shapes import field, record


def sweep_layout(core: CoreImage) -> data.StructLayout:
    """One address of the common sweep: the membrane word and the channel of its constants."""
    return data.StructLayout({
        "valid": 1,
        "address": core.address_bits,
        "channel": max(core.local_channels - 1, 1).bit_length(),
    })  # fmt: skip


class Membrane(wiring.Component):
    """Adds operands to membrane words, and hands the words of a sweep to the neuron.

    A word takes `golden.timing.SUM` cycles from address to sum and may follow any other in the next
    cycle: the three sums under way are forwarded. The memory has one reader and one writer; its
    output goes straight into a register without reset. In a sweep the operand is the bias, and the
    new word comes back through `write`. The word of a core with direct edges is {drive, state}:
    direct events add to the drive, which stays, others to the state, which sweeps rewrite.
    Bit-exact with `golden.interpreter` (accumulate).

    Members
    -------
    valid, address, operand, direct : In
        An addition, presented to the pipeline; `direct` if it goes to the drive. Where all edges
        are direct, all do, whatever `direct` says.
    sweep : In(`sweep_layout`)
        Presented in the same stage; never together with an addition.
    summed : Out(signed)
        Word (or state) + bias of the swept neuron, `SUM` + 1 cycles after its `sweep`:
        inputs are registered before the address is presented to the memory.
    drive : Out(signed)
        Its direct drive in the same cycle; absent bits are 0.
    threshold : Out(unsigned)
        Its threshold in the same cycle.
    write, write_address, write_word : In
        The swept word's new value; no addition is under way then.
    """

    valid: Signal
    address: Signal
    operand: Signal
    direct: Signal
    sweep: data.View
    summed: Signal
    drive: Signal
    threshold: Signal
    write: Signal
    write_address: Signal
    write_word: Signal

    def __init__(
        self, core: CoreImage, lane: int, operand: Shape, load: LoadBus | None = None
    ) -> None:
        self.core, self.lane, self.load = core, lane, load
        constants = core.memories[f"constants_{lane}"].layout
        super().__init__({
            "valid": In(1),
            "address": In(core.address_bits),
            "operand": In(operand),
            "direct": In(1),
            "sweep": In(sweep_layout(core)),
            "summed": Out(signed(core.acc_bits)),
            "drive": Out(signed(max(core.drive_bits, 1))),
            "threshold": Out(unsigned(max(constants.bits("threshold"), 1))),
            "write": In(1),
            "write_address": In(core.address_bits),
            "write_word": In(core.word_bits),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Stages a (address), b (memory), c (output register, sum), d (sum registered, written)."""
        m = Module()
        core = self.core
        m.submodules.words = words = Ram(shape=core.word_bits, depth=max(core.words, 2), init=[])
        reader, writer = words.read_port(), words.write_port()
        a_add, a_sweep, a_address, a_operand, a_driven = self._enter(m)
        m.d.comb += reader.addr.eq(a_address)

        b_add, c_add, d_add = Signal(), Signal(), Signal()
        b_sweep, b_driven, c_driven = Signal(), Signal(), Signal()
        b_address, c_address, d_address = (Signal(core.address_bits) for _ in range(3))
        m.d.sync += [b_add.eq(a_add), c_add.eq(b_add), d_add.eq(c_add)]
        m.d.sync += [b_sweep.eq(a_sweep["valid"]), b_driven.eq(a_driven), c_driven.eq(b_driven)]
        m.d.sync += [b_address.eq(a_address), c_address.eq(b_address), d_address.eq(c_address)]
        bias, threshold = self._constants(m, a_sweep["channel"])
        b_operand = Signal(self.operand.shape())
        c_operand = Signal(Shape(max(self.operand.shape().width, bias.shape().width), signed=True))
        c_threshold = Signal(self.threshold.shape())
        m.d.sync += [b_operand.eq(a_operand), c_operand.eq(Mux(b_sweep, bias, b_operand))]
        m.d.sync += [c_threshold.eq(threshold), self.threshold.eq(c_threshold)]

        c_word, d_word = Signal(core.word_bits, reset_less=True), Signal(core.word_bits)
        m.d.sync += c_word.eq(reader.data)
        current = self._forward(
            m, c_word, d_word, (b_address, c_address, d_address), (c_add, d_add)
        )
        m.d.sync += d_word.eq(self._sum(m, current, c_operand, c_driven))
        with m.If(self.write):
            m.d.comb += [writer.addr.eq(self.write_address), writer.data.eq(self.write_word)]
        with m.Else():
            m.d.comb += [writer.addr.eq(d_address), writer.data.eq(d_word)]
        m.d.comb += writer.en.eq(self.write | d_add)
        return m

    def _enter(self, m: Module) -> tuple[Signal, data.View, Signal, Signal, Signal]:
        """Stage a: an addition or an address of the sweep, and whether it aims at the drive."""
        add, address, driven = Signal(), Signal(self.core.address_bits), Signal()
        operand, sweep = Signal(self.operand.shape()), record(sweep_layout(self.core))
        direct = 1 if self.core.framed else self.direct
        m.d.sync += [add.eq(self.valid), operand.eq(self.operand), sweep.eq(self.sweep)]
        m.d.sync += address.eq(Mux(self.sweep["valid"], self.sweep["address"], self.address))
        m.d.sync += driven.eq(~self.sweep["valid"] & direct)
        return add, sweep, address, operand, driven

    def _constants(self, m: Module, channel: Value) -> tuple[Value, Value]:
        """Bias and threshold of the swept channel, a cycle after stage a."""
        memory = self.core.memories[f"constants_{self.lane}"]
        port = ram(m, "constants", memory, self.load).read_port()
        m.d.comb += port.addr.eq(channel)
        return port.data["bias"].as_signed(), field(port.data, memory.layout, "threshold")

    def _forward(
        self, m: Module, word: Signal, newest: Signal,
        addresses: tuple[Signal, Signal, Signal], adds: tuple[Signal, Signal],
    ) -> Value:  # fmt: skip
        """The word of stage c, or the younger sum that is not yet in the memory.

        Sums of the `SUM` additions before this one are still under way: in d, and one and two
        cycles behind it. The matches are found a stage earlier and registered.
        """
        assert SUM == 3
        b_address, c_address, d_address = addresses
        c_add, d_add = adds
        e_add, e_address = Signal(), Signal.like(d_address)
        e_word, f_word = Signal.like(newest), Signal.like(newest)
        m.d.sync += [e_add.eq(d_add), e_address.eq(d_address), e_word.eq(newest), f_word.eq(e_word)]
        near, middle, far = Signal(), Signal(), Signal()
        m.d.sync += [
            near.eq(c_add & (b_address == c_address)),
            middle.eq(d_add & (b_address == d_address)),
            far.eq(e_add & (b_address == e_address)),
        ]
        return Mux(near, newest, Mux(middle, e_word, Mux(far, f_word, word)))

    def _sum(self, m: Module, current: Value, operand: Signal, driven: Signal) -> Value:
        """The one adder: word + operand; where words hold both, drive or state + operand."""
        core = self.core
        if not core.direct:
            total = Signal(signed(core.acc_bits))
            m.d.comb += total.eq(current.as_signed() + operand)
            m.d.sync += self.summed.eq(total)
            return total
        width = core.word_bits - core.drive_bits
        state, drive = current[:width], current[width:]
        total = Signal(signed(max(core.acc_bits, core.drive_bits)))
        m.d.comb += total.eq(Mux(driven, drive.as_signed(), state.as_signed()) + operand)
        m.d.sync += [self.summed.eq(total), self.drive.eq(drive.as_signed())]
        added = Cat(state, total[: core.drive_bits])
        # Of a sweep's sums nothing is written here, so with direct edges alone none is a state.
        return added if core.framed else Mux(driven, added, Cat(total[:width], drive))
