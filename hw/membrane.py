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
    cycle: the four sums under way are forwarded. The memory has one reader and one writer; its
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
        """Stages a: address, b: memory, c: output register, word chosen, s: sum, d: written."""
        m = Module()
        core = self.core
        m.submodules.words = words = Ram(shape=core.word_bits, depth=max(core.words, 2), init=[])
        reader, writer = words.read_port(), words.write_port()
        add, a_sweep, address, a_operand, driven = self._enter(m)
        m.d.comb += reader.addr.eq(address)
        adds, addresses = _stages(m, add, "add"), _stages(m, address, "address")

        bias, threshold = self._constants(m, a_sweep["channel"])
        b_sweep, b_operand = Signal(), Signal(self.operand.shape())
        c_operand = Signal(Shape(max(self.operand.shape().width, bias.shape().width), signed=True))
        s_operand = Signal.like(c_operand)
        c_threshold, s_threshold = (Signal(self.threshold.shape()) for _ in range(2))
        m.d.sync += [b_sweep.eq(a_sweep["valid"]), b_operand.eq(a_operand)]
        m.d.sync += [c_operand.eq(Mux(b_sweep, bias, b_operand)), s_operand.eq(c_operand)]
        m.d.sync += [c_threshold.eq(threshold), s_threshold.eq(c_threshold)]
        m.d.sync += self.threshold.eq(s_threshold)

        c_word, s_word = Signal(core.word_bits, reset_less=True), Signal(core.word_bits)
        d_word = Signal(core.word_bits)
        m.d.sync += c_word.eq(reader.data)
        total = self._sum(m, s_word, s_operand, _stages(m, driven, "driven")[2])
        m.d.sync += d_word.eq(total)
        m.d.sync += s_word.eq(self._forward(m, c_word, total, d_word, address, addresses, adds))
        with m.If(self.write):
            m.d.comb += [writer.addr.eq(self.write_address), writer.data.eq(self.write_word)]
        with m.Else():
            m.d.comb += [writer.addr.eq(addresses[3]), writer.data.eq(d_word)]
        m.d.comb += writer.en.eq(self.write | adds[3])
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
        self, m: Module, word: Signal, total: Value, newest: Signal,
        address: Signal, addresses: list[Signal], adds: list[Signal],
    ) -> Value:  # fmt: skip
        """The word of stage c, or the younger sum that is not yet in the memory.

        Sums of the `SUM` additions before this one are still under way: in s, where it is just
        made (`total`), in d, and one and two cycles behind it. The matches are found in stage a and
        registered, and of the three older sums the one that counts is held in a register, so that
        stage c chooses among three words.
        """
        assert SUM == 4
        nearest, second, third, fourth = (Signal(name=f"match_{k}") for k in range(1, 5))
        m.d.sync += [
            match.eq(add & (address == before))
            for match, add, before in zip(
                (nearest, second, third, fourth), adds, addresses, strict=True
            )
        ]
        behind, held = Signal.like(newest), Signal.like(newest)
        first, older = Signal(), Signal()
        m.d.sync += [
            behind.eq(newest), first.eq(nearest), older.eq(second | third | fourth),
            held.eq(Mux(second, total, Mux(third, newest, behind))),
        ]  # fmt: skip
        return Mux(first, total, Mux(older, held, word))

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


def _stages(m: Module, value: Signal, name: str) -> list[Signal]:
    """A signal of stage a in the stages b, c, s and d."""
    stages = []
    for stage in "bcsd":
        later = Signal.like(value, name=f"{stage}_{name}")
        m.d.sync += later.eq(value)
        value = later
        stages.append(later)
    return stages
