"""Watches a stream for the two rules that every stream keeps; for verification alone."""

from amaranth.hdl import Cat, Module, Shape, Signal

from spikewright.hw.hdl import Component, In, Out, data, like, width_of


class Monitor(Component):
    """A beat that has been offered stays offered, unchanged, until it is taken.

    Whatever instantiates it leaves `broken` open outside a bench: synthesis then removes it.

    Members
    -------
    valid, ready, payload : In
        The stream that is watched.
    broken : Out(1)
        In this cycle `valid` has fallen or the payload has changed before the beat was taken.
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
        """The beat of the last cycle, if it still waits."""
        m = Module()
        waiting, beat = Signal(), like(self.payload)
        m.d.sync += [waiting.eq(self.valid & ~self.ready), beat.eq(self.payload)]
        m.d.comb += self.broken.eq(waiting & (Cat(self.valid, self.payload) != Cat(1, beat)))
        return m
