"""The membrane memories of a lane: accumulation of operands, and read-out for the sweep."""

from collections.abc import Sequence

from amaranth.hdl import Array, Const, Module, Mux, Shape, Signal, Value, signed, unsigned

from spikewright.golden.bits import bits_for
from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.core.bank import Bank, is_small, matches
from spikewright.hw.hdl import Component, In, Out, View, data, like
from spikewright.hw.ram import LoadBus, ram
from spikewright.hw.shapes import elements, field, record


def sweep_layout(core: CoreImage) -> data.StructLayout:
    """One visit of the common sweep: the word, the channel of its constants, the pass's step."""
    return data.StructLayout({
        "valid": 1,
        "address": core.address_bits,
        "channel": max(core.local_channels - 1, 1).bit_length(),
        "step": bits_for(core.slots + 1),
    })  # fmt: skip


class Membrane(Component):
    """Adds operands to membrane words, and passes the words of a sweep to the neurons.

    A word takes `golden.image.timing.SUM` cycles from address to sum and may follow any other in
    the next cycle (`hw.core.bank`). Each of the W neurons of a word has a state; where a
    pass has several steps, a slot of drive for every step but the first, whose events are added to
    the state; and where the core has direct edges, a direct drive. Each is in a memory of its own.
    A visit of a sweep adds the bias to the state, and outputs the drive of the step next to it; the
    new state returns through `write`. One word per cycle. Bit-exact with `golden.image.interpreter`
    (accumulate).

    Members
    -------
    valid, address, operands : In
        An addition, presented to the pipeline: an operand for each neuron of the word.
    steps : In(P)
        The steps of the pass to which they belong. In cores without slots always 1.
    direct : In(1)
        They are added to the direct drive instead; ignored where all edges are direct.
    sweep : In(`sweep_layout`)
        Presented in the same stage; never together with an addition.
    summed : Out(array of signed)
        State + bias of the visited neurons, `SUM` + 1 cycles after `sweep`: inputs are registered
        before the address is presented to the memories.
    drives : Out(array of signed)
        In the same cycle, the drive of the visit's step: its slot and the direct drive.
    thresholds : Out(array of unsigned)
        In the same cycle.
    write, write_address, write_states : In
        The visited word's new states; no addition may be under way.
    clear_slots, clear_drives : In(1)
        With `write`: slots, direct drives become 0.
    """

    valid: Signal
    address: Signal
    operands: View
    steps: Signal
    direct: Signal
    sweep: View
    summed: View
    drives: View
    thresholds: View
    write: Signal
    write_address: Signal
    write_states: View
    clear_slots: Signal
    clear_drives: Signal

    def __init__(
        self, core: CoreImage, lane: int, operand: Shape, load: LoadBus | None = None
    ) -> None:
        self.core, self.lane, self.operand, self.load = core, lane, operand, load
        width = core.channels_per_word
        self.constants = [
            core.memories[f"constants_{lane * width + column}"] for column in range(width)
        ]
        thresholds = max(self.constants[0].layout.bits("threshold"), 1)
        drive = signed(max(core.drive_bits, 1))
        super().__init__({
            "valid": In(1),
            "address": In(core.address_bits),
            "operands": In(data.ArrayLayout(operand, width)),
            "steps": In(core.slots + 1, init=1),
            "direct": In(1),
            "sweep": In(sweep_layout(core)),
            "summed": Out(data.ArrayLayout(signed(core.acc_bits), width)),
            "drives": Out(data.ArrayLayout(drive, width)),
            "thresholds": Out(data.ArrayLayout(unsigned(thresholds), width)),
            "write": In(1),
            "write_address": In(core.address_bits),
            "write_states": In(data.ArrayLayout(signed(core.held_bits), width)),
            "clear_slots": In(1),
            "clear_drives": In(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Stages a..d of `hw.core.bank`: operands reach their banks, and are added in s."""
        m = Module()
        core = self.core
        add = Signal()
        address = Signal(core.address_bits)
        layout = data.StructLayout({
            "operands": self.operands.shape(), "steps": len(self.steps), "direct": 1,
            "sweep": self.sweep.shape(),
        })  # fmt: skip
        a, b, c, s = (record(layout, name=f"beat_{stage}") for stage in "abcs")
        m.d.sync += [
            add.eq(self.valid), a["operands"].eq(self.operands), a["steps"].eq(self.steps),
            a["direct"].eq(self.direct), a["sweep"].eq(self.sweep), b.eq(a), c.eq(b), s.eq(c),
            address.eq(Mux(self.sweep["valid"], self.sweep["address"], self.address)),
        ]  # fmt: skip
        shared = matches(m, add, address, is_small(core.words))
        self._states(m, shared, b, a["sweep"]["channel"])
        drives_of: list[list[Value]] = [[] for _ in self.constants]  # by column
        if core.direct:
            into = [Const(1) if core.framed else c["direct"]]
            drives = self._bank(m, "drives", shared, c, into, self.clear_drives)
            for column, drive in enumerate(elements(drives.word)):
                drives_of[column].append(drive)
        if core.slots:
            into = list(c["steps"][1:])
            slots = self._bank(m, "slots", shared, c, into, self.clear_slots)
            for column, values in enumerate(drives_of):
                own_slots = [slots.word[column * core.slots + slot] for slot in range(core.slots)]
                values.append(Array([Const(0, 1), *own_slots])[s["sweep"]["step"]])
        m.d.sync += [
            out.eq(sum(values))
            for out, values in zip(elements(self.drives), drives_of, strict=True)
        ]
        return m

    def _states(self, m: Module, shared: View, b: View, channel: Value) -> None:
        """The states: they add non-direct events of the first step, and in sweeps the bias.

        Thresholds are read together with the biases, and connected to their ports.
        """
        core = self.core
        events = b["steps"][0] if core.slots else 0 if core.framed else ~b["direct"]
        bits = max(memory.layout.bits("bias") for memory in self.constants)
        operand = signed(max(bits, self.operand.width))
        m.submodules.states = states = Bank(
            core.words, core.address_bits, signed(core.held_bits), len(self.constants), operand,
            signed(core.acc_bits),
        )  # fmt: skip
        m.d.comb += [
            states.shared.eq(shared), states.write.eq(self.write),
            states.write_address.eq(self.write_address), states.write_word.eq(self.write_states),
        ]  # fmt: skip
        m.d.sync += self.summed.eq(states.total)
        first = self.lane * len(self.constants)
        for column, memory in enumerate(self.constants):
            port = ram(m, f"constants_{first + column}", memory, self.load).read_port()
            m.d.comb += port.addr.eq(channel)
            waiting = Signal(operand, name=f"operand_{column}")
            bias = port.data["bias"].as_signed()
            m.d.sync += [
                waiting.eq(Mux(b["sweep"]["valid"], bias, Mux(events, b["operands"][column], 0))),
                states.operands[column].eq(waiting),
            ]
            threshold: Value = field(port.data, memory.layout, "threshold")
            for stage in "cs":
                later = like(threshold, name=f"threshold_{column}_{stage}")
                m.d.sync += later.eq(threshold)
                threshold = later
            m.d.sync += self.thresholds[column].eq(threshold)

    def _bank(
        self, m: Module, name: str, shared: View, c: View, into: Sequence[Value],
        clear: Signal,
    ) -> Bank:  # fmt: skip
        """A bank of drives: per neuron of a word one field per enable in `into`."""
        core, each = self.core, len(into)
        field = signed(core.drive_bits)
        bank = Bank(
            core.words, core.address_bits, field, core.channels_per_word * each, self.operand, field
        )
        m.submodules[name] = bank
        m.d.comb += [
            bank.shared.eq(shared), bank.write.eq(self.write & clear),
            bank.write_address.eq(self.write_address),
        ]  # fmt: skip
        for index, operand in enumerate(elements(bank.operands)):
            column, target = divmod(index, each)
            m.d.sync += operand.eq(Mux(into[target], c["operands"][column], 0))
        return bank
