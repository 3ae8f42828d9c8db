"""The FIFO of an edge; on a delayed edge, the spikes of a step become inputs of the next step."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.fifo import SyncFIFOBuffered

from spikewright.golden.image.memory_image import EdgeImage
from spikewright.hw.hdl import Component, In, Out, stream
from spikewright.hw.shapes import event_layout, struct


class Delay(Component):
    """A FIFO, on a delayed edge one token ahead: step t carries the source's spikes of step t - 1.

    On a delayed edge it first presents one token after reset, the empty step 0. Every token passes,
    so the one that ends an inference is step 0 of the next; the spikes of that last step are
    accepted and dropped, or inference k would leak into k + 1. `source.ready` says that the FIFO
    has room, which dropped spikes need too. Latency `timing.FIFO` cycles through the empty FIFO,
    one beat per cycle. Bit-exact with the queues of `golden.image.interpreter` (run).

    Parameters
    ----------
    edge
        Its `depth` bounds the beats that the source may send before the sink takes them.
    timesteps
        Tokens of the source per inference.

    Members
    -------
    source : In(stream of `event_layout`), sink : Out(stream of `event_layout`)
    """

    source: stream.Interface
    sink: stream.Interface

    def __init__(self, edge: EdgeImage, timesteps: int) -> None:
        self.depth, self.delay, self.timesteps = edge.depth, edge.delay, timesteps
        signature = stream.Signature(struct(event_layout(edge.event)))
        super().__init__({"source": In(signature), "sink": Out(signature)})

    def elaborate(self, platform: object) -> Module:
        """The FIFO; if it delays, the step's number and the first token."""
        m = Module()
        source, sink = self.source, self.sink
        token = source.payload["last"]
        m.submodules.queue = queue = SyncFIFOBuffered(width=len(Cat(token, source.payload)) - 1,
                                                      depth=self.depth)  # fmt: skip
        if not self.delay:
            m.d.comb += [
                source.ready.eq(queue.w_rdy),
                queue.w_data.eq(source.payload),
                queue.w_en.eq(source.valid),
                sink.valid.eq(queue.r_rdy),
                sink.payload.eq(queue.r_data),
                queue.r_en.eq(sink.ready),
            ]
            return m
        step = Signal(range(max(self.timesteps, 2)))
        final = Signal()
        first = Signal(init=1)
        m.d.comb += [
            final.eq(step == self.timesteps - 1),
            source.ready.eq(queue.w_rdy),
            queue.w_data.eq(source.payload),
            queue.w_en.eq(source.valid & (token | ~final)),
        ]
        with m.If(source.valid & source.ready & token):
            m.d.sync += step.eq(step + 1)
            with m.If(final):
                m.d.sync += step.eq(0)
        m.d.comb += [
            sink.valid.eq(first | queue.r_rdy),
            sink.payload.eq(queue.r_data),
            queue.r_en.eq(sink.ready & ~first),
        ]
        with m.If(first):
            m.d.comb += Cat(sink.payload).eq(1)  # the token, in the lowest bit
            with m.If(sink.ready):
                m.d.sync += first.eq(0)
        return m
