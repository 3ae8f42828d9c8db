"""The serialiser: vectors of spikes become address events, lowest lane first, then the token."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden import timing
from golden.image import CoreImage
from golden.rows import Layout, bits_for
from hw.order import Order
from hw.queue import Queue
from hw.shapes import event_layout, record, struct


def output_event(core: CoreImage) -> Layout:
    """The fields of an event that a core sends: a spike's place, or a logit's index and value."""
    if core.kind == "readout":
        return Layout.of(index=max(bits_for(core.size[0]), 1), value=core.state_bits)
    return core.event


class Serialiser(wiring.Component):
    """Sends one event per cycle from the vectors of a sweep, in the order of the sweep.

    A spiking core sends its spikes and, after the last word of a sweep, the token. Where the sweep
    visits the positions of a max pool's window in succession, the vectors of a window are ORed and
    leave as one, with its last position; a window that the border cuts sends nothing. A readout
    sends nothing but the logits of an inference's last step; `last` marks the final one. Silent
    vectors cost no cycle here. Bit-exact with the order of `golden.interpreter` (spikes).

    A credit is taken in a cycle with `issued`. It comes back in the cycle of `valid` if the vector
    is not kept, else in the cycle in which it leaves the queue; `room` follows in the next one. A
    vector that is kept in cycle c can leave the queue in c + `timing.FIFO`, its first event is
    offered in c + `timing.FIFO` + 2; the next vector leaves the queue in the cycle in which the
    last event (or the token) goes into the output register.

    Members
    -------
    issued : In(1)
        A word has been sent into the sweep: its vector will come.
    room : Out(1)
        Another word may be issued; the queue can hold all vectors under way.
    valid, fired, membranes, final, end : In
        The vector of one word, `membranes` lane 0 lowest; the last step's; the last word's.
    address : Out
        The word whose vector is awaited, for the trace.
    events : Out(stream of `event_layout`)
    """

    issued: Signal
    room: Signal
    valid: Signal
    fired: Signal
    membranes: Signal
    final: Signal
    end: Signal
    address: Signal
    events: stream.Interface

    def __init__(self, core: CoreImage) -> None:
        self.core = core
        self.logits = core.kind == "readout"
        self.layout = event_layout(output_event(core))
        super().__init__({
            "issued": In(1),
            "room": Out(1, init=1),  # pyright: ignore[reportCallIssue] (stub gap)
            "valid": In(1),
            "fired": In(core.lanes),
            "membranes": In(core.lanes * core.state_bits),
            "final": In(1),
            "end": In(1),
            "address": Out(core.address_bits),
            "events": Out(stream.Signature(struct(self.layout))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """The place, the merger, the queue of vectors with its credits, and the event picker."""
        m = Module()
        core = self.core
        m.submodules.order = order = Order(core)
        m.d.comb += [order.step.eq(self.valid), self.address.eq(order.address)]
        place = self._place(m, order)
        mask, keep = Signal(core.lanes), Signal()
        if self.logits:
            m.d.comb += [mask.eq(self._present(place["local"])), keep.eq(self.final)]
        else:
            m.d.comb += [mask.eq(self._merged(m, order)), keep.eq(mask.any() | self.end)]

        vector = data.StructLayout({
            "end": 1, "place": place.shape(), "mask": core.lanes,
            "values": len(self.membranes) if self.logits else 0,
        })  # fmt: skip
        m.submodules.queue = queue = Queue(width=vector.size, depth=timing.VECTORS)
        given = record(vector)
        m.d.comb += [
            given["end"].eq(self.end), given["place"].eq(place), given["mask"].eq(mask),
            queue.w_data.eq(given), queue.w_en.eq(self.valid & keep),
        ]  # fmt: skip
        if self.logits:
            m.d.comb += given["values"].eq(self.membranes)
        credits = Signal(range(timing.VECTORS + 1), init=timing.VECTORS)
        # Credits come back a cycle late, so that their sum begins with registers.
        silent, left = Signal(), Signal()
        m.d.sync += [silent.eq(self.valid & ~keep), left.eq(queue.r_rdy & queue.r_en)]
        m.d.sync += credits.eq(credits - self.issued + silent + left)
        # `room` is a register that says whether a credit is left: the sweep begins with it.
        several = credits[2:].any()
        m.d.sync += self.room.eq(several | (credits[:2] + silent + left > self.issued))
        self._pick(m, queue, data.View(vector, queue.r_data))
        return m

    def _place(self, m: Module, order: Order) -> data.View:
        """Where the awaited word lies: its channel, and its position or that of its window."""
        place = record(data.StructLayout({
            "x": len(order.x), "y": len(order.y), "local": len(order.channel),
        }))  # fmt: skip
        m.d.comb += [place["x"].eq(order.x), place["y"].eq(order.y)]
        m.d.comb += place["local"].eq(order.channel)
        return place

    def _merged(self, m: Module, order: Order) -> Value:
        """The spikes that leave with this word: those of its window, at the last position."""
        if self.core.window == (1, 1):
            return self.fired
        before, merged = Signal(self.core.lanes), Signal(self.core.lanes)
        m.d.comb += merged.eq(self.fired | Mux(order.opens, 0, before))
        with m.If(self.valid):
            m.d.sync += before.eq(merged)
        return Mux(order.closes, merged, 0)

    def _present(self, local: Value) -> Value:
        """Which lanes hold a class at this local channel: only the last may be incomplete."""
        core = self.core
        every = (1 << core.lanes) - 1
        rest = core.size[0] - (core.local_channels - 1) * core.lanes
        return Mux(local == core.local_channels - 1, (1 << rest) - 1, every)

    def _pick(self, m: Module, queue: Queue, head: data.View) -> None:
        """One event per cycle from the current vector into the output register."""
        core, events = self.core, self.events
        current = record(head.shape())
        active, token = Signal(), Signal()
        left = current["mask"]
        below = Signal(core.lanes)  # some lower lane still has an event
        for lane in range(1, core.lanes):
            m.d.comb += below[lane].eq(left[:lane].any())
        first = left & ~below
        lane = Signal(max(core.lane_bits, 1))
        m.d.comb += lane.eq(_index(first))
        rest = left & ~first
        advance, finished = Signal(), Signal()
        m.d.comb += advance.eq(~events.valid | events.ready)
        # The token takes a cycle of its own, after the spikes; a readout marks its final logit.
        m.d.comb += token.eq(current["end"] & (left == 0) if not self.logits else 0)
        owes_token = current["end"] if not self.logits else 0
        m.d.comb += finished.eq(~active | (advance & (token | ((rest == 0) & ~owes_token))))
        m.d.comb += queue.r_en.eq(finished)
        with m.If(advance):
            m.d.sync += events.valid.eq(active)
            self._present_event(
                m, current, lane, (rest == 0) & current["end"] if self.logits else token
            )
            m.d.sync += left.eq(rest)
        with m.If(finished):
            m.d.sync += [active.eq(queue.r_rdy), current.eq(head)]

    def _present_event(self, m: Module, current: data.View, lane: Signal, last: Value) -> None:
        core, payload = self.core, self.events.payload
        code = Cat(lane[: core.lane_bits], current["place"]["local"])
        m.d.sync += payload["last"].eq(last)
        if self.logits:
            values = current["values"]
            m.d.sync += payload["index"].eq(code)
            m.d.sync += payload["value"].eq(values.word_select(lane, core.state_bits))
            return
        for name, value in (
            ("x", current["place"]["x"]),
            ("y", current["place"]["y"]),
            ("c", code),
        ):
            if self.layout.bits(name):
                m.d.sync += payload[name].eq(value)


def _index(one_hot: Value) -> Value:
    """The number of the only bit that is set."""
    width = len(one_hot)
    bits = [
        Cat(*(one_hot[i] for i in range(width) if i >> place & 1)).any()
        for place in range(max(bits_for(width), 1))
    ]
    return Cat(*bits)
