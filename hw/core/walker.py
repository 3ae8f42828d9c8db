"""The walker: reads a row's entries, one per cycle, and computes each one's membrane address."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from spikewright.golden.bits import bits_for
from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.image.rows import COUNT_BITS, LONG
from spikewright.hw.hdl import Component, In, Out, View, data, like, stream
from spikewright.hw.ram import LoadBus, ram
from spikewright.hw.shapes import (
    context_layout,
    descriptor_layout,
    elements,
    field,
    record,
    struct,
    taps,
)


class Walker(Component):
    """Turns rows into additions `(address, operand)`, one per cycle across row borders.

    An entry's addition is output `golden.image.timing.walk` - 1 cycles after its address is
    presented. The token stops the walker (`waiting`) until `resume`; it also waits after reset.
    Taps outside the map are output as invalid. Bit-exact with `golden.image.interpreter` (row walk
    and address).

    Members
    -------
    rows : In(stream of `descriptor_layout`)
    resume : In(1)
        The step's sweep is done: continue.
    waiting : Out(1)
        A register: the token has been reached and all earlier entries are under way.
    busy : Out(1)
        An entry is read in this cycle.
    valid, address, operands, steps, direct : Out
        One addition: the weight of each of the W neurons of a word, times the event's value where
        events have one; the steps of the pass to which it belongs, where a pass has several; and
        `direct` if it belongs to the direct drive (see `hw.shapes.context_layout`).
    """

    rows: stream.Interface
    resume: Signal
    waiting: Signal
    busy: Signal
    valid: Signal
    address: Signal
    operands: View
    steps: Signal
    direct: Signal

    def __init__(self, core: CoreImage, lane: int, load: LoadBus | None = None) -> None:
        self.core, self.lane, self.load = core, lane, load
        width = core.channels_per_word
        self.entry = core.memories[f"entries_{lane}"].layout
        self.channel_bits = bits_for(core.local_channels)
        self.place_bits = self.channel_bits + bits_for(taps(core))
        value = core.value_bits
        self.weight_bits = self.entry.bits("weight") // width
        factor = value + (0 if core.value_signed else 1) * (value > 0)
        self.operand = signed(self.weight_bits + factor)
        super().__init__({
            "rows": In(stream.Signature(struct(descriptor_layout(core, lane)))),
            "resume": In(1),
            "waiting": Out(1, init=1),
            "busy": Out(1),
            "valid": Out(1),
            "address": Out(core.address_bits),
            "operands": Out(data.ArrayLayout(self.operand, width)),
            "steps": Out(core.slots + 1),
            "direct": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Row control, then the pipeline: memory, output register, (dense index,) tap, channel."""
        m = Module()
        memory = self.core.memories[f"entries_{self.lane}"]
        port = ram(m, "entries", memory, self.load).read_port()
        context = struct(context_layout(self.core))
        entry_address = Signal(range(max(len(memory.words), 2)))
        m.d.comb += port.addr.eq(entry_address)
        row_context = record(context)
        begins = Signal()
        read = Signal()
        fetched = Signal()
        begins_read = Signal()
        begins_fetched = Signal()
        context_read = record(context)
        context_fetched = record(context)
        entry = record(struct(self.entry), reset_less=True)  # the memory's output register
        m.d.sync += [read.eq(self.busy), begins_read.eq(begins), context_read.eq(row_context)]
        m.d.sync += [fetched.eq(read), begins_fetched.eq(begins_read)]
        m.d.sync += [context_fetched.eq(context_read), entry.eq(port.data)]
        self._walk(
            m, entry_address, row_context, begins, fetched & field(entry, self.entry, "last")
        )
        weight = Value.cast(entry["weight"])
        if not self.core.relative:
            dense_index = Cat(field(entry, self.entry, "channel")[: self.channel_bits],
                        field(entry, self.entry, "tap"))  # fmt: skip
            self._aim(m, fetched, dense_index, weight, context_fetched)
            return m
        index_valid = Signal()
        weight_indexed = like(weight)
        context_indexed = record(context)
        dense_index = Signal(max(self.place_bits, 1))
        m.d.sync += [
            index_valid.eq(fetched),
            weight_indexed.eq(weight),
            context_indexed.eq(context_fetched),
        ]
        with m.If(fetched):
            m.d.sync += dense_index.eq(
                Mux(begins_fetched, 0, dense_index)
                + field(entry, self.entry, "skip")
                + ~begins_fetched
            )
        self._aim(m, index_valid, dense_index, weight_indexed, context_indexed)
        return m

    def _walk(
        self, m: Module, entry_address: Signal, row_context: View, begins: Signal, flagged: Value
    ) -> None:
        """Present the address of one entry per cycle, row after row; stop at the token."""
        head = self.rows.payload
        taken = Signal()
        load = Signal()
        final = self._final(m, taken, flagged)
        m.d.comb += load.eq(~self.waiting & (~self.busy | final))
        m.d.comb += taken.eq(load & self.rows.valid & ~head["last"])
        m.d.comb += self.rows.ready.eq(load)
        # Without meaning where no row is read.
        m.d.sync += [entry_address.eq(entry_address + 1), begins.eq(0)]
        with m.If(final):
            m.d.sync += self.busy.eq(0)
        with m.If(load & self.rows.valid):
            with m.If(head["last"]):
                m.d.sync += self.waiting.eq(1)
            with m.Else():
                m.d.sync += [self.busy.eq(1), entry_address.eq(head["start"]), begins.eq(1)]
                m.d.sync += [
                    row_context[name].eq(head[name]) for name, _ in context_layout(self.core).fields
                ]
        with m.If(self.resume):
            m.d.sync += self.waiting.eq(0)

    def _final(self, m: Module, taken: Signal, flagged: Value) -> Signal:
        """A register: the presented address is the row's final one; `taken`: a row begins next."""
        final = Signal()
        length = self.core.row_lengths[self.lane]
        count = Signal(COUNT_BITS if length is None else range(length + 1))
        first = self.rows.payload["count"] if length is None else Const(length)
        # A long row is flagged in its fourth last entry, which is in the output register when the
        # address of the second last is presented.
        long = count == LONG if length is None else Const(0)
        with m.If(taken):
            m.d.sync += [count.eq(first), final.eq(first == 1)]
        with m.Elif(self.busy):
            m.d.sync += final.eq(~final & Mux(long, flagged, count == 2))
            with m.If(~long):
                m.d.sync += count.eq(count - 1)
        return final

    def _aim(
        self, m: Module, fetched: Signal, dense_index: Value, weight: Value, row_context: View
    ) -> None:  # fmt: skip
        """Two registers: base + offset of the tap and the products; then + channel.

        `dense_index`: tap above channel.
        """
        core, layout = self.core, context_layout(self.core)
        base = Signal(core.address_bits)
        channel = Signal(max(self.channel_bits, 1))
        inside = Const(1, 1)
        offset = Const(0, 1)
        if taps(core) > 1:
            memory = core.memories["taps"]
            tap = ram(m, "taps", memory, self.load).read_port(domain="comb")
            m.d.comb += tap.addr.eq(dense_index[self.channel_bits :])
            offset = tap.data["offset"]
            inside = row_context["mask_y"].bit_select(field(tap.data, memory.layout, "ky"), 1)
            inside &= row_context["mask_x"].bit_select(field(tap.data, memory.layout, "kx"), 1)
        valid = Signal()
        m.d.sync += [
            valid.eq(fetched & inside),
            base.eq(field(row_context, layout, "base") + offset),
            channel.eq(dense_index[: self.channel_bits]),
            self.direct.eq(field(row_context, layout, "direct")),
            self.steps.eq(field(row_context, layout, "steps")),
        ]
        for column, operand in enumerate(elements(self.operands)):
            product = weight.word_select(column, self.weight_bits).as_signed()
            if layout.bits("value"):
                value = row_context["value"]
                product = product * (value.as_signed() if core.value_signed else value)
            m.d.sync += operand.eq(product)
        m.d.comb += [self.valid.eq(valid), self.address.eq(base + channel)]
