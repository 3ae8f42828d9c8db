"""A gate in a stream with which a bench stalls it, without breaking the handshake rules."""

from amaranth.hdl import Module, Shape, Signal

from spikewright.hw.hdl import Component, In, Out, data, stream


class Throttle(Component):
    """Passes a stream unless `hold`; a beat that has been offered stays offered.

    No latency, one beat per cycle; with `hold` tied to 0, only wires remain after synthesis.
    Stalled as `golden.cycles.stalls` and `golden.cycles.clock` model it.

    Members
    -------
    source : In(stream), sink : Out(stream)
    hold : In(1)
        Offer no new beat in this cycle.
    """

    source: stream.Interface
    sink: stream.Interface
    hold: Signal

    def __init__(self, payload: Shape | data.Layout) -> None:
        super().__init__({
            "source": In(stream.Signature(payload)),
            "sink": Out(stream.Signature(payload)),
            "hold": In(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """`offered` records that the beat has been offered and not yet taken."""
        m = Module()
        offered = Signal()
        open_ = Signal()
        m.d.comb += [
            open_.eq(~self.hold | offered),
            self.sink.payload.eq(self.source.payload),
            self.sink.valid.eq(self.source.valid & open_),
            self.source.ready.eq(self.sink.ready & open_),
        ]
        m.d.sync += offered.eq(self.sink.valid & ~self.sink.ready)
        return m
