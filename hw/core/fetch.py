"""The front end of a lane: a FIFO of row requests, and the prefetch of their pointers."""

from amaranth.hdl import Cat, Const, Module, Signal, Value

from spikewright.golden.image import timing
from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.core.lif import times_constant
from spikewright.hw.hdl import Component, In, Out, View, like, stream
from spikewright.hw.ram import LoadBus, ram
from spikewright.hw.shapes import (
    context_layout,
    descriptor_layout,
    field,
    record,
    request_layout,
    struct,
)
from spikewright.hw.streams.fifo import Fifo


class Fetch(Component):
    """Turns row requests into row descriptors, in order; drops empty rows.

    Latency 6 cycles through empty queues; one request per cycle as long as descriptors are taken,
    empty rows included. Bit-exact with `golden.image.rows.read_rows`.

    Members
    -------
    request, valid : In
        A request is taken in every cycle with `valid`.
    room : Out(1)
        At most `golden.image.timing.ready_level` requests waited; up to `golden.image.timing.slack`
        more may still arrive.
    rows : Out(stream of `descriptor_layout`)
        Rows of at least one entry, and tokens.
    """

    request: View
    valid: Signal
    room: Signal
    rows: stream.Interface

    def __init__(self, core: CoreImage, lane: int, load: LoadBus | None = None) -> None:
        self.core, self.lane, self.load = core, lane, load
        super().__init__({
            "request": In(struct(request_layout(core))),
            "valid": In(1),
            "room": Out(1),
            "rows": Out(stream.Signature(struct(descriptor_layout(core, lane)))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Request FIFO, pointer stage (two cycles), descriptor FIFO with credits."""
        m = Module()
        core = self.core
        layout, context = request_layout(core), context_layout(core)
        m.submodules.queue = queue = Fifo(width=layout.width, depth=timing.QUEUE_DEPTH)
        ready = descriptor_layout(core, self.lane)
        m.submodules.ahead = ahead = Fifo(width=ready.width, depth=timing.DESCRIPTORS)
        # `room` is a register: two requests may arrive between its cause and its fall.
        ready_level = timing.ready_level(len(core.edges))
        m.d.comb += [queue.w_data.eq(self.request), queue.w_en.eq(self.valid)]
        m.d.sync += self.room.eq(queue.level <= ready_level)

        head = View(struct(layout), queue.r_data)
        credits = Signal(range(timing.DESCRIPTORS + 1), init=timing.DESCRIPTORS)
        take = Signal()
        m.d.comb += [take.eq(queue.r_rdy & (credits != 0)), queue.r_en.eq(take)]

        valid_read = Signal()
        valid_found = Signal()
        request_read = record(struct(layout))
        request_found = record(struct(layout))
        m.d.sync += [valid_read.eq(take), request_read.eq(head)]
        m.d.sync += [valid_found.eq(valid_read), request_found.eq(request_read)]
        row = record(struct(ready))
        filled = self._find(m, head["row"], row)

        keep = Signal()
        m.d.comb += keep.eq(request_found["last"] | filled)
        m.d.comb += [
            row["last"].eq(request_found["last"]),
            *(row[name].eq(field(request_found, layout, name)) for name, _ in context.fields),
            ahead.w_data.eq(row),
            ahead.w_en.eq(valid_found & keep),
        ]
        m.d.comb += [
            self.rows.valid.eq(ahead.r_rdy),
            Cat(self.rows.payload).eq(ahead.r_data),
            ahead.r_en.eq(self.rows.ready),
        ]
        # Credits return one cycle late: `ready` arrives late in the cycle, and the sum is slow.
        row_dropped = Signal()
        row_left = Signal()
        m.d.sync += [
            row_dropped.eq(valid_found & ~keep),
            row_left.eq(self.rows.valid & self.rows.ready),
        ]
        m.d.sync += credits.eq(credits - take + row_dropped + row_left)
        return m

    def _find(self, m: Module, number: Value, row: View) -> Value:
        """Look up start and length of a row, two cycles later; return whether it has entries."""
        length = self.core.row_lengths[self.lane]
        if length is not None:
            # Rows of equal length: a product instead of a memory.
            start = like(row["start"])
            product = like(row["start"])
            positive = Cat(number, Const(0, 1))
            m.d.sync += [product.eq(times_constant(positive, length)), start.eq(product)]
            m.d.comb += row["start"].eq(start)
            return Const(1)
        memory = self.core.memories[f"pointers_{self.lane}"]
        port = ram(m, "pointers", memory, self.load).read_port()
        pointer = record(struct(memory.layout), reset_less=True)
        m.d.comb += port.addr.eq(number)
        m.d.sync += pointer.eq(port.data)
        m.d.comb += [row["start"].eq(pointer["start"]), row["count"].eq(pointer["count"])]
        return pointer["count"] != 0
