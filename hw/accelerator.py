"""The accelerator: one core per node, joined by event streams as the graph is drawn."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.counters import COUNTERS, STRIDE
from golden.image import Image
from hw.core import Core
from hw.counters import WIDTH
from hw.shapes import event_layout
from hw.throttle import Throttle


class Accelerator(wiring.Component):
    """All cores of an image, with flat ports that name what they carry.

    Cores work on different steps, and on different inferences, at once. Bit-exact with
    `golden.interpreter.run` on the same image, and so with `golden.reference.run`.

    Members
    -------
    in_valid, in_ready, in_last, in_data
        One event a beat, fields as `image.input.event`. A beat with `in_last` carries no event:
        it ends the frame (direct) or the time step (events).
    out_valid, out_ready, out_last, out_data
        One logit a beat, fields as `image.output_layout`; `out_last` with an inference's final.
    hold : In(cores + 1)
        Holds the stream into core i, and the output stream; for verification, else 0.
    trace_<i>_valid, _address, _fired, _membranes
        Core i's sweep: every spike and membrane at the end of every step.
    count_select, count_value, count_clear
        Counter `8 * core + k` (`golden.counters.COUNTERS`), one cycle after its number.
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
    count_select: Signal
    count_value: Signal
    count_clear: Signal

    def __init__(self, image: Image) -> None:
        self.image = image
        ports = {
            "in_valid": In(1),
            "in_ready": Out(1),
            "in_last": In(1),
            "in_data": In(max(image.input.event.width, 1)),
            "out_valid": Out(1),
            "out_ready": In(1),
            "out_last": Out(1),
            "out_data": Out(image.output_layout.width),
            "hold": In(len(image.cores) + 1),
            "count_select": In(8),
            "count_value": Out(WIDTH),
            "count_clear": In(1),
        }
        for index, core in enumerate(image.cores):
            ports[f"trace_{index}_valid"] = Out(1)
            ports[f"trace_{index}_address"] = Out(core.address_bits)
            ports[f"trace_{index}_fired"] = Out(core.lanes)
            ports[f"trace_{index}_membranes"] = Out(core.lanes * core.state_bits)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        """A chain of throttled cores."""
        m = Module()
        image = self.image
        cores = [Core(core, image.timesteps) for core in image.cores]
        gates = [Throttle(core.source.payload.shape()) for core in cores]
        gates.append(Throttle(cores[-1].sink.payload.shape()))
        for index, (gate, core) in enumerate(zip(gates, cores, strict=False)):
            m.submodules[f"gate_{index}"] = gate
            m.submodules[image.cores[index].node] = core
            wiring.connect(m, gate.sink, core.source)
            wiring.connect(m, core.sink, gates[index + 1].source)
            m.d.comb += core.count_clear.eq(self.count_clear)
            for name in ("valid", "address", "fired", "membranes"):
                m.d.comb += getattr(self, f"trace_{index}_{name}").eq(core.trace[name])
        m.submodules.gate_out = gates[-1]
        m.d.comb += Cat(*(gate.hold for gate in gates)).eq(self.hold)

        first, last = gates[0].source, gates[-1].sink
        width = event_layout(image.input.event).width - 1
        m.d.comb += [
            first.valid.eq(self.in_valid),
            self.in_ready.eq(first.ready),
            first.payload.eq(Cat(self.in_last, self.in_data[:width])),
            self.out_valid.eq(last.valid),
            last.ready.eq(self.out_ready),
            Cat(self.out_last, self.out_data).eq(last.payload),
        ]
        blank = [Signal(WIDTH)] * (STRIDE - len(COUNTERS))
        values = Array(
            value
            for core in cores
            for value in [
                *(core.counts.word_select(k, WIDTH) for k in range(len(COUNTERS))),
                *blank,
            ]
        )
        m.d.sync += self.count_value.eq(values[self.count_select])
        return m
