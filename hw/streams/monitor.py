"""Checks the handshake rules of a stream; for verification only."""

from amaranth.hdl import Cat, Module, Shape, Signal

from spikewright.hw.hdl import Component, In, Out, data, like, width_of


class Monitor(Component):
    """Checks that an offered beat stays offered, unchanged, until it is taken.

    Outside benches `broken` is left open, and synthesis removes the monitor.

    Members
    -------
    valid, ready, payload : In
        The stream under observation.
    broken : Out(1)
        In this cycle `valid` has fallen, or the payload changed, before the beat was taken.
    """

    valid: Signal
    ready: Signal
    payload: Signal
    broken: Signal

    def __init__(self, payload: Shape | data.Layout) -> None:
        super().__init__({
            "valid": In(1),
            "ready": In(1),
            "payload": In(width_of(payload)),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """The beat of the previous cycle, if it still waits."""
        m = Module()
        waiting = Signal()
        beat = like(self.payload)
        m.d.sync += [waiting.eq(self.valid & ~self.ready), beat.eq(self.payload)]
        m.d.comb += self.broken.eq(waiting & (Cat(self.valid, self.payload) != Cat(1, beat)))
        return m
