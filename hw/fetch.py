"""The head of a lane: a queue of row requests, and their pointers fetched ahead."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from golden import timing
from golden.image import CoreImage
from hw.ram import LoadBus, ram
from hw.shapes import context_layout, descriptor_layout, field, record, request_layout, struct


class Fetch(wiring.Component):
    """Turns row requests into row descriptors, in order; empty rows vanish here.

    Latency 6 cycles through empty queues; one request per cycle as long as descriptors are taken,
    empty rows included. Bit-exact with `golden.rows.row_spans`.

    Members
    -------
    request, valid : In
        A request is taken in every cycle with `valid`.
    room : Out(1)
        At most `golden.timing.most` requests waited; `golden.timing.slack` more may still come.
    rows : Out(stream of `descriptor_layout`)
        Rows of at least one entry, and tokens.
    """

    request: data.View
    valid: Signal
    room: Signal
    rows: stream.Interface

    def __init__(self, core: CoreImage, lane: int, load: LoadBus | None = None) -> None:
        self.core, self.lane, self.load = core, lane, load
        super().__init__({
            "request": In(struct(request_layout(core))),
            "valid": In(1),
            "room": Out(1),
            "rows": Out(stream.Signature(struct(descriptor_layout(core)))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Queue, pointer memory (two cycles), descriptor queue; credits bound what is under way."""
        m = Module()
        core = self.core
        layout, context = request_layout(core), context_layout(core)
        m.submodules.queue = queue = SyncFIFOBuffered(width=layout.width, depth=timing.QUEUE_DEPTH)
        ready = descriptor_layout(core)
        m.submodules.ahead = ahead = SyncFIFOBuffered(width=ready.width, depth=timing.DESCRIPTORS)
        # `room` is a register: two requests may have come between its cause and its fall.
        most = timing.most(len(core.edges))
        m.d.comb += [queue.w_data.eq(self.request), queue.w_en.eq(self.valid)]
        m.d.sync += self.room.eq(queue.w_level <= most)

        head = data.View(struct(layout), queue.r_data)
        credits = Signal(range(timing.DESCRIPTORS + 1), init=timing.DESCRIPTORS)
        take = Signal()
        m.d.comb += [take.eq(queue.r_rdy & (credits != 0)), queue.r_en.eq(take)]

        memory = core.memories[f"pointers_{self.lane}"]
        port = ram(m, "pointers", memory, self.load).read_port()
        m.d.comb += port.addr.eq(head["row"])
        read, found = Signal(), Signal()
        asked, got = record(struct(layout)), record(struct(layout))
        pointer = record(struct(memory.layout), reset_less=True)
        m.d.sync += [read.eq(take), asked.eq(head)]
        m.d.sync += [found.eq(read), got.eq(asked), pointer.eq(port.data)]

        keep = Signal()
        m.d.comb += keep.eq(got["last"] | (pointer["count"] != 0))
        row = record(struct(ready))
        m.d.comb += [
            row["last"].eq(got["last"]),
            row["start"].eq(pointer["start"]),
            row["count"].eq(pointer["count"]),
            *(row[name].eq(field(got, layout, name)) for name, _ in context.fields),
            ahead.w_data.eq(row),
            ahead.w_en.eq(found & keep),
        ]
        m.d.comb += [
            self.rows.valid.eq(ahead.r_rdy),
            Cat(self.rows.payload).eq(ahead.r_data),
            ahead.r_en.eq(self.rows.ready),
        ]
        given = (found & ~keep) + (self.rows.valid & self.rows.ready)
        m.d.sync += credits.eq(credits - take + given)
        return m
