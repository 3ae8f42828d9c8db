"""The decoder: turns an event into a row number, a base address and a mask of valid taps."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.image.rows import Layout
from spikewright.hw.core.join import Join
from spikewright.hw.hdl import Component, In, Out, View, like, stream
from spikewright.hw.ram import LoadBus, ram
from spikewright.hw.shapes import (
    context_layout,
    event_layout,
    field,
    record,
    request_layout,
    struct,
)


def lookup_layout(core: CoreImage) -> Layout:
    """A request before the first row of its edge is added; `part` is the row within the edge."""
    parts = [edge.event.bits("c") + edge.row_bits for edge in core.edges]
    return Layout((("part", max(*parts, 1)), *context_layout(core).fields))


class Decoder(Component):
    """Joins the edges of a core, looks up an event in its edge's two small tables, and adds.

    Latency `timing.decode(edges)`: 2 cycles, 3 where several edges meet, one event per cycle.
    Requests under way when `room` falls are still sent (`timing.slack`). Events without valid taps
    are dropped; tokens pass. Bit-exact with the table look-up in `golden.image.interpreter`
    (accumulate).

    An event that is taken in cycle c (see `hw.core.join`) reads the tables of its edge at the end
    of c. In c + 1 row part and base are summed; with several edges the one that was taken is
    selected into a register, and in c + 2 the first row of its edge is added. The request is
    in `request` in cycle c + `timing.decode(edges)`.

    Members
    -------
    source_0, source_1, ... : In(stream of `event_layout`)
        One per incoming edge: channel code, row, column, value; or the token (`last`).
    room : In(1)
        All lanes have room for the requests that may be under way.
    request, valid : Out
        The row request, in a register; valid for one cycle.
    taken, inference_begins : Out(1)
        An event is taken in this cycle; an inference's first beat is taken.
    """

    room: Signal
    request: View
    valid: Signal
    taken: Signal
    inference_begins: Signal

    def __init__(self, core: CoreImage, timesteps: int, load: LoadBus | None = None) -> None:
        self.core, self.timesteps, self.load = core, timesteps, load
        self.layout = request_layout(core)
        sources = {
            f"source_{index}": In(stream.Signature(struct(event_layout(edge.event))))
            for index, edge in enumerate(core.edges)
        }
        super().__init__({
            **sources,
            "room": In(1),
            "request": Out(struct(self.layout)),
            "valid": Out(1),
            "taken": Out(1),
            "inference_begins": Out(1),
        })  # fmt: skip

    @property
    def sources(self) -> list[stream.Interface]:
        """The incoming edges in order."""
        return [getattr(self, f"source_{index}") for index in range(len(self.core.edges))]

    def elaborate(self, platform: object) -> Module:
        """Join and tables, then one register, or two."""
        m = Module()
        m.submodules.join = join = Join(self.core, self.timesteps)
        m.d.comb += [
            join.room.eq(self.room),
            join.valid.eq(Cat(source.valid for source in self.sources)),
            join.last.eq(Cat(source.payload["last"] for source in self.sources)),
            Cat(source.ready for source in self.sources).eq(join.ready),
            self.taken.eq(join.taken.any()),
            self.inference_begins.eq(join.inference_begins),
        ]
        taken_edge = like(join.taken)
        token = Signal()
        m.d.sync += [taken_edge.eq(join.taken), token.eq(join.token)]
        lookups = [self._look_up(m, index) for index in range(len(self.core.edges))]
        if len(lookups) == 1:
            hit, word = lookups[0]
            self._request(m, taken_edge & hit, token, word)
            return m
        hits, words = zip(*lookups, strict=True)
        selected = record(struct(lookup_layout(self.core)))
        start = Signal(self.layout.bits("row"))
        hit = Signal()
        token_selected = Signal()
        m.d.sync += [hit.eq((taken_edge & Cat(hits)).any()), token_selected.eq(token)]
        m.d.sync += [
            selected[name].eq(_select(taken_edge, [word[name] for word in words]))
            for name, _ in lookup_layout(self.core).fields
        ]
        m.d.sync += start.eq(
            _select(taken_edge, [Const(edge.row_start) for edge in self.core.edges])
        )
        self._request(m, hit, token_selected, {name: selected[name] for name in words[0]}, start)
        return m

    def _look_up(self, m: Module, index: int) -> tuple[Value, dict[str, Value]]:
        """Look up the previous beat of edge `index`: whether any tap is valid, and the request."""
        core, edge = self.core, self.core.edges[index]
        layout = event_layout(edge.event)
        beat = self.sources[index].payload
        held = record(struct(layout))
        m.d.sync += held.eq(beat)
        y = self._table(m, f"table_y_{index}", field(beat, layout, "y"))
        x = self._table(m, f"table_x_{index}", field(beat, layout, "x"))
        position = Signal(max(edge.row_bits, 1))
        m.d.comb += position.eq(y["row"] + x["row"])
        word = {
            "part": Cat(position[: edge.row_bits], field(held, layout, "c")),
            "base": y["base"] + x["base"],
            "mask_y": y["mask"],
            "mask_x": x["mask"],
            "value": self._value(held, index),
            "direct": Const(int(edge.direct)),
            "steps": field(held, layout, "steps"),
        }
        kept = {name: word[name] for name, _ in lookup_layout(core).fields}
        return y["mask"].any() & x["mask"].any(), kept

    def _value(self, held: View, index: int) -> Value:
        """The event's value; 1 if it carries none."""
        edge = self.core.edges[index]
        if not edge.event.bits("value"):
            return Const(1)
        return held["value"].as_signed() if edge.value_signed else held["value"]

    def _table(self, m: Module, name: str, address: Value) -> dict[str, Value]:
        """The word of one table, a cycle after its address."""
        memory = self.core.memories[name]
        port = ram(m, name, memory, self.load).read_port()
        m.d.comb += port.addr.eq(address)
        return {key: field(port.data, memory.layout, key) for key in ("mask", "row", "base")}

    def _request(
        self, m: Module, hit: Value, token: Value, word: dict[str, Value], start: Value | int = 0
    ) -> None:
        """The last register: the row of the pointer memory, and its context."""
        request = self.request
        m.d.sync += [
            self.valid.eq(token | hit),
            request["last"].eq(token),
            request["row"].eq(word["part"] + start),
        ]
        m.d.sync += [request[name].eq(word[name]) for name, _ in context_layout(self.core).fields]


def _select(taken_edge: Value, words: list[Value]) -> Value:
    """The word whose bit in the one-hot `taken_edge` is set."""
    total: Value = Const(0)
    for index, word in enumerate(words):
        total = total | Mux(taken_edge[index], word, 0)
    return total
