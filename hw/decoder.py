"""The decoder: an event becomes a row number, a base address and the taps that stay inside."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.image import CoreImage
from golden.rows import Memory
from hw.shapes import event_layout, field, ram, record, request_layout, struct


class Decoder(wiring.Component):
    """Looks an event up in two small tables, indexed by y and x, and adds.

    Latency 2 cycles, one event per cycle. `events.ready` follows `room` one cycle later; what is
    then under way still comes out (`golden.timing.QUEUE_SLACK`). Events whose taps all fall outside
    are dropped; tokens pass. Bit-exact with the table look-up in `golden.interpreter`.

    Parameters
    ----------
    core
        The image of the core; its `table_y_0` and `table_x_0` become memories here.

    Members
    -------
    events : In(stream of `event_layout`)
        Channel code, row, column, value; or the token (`last`).
    room : In(1)
        All lanes can take what may be under way.
    request, valid : Out
        The row request, in a register; valid for one cycle.
    """

    events: stream.Interface
    room: Signal
    request: data.View
    valid: Signal

    def __init__(self, core: CoreImage) -> None:
        self.core = core
        self.event = event_layout(core.edges[0].event)
        self.layout = request_layout(core)
        super().__init__({
            "events": In(stream.Signature(struct(self.event))),
            "room": In(1),
            "request": Out(struct(self.layout)),
            "valid": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Stage 1 reads the tables, stage 2 adds."""
        m = Module()
        core, beat = self.core, self.events.payload
        looked = Signal()
        held = record(struct(self.event))
        m.d.sync += self.events.ready.eq(self.room)
        m.d.sync += [looked.eq(self.events.valid & self.events.ready), held.eq(beat)]

        found_y = self._table(m, "table_y_0", field(beat, self.event, "y"))
        found_x = self._table(m, "table_x_0", field(beat, self.event, "x"))
        inside = found_y["mask"].any() & found_x["mask"].any()

        request, layout = self.request, self.layout
        m.d.sync += self.valid.eq(looked & (held["last"] | inside))
        m.d.sync += request["last"].eq(held["last"])
        position = Signal(max(core.edges[0].row_bits, 1))
        m.d.comb += position.eq(found_y["row"] + found_x["row"])
        code = field(held, self.event, "c")
        m.d.sync += request["row"].eq(Cat(position[: core.edges[0].row_bits], code))
        if layout.bits("base"):
            m.d.sync += request["base"].eq(found_y["base"] + found_x["base"])
        if layout.bits("mask_y"):
            m.d.sync += [
                request["mask_y"].eq(found_y["mask"]),
                request["mask_x"].eq(found_x["mask"]),
            ]
        if layout.bits("value"):
            m.d.sync += request["value"].eq(held["value"])
        return m

    def _table(self, m: Module, name: str, address: Value) -> dict[str, Value]:
        """The word of one table, a cycle after its address."""
        memory: Memory = self.core.memories[name]
        port = ram(m, name, memory).read_port()
        m.d.comb += port.addr.eq(address)
        return {key: field(port.data, memory.layout, key) for key in ("mask", "row", "base")}
