"""A fork: one stream to several consumers, which take each beat independently."""

from amaranth.hdl import Cat, Module, Shape, Signal

from spikewright.hw.hdl import Component, In, Out, data, stream


class Fork(Component):
    """Sends every beat to every branch exactly once. Eager: no branch waits for another.

    No latency and no bubble: valid and ready pass in the same cycle, and a register per branch
    records that it has taken the beat that still waits for the others. Branch i is offered the
    beat until it has taken it; the source's beat is taken in the cycle in which the last branch
    takes it. `sink_i.valid` does not depend on any ready.

    Members
    -------
    source : In(stream)
    sink_0, sink_1, ... : Out(stream)
    """

    source: stream.Interface

    def __init__(self, payload: Shape | data.Layout, branches: int) -> None:
        self.branches = branches
        signature = stream.Signature(payload)
        sinks = {f"sink_{index}": Out(signature) for index in range(branches)}
        super().__init__({"source": In(signature), **sinks})

    @property
    def sinks(self) -> list[stream.Interface]:
        """The branches in order."""
        return [getattr(self, f"sink_{index}") for index in range(self.branches)]

    def elaborate(self, platform: object) -> Module:
        """One done bit per branch."""
        m = Module()
        done = Signal(self.branches)
        served = Signal(self.branches)
        for index, sink in enumerate(self.sinks):
            m.d.comb += [
                sink.payload.eq(self.source.payload),
                sink.valid.eq(self.source.valid & ~done[index]),
                served[index].eq(done[index] | sink.ready),
            ]
        m.d.comb += self.source.ready.eq(served.all())
        taken = Cat(*(sink.valid & sink.ready for sink in self.sinks))
        m.d.sync += done.eq(done | taken)
        with m.If(self.source.valid & self.source.ready):
            m.d.sync += done.eq(0)
        return m
