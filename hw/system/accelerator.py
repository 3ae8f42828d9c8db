"""The accelerator: one core per node, joined by event streams as the graph is drawn."""

from collections import Counter
from collections.abc import Iterator

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value

from spikewright.golden.image.counters import COUNTERS, STRIDE
from spikewright.golden.image.memory_image import Image
from spikewright.hw.core.core import Core
from spikewright.hw.core.counters import WIDTH
from spikewright.hw.hdl import Component, In, Out, connect, stream
from spikewright.hw.ram import LoadBus
from spikewright.hw.shapes import event_layout, struct
from spikewright.hw.streams.delay import Delay
from spikewright.hw.streams.fork import Fork
from spikewright.hw.streams.monitor import Monitor
from spikewright.hw.streams.throttle import Throttle

SELECT_BITS = 10
"""Bits of `count_select`: the counters of 128 cores."""

LOAD = ("valid", "memory", "address", "data")


class Accelerator(Component):
    """All cores of an image, with flat ports.

    Cores work on different steps, and on different inferences, at once. Bit-exact with
    `golden.image.interpreter.run` on the same image, and so with `golden.models.reference.run`.
    Every edge of the graph is a chain sender -> `Fork` (if the sender has several consumers) ->
    `Delay` (if the edge has one) -> `Throttle` -> core.

    Members
    -------
    in_valid, in_ready, in_last, in_data
        One event a beat, fields as `image.input.event`. A beat with `in_last` carries no event:
        it ends the frame (direct) or the time step (events). Where the input feeds several edges,
        `in_ready` may depend on `in_valid` of the same cycle.
    out_valid, out_ready, out_last, out_data
        One logit a beat, fields as `image.output_layout`; `out_last` with an inference's final.
    hold : In(edges + 1)
        One bit per edge, core by core and edge by edge, stalls the stream into the core; the last
        one stalls the output. For verification, else 0.
    broken : Out(one bit per name in `stream_names`)
        For verification: in this cycle the stream breaks a handshake rule, see
        `hw.streams.monitor`.
    trace_<i>_valid, _address, _fired, _membranes
        Core i's sweep: every spike and membrane at the end of every step.
    load_valid, load_memory, load_address, load_data
        A build without initial contents: word `load_address` of memory `load_memory` (its index in
        `golden.image.load_stream.memories`) becomes `load_data`. Only during reset.
    count_select, count_value, count_clear
        Counter `8 * core + k` (`golden.image.counters.COUNTERS`), one cycle after its number.
    """

    in_valid: Signal
    in_ready: Signal
    in_last: Signal
    in_data: Signal
    out_valid: Signal
    out_ready: Signal
    out_last: Signal
    out_data: Signal
    hold: Signal
    broken: Signal
    count_select: Signal
    count_value: Signal
    count_clear: Signal

    def __init__(self, image: Image, loadable: bool = False) -> None:
        self.image = image
        self.load = LoadBus(image) if loadable else None
        ports = {
            "in_valid": In(1),
            "in_ready": Out(1),
            "in_last": In(1),
            "in_data": In(max(image.input.event.width, 1)),
            "out_valid": Out(1),
            "out_ready": In(1),
            "out_last": Out(1),
            "out_data": Out(image.output_layout.width),
            "hold": In(sum(len(core.edges) for core in image.cores) + 1),
            "broken": Out(len(stream_names(image))),
            "count_select": In(SELECT_BITS),
            "count_value": Out(WIDTH),
            "count_clear": In(1),
        }
        for index, core in enumerate(image.cores):
            ports[f"trace_{index}_valid"] = Out(1)
            ports[f"trace_{index}_address"] = Out(core.visit_bits)
            ports[f"trace_{index}_fired"] = Out(core.columns)
            ports[f"trace_{index}_membranes"] = Out(core.columns * core.state_bits)
        for name in LOAD if self.load else ():
            ports[f"load_{name}"] = In(getattr(self.load, name).shape())
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        """Cores, the streams between them, and the ports for benches."""
        m = Module()
        for name in LOAD if self.load else ():
            m.d.comb += getattr(self.load, name).eq(getattr(self, f"load_{name}"))
        cores = [Core(core, self.image.timesteps, self.load) for core in self.image.cores]
        for index, core in enumerate(cores):
            m.submodules[core.core.node] = core
            m.d.comb += core.count_clear.eq(self.count_clear)
            for name in ("valid", "address", "fired", "membranes"):
                m.d.comb += getattr(self, f"trace_{index}_{name}").eq(core.trace[name])
        watched = self._connect(m, cores)
        broken = [_broken(m, index, given) for index, given in enumerate(watched)]
        m.d.comb += self.broken.eq(Cat(*broken, *(core.broken for core in cores)))
        self._count(m, cores)
        return m

    def _connect(self, m: Module, cores: list[Core]) -> list[stream.Interface]:
        """Connect the cores along the graph; return all streams in the order of `stream_names`."""
        given = stream.Signature(struct(event_layout(self.image.input.event))).create()
        logits = cores[-1].sink
        m.submodules.Gate_out = out = Throttle(logits.payload.shape())
        connect(m, logits, out.source)
        m.d.comb += [
            given.valid.eq(self.in_valid),
            self.in_ready.eq(given.ready),
            Value.cast(given.payload).eq(Cat(self.in_last, self.in_data)),
            self.out_valid.eq(out.sink.valid),
            out.sink.ready.eq(self.out_ready),
            Cat(self.out_last, self.out_data).eq(out.sink.payload),
        ]
        watched: list[stream.Interface] = []
        gates: list[Throttle] = []
        branches = self._fork(m, {self.image.input.name: given}, cores, watched)
        for core in cores:
            for index, edge in enumerate(core.core.edges):
                name, feed = f"{core.core.node}_{index}", next(branches[edge.source])
                watched.append(feed)
                if edge.depth:
                    m.submodules[f"Delay_{name}"] = delay = Delay(edge, self.image.timesteps)
                    connect(m, feed, delay.source)
                    feed = delay.sink
                    watched.append(feed)
                m.submodules[f"Gate_{name}"] = gate = Throttle(feed.payload.shape())
                connect(m, feed, gate.source)
                connect(m, gate.sink, core.sources[index])
                watched.append(gate.sink)
                gates.append(gate)
        m.d.comb += Cat(*(gate.hold for gate in (*gates, out))).eq(self.hold)
        return [*watched, logits, out.sink]

    def _fork(
        self, m: Module, senders: dict[str, stream.Interface], cores: list[Core],
        watched: list[stream.Interface],
    ) -> dict[str, Iterator[stream.Interface]]:  # fmt: skip
        """The streams of every sender to its edges, in order; forked where there are several."""
        senders |= {core.core.node: core.sink for core in cores[:-1]}
        branches: dict[str, Iterator[stream.Interface]] = {}
        for name, sender in senders.items():
            count = consumers(self.image)[name]
            if count == 1:
                branches[name] = iter([sender])
                continue
            m.submodules[f"Fork_{name}"] = fork = Fork(sender.payload.shape(), count)
            connect(m, sender, fork.source)
            branches[name] = iter(fork.sinks)
            watched.append(sender)
        return branches

    def _count(self, m: Module, cores: list[Core]) -> None:
        """The counters of all cores by number."""
        unused = [Const(0, WIDTH)] * (STRIDE - len(COUNTERS))
        values = Array(
            value
            for core in cores
            for value in [
                *(core.counts.word_select(k, WIDTH) for k in range(len(COUNTERS))),
                *unused,
            ]
        )
        m.d.sync += self.count_value.eq(values[self.count_select])


def consumers(image: Image) -> Counter[str]:
    """How many edges every sender feeds."""
    return Counter(edge.source for core in image.cores for edge in core.edges)


def stream_names(image: Image) -> tuple[str, ...]:
    """The stream that each bit of `broken` watches."""
    names = [image.input.name, *(core.node for core in image.cores[:-1])]
    streams = [f"{name} -> fork" for name in names if consumers(image)[name] > 1]
    for core in image.cores:
        for index, edge in enumerate(core.edges):
            name = f"{edge.source} -> {core.node}, edge {index}"
            streams += [name, *([f"{name}, queued"] if edge.depth else []), f"{name}, held"]
    streams += ["logits", "logits, held"]
    return (*streams, *(f"inside {core.node}" for core in image.cores))


def _broken(m: Module, index: int, given: stream.Interface) -> Signal:
    """Watch one stream."""
    m.submodules[f"Watch_{index}"] = monitor = Monitor(given.payload.shape())
    m.d.comb += [
        monitor.valid.eq(given.valid),
        monitor.ready.eq(given.ready),
        monitor.payload.eq(given.payload),
    ]
    return monitor.broken
