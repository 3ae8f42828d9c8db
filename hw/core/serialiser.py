"""The serialiser: vectors of spikes become address events, lowest column first, then the token."""

import functools

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikewright.golden.bits import bits_for
from spikewright.golden.image import timing
from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.image.rows import Layout
from spikewright.hw.core.order import Order
from spikewright.hw.core.visits import Rounds
from spikewright.hw.hdl import Component, In, Out, Ram, View, data, stream
from spikewright.hw.shapes import event_layout, record, struct
from spikewright.hw.streams.fifo import Fifo


def output_event(core: CoreImage) -> Layout:
    """The fields of a core's output: a spike's position, or a logit's index and value."""
    if core.kind == "readout":
        return Layout.of(index=max(bits_for(core.size[0]), 1), value=core.state_bits)
    return core.event


class Serialiser(Component):
    """Sends one event per cycle from the vectors of a sweep, in the order of the sweep.

    A spiking core sends its spikes and, after the last visit of a pass, the token. Where a pass has
    several steps, the vectors of a word wait for that of its last step and are sent as one: a
    column that fired in any step is an event, with the mask of these steps. Where the sweep visits
    the positions of a max pool's window in succession, the vectors of a window are ORed and sent as
    one, with its last position; a window cut by the border sends nothing. A readout sends only the
    logits of an inference's last step; `last` marks the final one. Vectors without spikes take no
    cycle here. Bit-exact with the order of `golden.image.interpreter` (spikes).

    A credit is taken in a cycle with `issued`. It returns in the cycle of `valid` if the vector
    is not kept, else in the cycle in which it leaves the FIFO; `room` follows in the next one. A
    vector that is kept in cycle c can leave the FIFO in c + `timing.FIFO`, its first event is
    offered in c + `timing.FIFO` + 2; the next vector leaves the FIFO in the cycle in which the
    last event (or the token) enters the output register.

    Members
    -------
    issued : In(1)
        A word has been issued to the sweep: its vector will follow.
    room : Out(1)
        Another word may be issued; the FIFO has room for all vectors under way.
    valid, fired, membranes, final, end : In
        The vector of one visit, `membranes` column 0 lowest; of an inference's last step; the last
        of a pass.
    events : Out(stream of `event_layout`)
    """

    issued: Signal
    room: Signal
    valid: Signal
    fired: Signal
    membranes: Signal
    final: Signal
    end: Signal
    events: stream.Interface

    def __init__(self, core: CoreImage) -> None:
        self.core = core
        self.logits = core.kind == "readout"
        self.layout = event_layout(output_event(core))
        super().__init__({
            "issued": In(1),
            "room": Out(1, init=1),
            "valid": In(1),
            "fired": In(core.columns),
            "membranes": In(core.columns * core.state_bits),
            "final": In(1),
            "end": In(1),
            "events": Out(stream.Signature(struct(self.layout))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Position, merging, the FIFO of vectors with its credits, and the selection of events."""
        m = Module()
        core = self.core
        several = core.steps_per_pass > 1
        m.submodules.order = order = Order(core)
        fired, whole = self._gathered(m) if several else (self.fired, Const(1))
        complete = Signal()  # the vector of a word's last step
        m.d.comb += [complete.eq(self.valid & whole), order.step.eq(complete)]
        place = self._place(m, order)
        mask = Signal(core.columns)
        keep = Signal()
        steps = Signal(len(fired))
        if self.logits:
            m.d.comb += [mask.eq(self._present(place["local"])), keep.eq(self.final)]
        else:
            m.d.comb += steps.eq(self._merged(m, order, fired, complete))
            parts = [steps.word_select(n, core.columns) for n in range(core.steps_per_pass)]
            m.d.comb += mask.eq(functools.reduce(lambda some, part: some | part, parts))
            m.d.comb += keep.eq(whole & (mask.any() | self.end))

        vector = data.StructLayout({
            "end": 1, "place": place.shape(), "mask": core.columns,
            "steps": len(steps) if several and not self.logits else 0,
            "values": len(self.membranes) if self.logits else 0,
        })  # fmt: skip
        m.submodules.queue = queue = Fifo(width=vector.size, depth=timing.VECTORS)
        vector_in = record(vector)
        m.d.comb += [
            vector_in["end"].eq(self.end), vector_in["place"].eq(place), vector_in["mask"].eq(mask),
            queue.w_data.eq(vector_in), queue.w_en.eq(self.valid & keep),
        ]  # fmt: skip
        m.d.comb += [vector_in["values"].eq(self.membranes), vector_in["steps"].eq(steps)]
        credits = Signal(range(timing.VECTORS + 1), init=timing.VECTORS)
        # Credits return one cycle late, so that their sum begins with registers.
        not_kept = Signal()
        left_queue = Signal()
        m.d.sync += [not_kept.eq(self.valid & ~keep), left_queue.eq(queue.r_rdy & queue.r_en)]
        m.d.sync += credits.eq(credits - self.issued + not_kept + left_queue)
        # `room` is a register, 1 if a credit is left: the first stage of the sweep depends on it.
        several = credits[2:].any()
        m.d.sync += self.room.eq(several | (credits[:2] + not_kept + left_queue > self.issued))
        self._pick(m, queue, View(vector, queue.r_data))
        return m

    def _place(self, m: Module, order: Order) -> View:
        """The channel of the current word, and its position or that of its window."""
        place = record(data.StructLayout({
            "x": len(order.x), "y": len(order.y), "local": len(order.channel),
        }))  # fmt: skip
        m.d.comb += [place["x"].eq(order.x), place["y"].eq(order.y)]
        m.d.comb += place["local"].eq(order.channel)
        return place

    def _gathered(self, m: Module) -> tuple[Value, Value]:
        """The spikes of a word in all steps, step 0 lowest, and whether this is the last step.

        The spikes of earlier steps are kept, for every word of a block, in a memory. It is read one
        cycle before the visit, whose own cycle has a long path.
        """
        m.submodules.rounds = rounds = Rounds(self.core)
        m.d.comb += rounds.advance.eq(self.valid)
        before = Signal(len(self.fired) * (self.core.steps_per_pass - 1))
        every = Cat(before, self.fired)
        after = every[len(self.fired) :]
        if rounds.length == 1:  # a memory would be read before it is written
            with m.If(self.valid):
                m.d.sync += before.eq(after)
            return every, rounds.last
        m.submodules.fired = memory = Ram(shape=len(before), depth=rounds.length, init=[])
        reader = memory.read_port()
        writer = memory.write_port()
        m.d.comb += [
            reader.addr.eq(rounds.next_index), before.eq(reader.data), writer.addr.eq(rounds.index),
            writer.en.eq(self.valid), writer.data.eq(after),
        ]  # fmt: skip
        return every, rounds.last

    def _merged(self, m: Module, order: Order, fired: Value, complete: Value) -> Value:
        """The spikes sent with this word: those of its window, at the last position."""
        if self.core.window == (1, 1):
            return fired
        before = Signal(len(fired))
        merged = Signal(len(fired))
        m.d.comb += merged.eq(fired | Mux(order.begins_window, 0, before))
        with m.If(complete):
            m.d.sync += before.eq(merged)
        return Mux(order.completes_window, merged, 0)

    def _present(self, local: Value) -> Value:
        """The columns that hold a class at this local channel; the last may be incomplete."""
        core = self.core
        every = (1 << core.columns) - 1
        rest = core.size[0] - (core.local_channels - 1) * core.columns
        return Mux(local == core.local_channels - 1, (1 << rest) - 1, every)

    def _pick(self, m: Module, queue: Fifo, head: View) -> None:
        """One event per cycle from the current vector into the output register."""
        core, events = self.core, self.events
        current = record(head.shape())
        active = Signal()
        token = Signal()
        left = current["mask"]
        below = Signal(core.columns)  # some lower column still has an event
        for column in range(1, core.columns):
            m.d.comb += below[column].eq(left[:column].any())
        first = left & ~below
        column = Signal(max(core.column_bits, 1))
        m.d.comb += column.eq(_index(first))
        rest = left & ~first
        advance = Signal()
        finished = Signal()
        m.d.comb += advance.eq(~events.valid | events.ready)
        # The token takes a cycle of its own, after the spikes; a readout marks its final logit.
        m.d.comb += token.eq(current["end"] & (left == 0) if not self.logits else 0)
        owes_token = current["end"] if not self.logits else 0
        m.d.comb += finished.eq(~active | (advance & (token | ((rest == 0) & ~owes_token))))
        m.d.comb += queue.r_en.eq(finished)
        with m.If(advance):
            m.d.sync += events.valid.eq(active)
            last = (rest == 0) & current["end"] if self.logits else token
            self._present_event(m, current, first, column, last)
            m.d.sync += left.eq(rest)
        with m.If(finished):
            m.d.sync += [active.eq(queue.r_rdy), current.eq(head)]

    def _present_event(
        self, m: Module, current: View, first: Value, column: Signal, last: Value
    ) -> None:
        core, payload = self.core, self.events.payload
        code = Cat(column[: core.column_bits], current["place"]["local"])
        m.d.sync += payload["last"].eq(last)
        if self.logits:
            values = current["values"]
            m.d.sync += payload["index"].eq(code)
            m.d.sync += payload["value"].eq(values.word_select(column, core.state_bits))
            return
        for name, value in (
            ("x", current["place"]["x"]),
            ("y", current["place"]["y"]),
            ("c", code),
            ("steps", self._steps(current["steps"], first)),
        ):
            if self.layout.bits(name):
                m.d.sync += payload[name].eq(value)

    def _steps(self, steps: Value, first: Value) -> Value:
        """The mask of the steps in which the column of the one-hot `first` fired.

        It does not depend on the column's number, which is ready later.
        """
        columns = self.core.columns
        each = [(steps[n : n + columns] & first).any() for n in range(0, len(steps), columns)]
        return Cat(each)


def _index(one_hot: Value) -> Value:
    """The number of the set bit."""
    width = len(one_hot)
    bits = [
        Cat(*(one_hot[i] for i in range(width) if i >> bit & 1)).any()
        for bit in range(max(bits_for(width), 1))
    ]
    return Cat(*bits)
