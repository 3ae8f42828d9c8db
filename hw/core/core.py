"""A core: everything that computes one node, event stream in, event stream out."""

from amaranth.hdl import Cat, Module, Signal, Value

from spikewright.golden.image import timing
from spikewright.golden.image.counters import COUNTERS
from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.core.counters import WIDTH, Counters
from spikewright.hw.core.decoder import Decoder
from spikewright.hw.core.lane import Lane
from spikewright.hw.core.serialiser import Serialiser, output_event
from spikewright.hw.core.sweep import SweepController
from spikewright.hw.core.visits import Visits
from spikewright.hw.hdl import Component, In, Out, View, connect, data, flipped, like, stream
from spikewright.hw.ram import LoadBus
from spikewright.hw.shapes import event_layout, struct


def trace_layout(core: CoreImage) -> data.StructLayout:
    """The trace of a visit of one membrane word: spikes and membranes of all columns, lowest first.

    `address` has the step of the pass above the word's address.
    """
    return data.StructLayout({
        "valid": 1,
        "address": core.visit_bits,
        "fired": core.columns,
        "membranes": core.columns * core.state_bits,
    })  # fmt: skip


class Core(Component):
    """Decoder, lanes, common sweep and serialiser of one node.

    Accepts one event per cycle while no lane lags by more than its FIFO; each lane walks one
    entry per cycle; a pass ends with one cycle per membrane word and step, and a fixed pause.
    Bit-exact with `golden.image.interpreter` in every spike, every membrane and their order.

    Members
    -------
    source_0, source_1, ... : In(stream of events), sink : Out(stream of events)
        One source per incoming edge: events of a step, then its token; direct edges send one
        frame and one token per inference. The sink of a readout carries logits.
    trace : Out(`trace_layout`)
        Every membrane and spike at the end of every step, in the order of the sweep.
    broken : Out(1)
        For verification: an inner stream breaks a handshake rule (`hw.streams.monitor`).
    count_clear : In(1), counts : Out
        See `hw.core.counters`.
    """

    sink: stream.Interface
    trace: View
    broken: Signal
    count_clear: Signal
    counts: Signal

    def __init__(self, core: CoreImage, timesteps: int, load: LoadBus | None = None) -> None:
        self.core, self.timesteps, self.load = core, timesteps, load
        sources = {
            f"source_{index}": In(stream.Signature(struct(event_layout(edge.event))))
            for index, edge in enumerate(core.edges)
        }
        super().__init__({
            **sources,
            "sink": Out(stream.Signature(struct(event_layout(output_event(core))))),
            "trace": Out(trace_layout(core)),
            "broken": Out(1),
            "count_clear": In(1),
            "counts": Out(len(COUNTERS) * WIDTH),
        })  # fmt: skip

    @property
    def sources(self) -> list[stream.Interface]:
        """The incoming edges in order."""
        return [getattr(self, f"source_{index}") for index in range(len(self.core.edges))]

    def elaborate(self, platform: object) -> Module:
        """Wires the parts; delays of `golden.image.timing` take the sweep to every stage."""
        m = Module()
        core = self.core
        load = self.load.staged(m) if self.load else None
        m.submodules.decoder = decoder = Decoder(core, self.timesteps, load)
        m.submodules.controller = sweep = SweepController(core, self.timesteps)
        m.submodules.serialiser = serialiser = Serialiser(core)
        lanes = [Lane(core, lane, load) for lane in range(core.lanes)]
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = lane
        for source, inner in zip(self.sources, decoder.sources, strict=True):
            connect(m, flipped(source), inner)
        connect(m, serialiser.events, flipped(self.sink))
        m.d.sync += decoder.room.eq(Cat(*(lane.room for lane in lanes)).all())
        m.d.sync += sweep.waiting.eq(Cat(*(lane.waiting for lane in lanes)).all())
        for lane in lanes:
            m.d.comb += [
                lane.request.eq(decoder.request),
                lane.valid.eq(decoder.valid),
                lane.resume.eq(sweep.resume),
            ]
        self._sweep(m, sweep, lanes, serialiser)
        self._count(m, decoder, sweep, lanes)
        m.d.comb += self.broken.eq(Cat(*(lane.broken for lane in lanes)).any())
        return m

    def _sweep(
        self, m: Module, sweep: SweepController, lanes: list[Lane], serialiser: Serialiser
    ) -> None:
        """Route each address to the lanes, after all entries, and its results to the serialiser."""
        core = self.core
        walk = timing.walk(core.relative)
        # Lanes register it once more: after `walk` cycles it is in the stage of additions.
        address = _delay(m, Value.cast(sweep.address), walk - 1, "address")
        marks = Signal(4)  # valid result, end, final, restart
        valid = sweep.address["valid"]
        m.d.comb += marks.eq(
            Cat(valid & ~sweep.clear, sweep.end, sweep.final, sweep.final | sweep.clear)
        )
        result = _delay(m, marks, walk + timing.RESULT, "result")
        restart = _delay(m, result[3], timing.SWEEP - 1 - timing.RESULT, "restart")
        write = _delay(m, valid, walk + timing.SWEEP, "write")
        m.submodules.write_visits = write_visits = Visits(core)
        m.submodules.trace_visits = trace_visits = Visits(core)
        m.d.comb += [write_visits.advance.eq(write), trace_visits.advance.eq(result[0])]
        for lane in lanes:
            m.d.comb += [
                lane.sweep.eq(address),
                lane.restart.eq(restart),
                lane.write.eq(write),
                lane.write_last.eq(write_visits.last),
                lane.write_address.eq(write_visits.address),
            ]
        fired = Cat(*(lane.fired for lane in lanes))
        membranes = Cat(*(lane.membranes for lane in lanes))
        m.d.comb += [
            sweep.room.eq(serialiser.room),
            serialiser.issued.eq(valid & ~sweep.clear),
            serialiser.valid.eq(result[0]),
            serialiser.end.eq(result[1]),
            serialiser.final.eq(result[2]),
            serialiser.fired.eq(fired),
            serialiser.membranes.eq(membranes),
            self.trace["valid"].eq(result[0]),
            self.trace["address"].eq(Cat(trace_visits.address, trace_visits.step)),
            self.trace["fired"].eq(fired),
            self.trace["membranes"].eq(membranes),
        ]

    def _count(
        self, m: Module, decoder: Decoder, sweep: SweepController, lanes: list[Lane]
    ) -> None:
        """Count each cycle in its class.

        An inference is open from the cycle after its first beat was accepted until the release
        after its last sweep; several may be open, as later ones wait in the FIFOs.
        """
        m.submodules.counters = counters = Counters(self.core.lanes)
        open_inferences = Signal(range(timing.IN_FLIGHT + 1))
        m.d.sync += open_inferences.eq(open_inferences + decoder.inference_begins - sweep.done)
        inside = open_inferences != 0
        sent = self.sink.valid & self.sink.ready
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
            "events_in": decoder.taken,
            "events_out": sent & (1 if logits else ~self.sink.payload["last"]),
            "synops": sum(synapses[lane] for lane in range(self.core.lanes)),
        }
        for index, name in enumerate(COUNTERS):
            m.d.comb += counters.increments.word_select(index, counters.step).eq(increments[name])
        m.d.comb += [counters.clear.eq(self.count_clear), self.counts.eq(counters.values)]


def _delay(m: Module, value: Value, cycles: int, name: str) -> Value:
    """`value`, `cycles` later."""
    for cycle in range(cycles):
        later = like(value, name=f"{name}_{cycle + 1}")
        m.d.sync += later.eq(value)
        value = later
    return value
