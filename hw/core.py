"""A core: everything that computes one node, event stream in, event stream out."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden import timing
from golden.counters import COUNTERS
from golden.image import CoreImage
from hw.counters import WIDTH, Counters
from hw.decoder import Decoder
from hw.lane import Lane
from hw.serialiser import Serialiser, output_event
from hw.shapes import event_layout, struct
from hw.sweep import SweepController


def trace_layout(core: CoreImage) -> data.StructLayout:
    """What a sweep shows of one membrane word: spikes and membranes of all lanes, lane 0 lowest."""
    return data.StructLayout({
        "valid": 1,
        "address": core.address_bits,
        "fired": core.lanes,
        "membranes": core.lanes * core.state_bits,
    })  # fmt: skip


class Core(wiring.Component):
    """Decoder, lanes, common sweep and serialiser of one node.

    Accepts one event per cycle while no lane lags by more than its queue; each lane adds one
    weight per cycle; a step ends with one cycle per membrane word, and a fixed pause. Bit-exact
    with `golden.interpreter` in every spike, every membrane and their order.

    Members
    -------
    source : In(stream of events), sink : Out(stream of events)
        Events of a step, then its token; a direct core takes one token per inference. The sink of
        a readout carries logits.
    trace : Out(`trace_layout`)
        Every membrane and spike at the end of every step.
    count_clear : In(1), counts : Out
        See `hw.counters`.
    """

    source: stream.Interface
    sink: stream.Interface
    trace: data.View
    count_clear: Signal
    counts: Signal

    def __init__(self, core: CoreImage, timesteps: int) -> None:
        self.core, self.timesteps = core, timesteps
        super().__init__({
            "source": In(stream.Signature(struct(event_layout(core.edges[0].event)))),
            "sink": Out(stream.Signature(struct(event_layout(output_event(core))))),
            "trace": Out(trace_layout(core)),
            "count_clear": In(1),
            "counts": Out(len(COUNTERS) * WIDTH),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Wires the parts; the sweep reaches every stage behind delays of `golden.timing`."""
        m = Module()
        core = self.core
        m.submodules.decoder = decoder = Decoder(core)
        m.submodules.controller = sweep = SweepController(core, self.timesteps)
        m.submodules.serialiser = serialiser = Serialiser(core)
        lanes = [Lane(core, lane) for lane in range(core.lanes)]
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = lane
        wiring.connect(m, wiring.flipped(self.source), decoder.events)
        wiring.connect(m, serialiser.events, wiring.flipped(self.sink))
        m.d.sync += decoder.room.eq(Cat(*(lane.room for lane in lanes)).all())
        m.d.sync += sweep.waiting.eq(Cat(*(lane.waiting for lane in lanes)).all())
        for lane in lanes:
            m.d.comb += [
                lane.request.eq(decoder.request),
                lane.valid.eq(decoder.valid),
                lane.go.eq(sweep.go),
            ]
        self._sweep(m, sweep, lanes, serialiser)
        self._count(m, sweep, lanes)
        return m

    def _sweep(
        self, m: Module, sweep: SweepController, lanes: list[Lane], serialiser: Serialiser
    ) -> None:
        """Bring each address to the lanes behind all entries, and its results to the serialiser."""
        core = self.core
        # Lanes register it once more: after `WALK` cycles it stands where additions stand.
        address = _delay(m, Value.cast(sweep.address), timing.WALK - 1, "address")
        marks = Signal(4)  # valid result, end, final, restart
        valid = sweep.address["valid"]
        m.d.comb += marks.eq(
            Cat(valid & ~sweep.clear, sweep.end, sweep.final, sweep.final | sweep.clear)
        )
        result = _delay(m, marks, timing.WALK + timing.RESULT, "result")
        restart = _delay(m, result[3], timing.SWEEP - 1 - timing.RESULT, "restart")
        write = _delay(m, valid, timing.WALK + timing.SWEEP, "write")
        write_address = Signal(core.address_bits)
        with m.If(write):
            m.d.sync += write_address.eq(write_address + 1)
            with m.If(write_address == core.words - 1):
                m.d.sync += write_address.eq(0)
        for lane in lanes:
            m.d.comb += [
                lane.sweep.eq(address),
                lane.restart.eq(restart),
                lane.write.eq(write),
                lane.write_address.eq(write_address),
            ]
        fired = Cat(*(lane.fired for lane in lanes))
        membranes = Cat(*(lane.membrane for lane in lanes))
        m.d.comb += [
            sweep.room.eq(serialiser.room),
            serialiser.issued.eq(valid & ~sweep.clear),
            serialiser.valid.eq(result[0]),
            serialiser.end.eq(result[1]),
            serialiser.final.eq(result[2]),
            serialiser.fired.eq(fired),
            serialiser.membranes.eq(membranes),
            self.trace["valid"].eq(result[0]),
            self.trace["address"].eq(serialiser.address),
            self.trace["fired"].eq(fired),
            self.trace["membranes"].eq(membranes),
        ]

    def _count(self, m: Module, sweep: SweepController, lanes: list[Lane]) -> None:
        """Say what each cycle is spent on."""
        m.submodules.counters = counters = Counters(self.core.lanes)
        taken = self.source.valid & self.source.ready
        sent = self.sink.valid & self.sink.ready
        # An inference is open from its first beat; a later one may wait in the queues at its end.
        inside = Signal()
        with m.If(sweep.done):
            m.d.sync += inside.eq(taken | lanes[0].pending)
        with m.Elif(taken):
            m.d.sync += inside.eq(1)
        busy = Cat(*(lane.busy for lane in lanes)).any()
        synapses = Signal(self.core.lanes)
        m.d.sync += synapses.eq(Cat(*(lane.synapse for lane in lanes)))
        logits = self.core.kind == "readout"
        increments = {
            "busy": sweep.accumulating & busy,
            "waiting": sweep.accumulating & ~busy & inside,
            "stalled": sweep.stalled,
            "sweep": sweep.sweeping,
            "idle": sweep.accumulating & ~busy & ~inside,
            "events_in": taken & ~self.source.payload["last"],
            "events_out": sent & (1 if logits else ~self.sink.payload["last"]),
            "synops": sum(synapses[lane] for lane in range(self.core.lanes)),
        }
        for index, name in enumerate(COUNTERS):
            m.d.comb += counters.increments.word_select(index, counters.step).eq(increments[name])
        m.d.comb += [counters.clear.eq(self.count_clear), self.counts.eq(counters.values)]


def _delay(m: Module, value: Value, cycles: int, name: str) -> Value:
    """`value`, `cycles` later."""
    for cycle in range(cycles):
        later = Signal.like(value, name=f"{name}_{cycle + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value
