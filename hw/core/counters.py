"""Performance counters of a core."""

from amaranth.hdl import Module, Signal, unsigned

from spikewright.golden.image.counters import COUNTERS
from spikewright.hw.hdl import Component, In, Out, like

WIDTH = 32


class Counters(Component):
    """One 32-bit counter per entry of `COUNTERS`; each wraps after 2^32.

    An increment is visible 2 cycles later; `clear` sets all to 0.

    Members
    -------
    increments : In(8 x unsigned)
        One field per counter; `synops` may grow by the number of lanes.
    clear : In(1)
    values : Out(8 x 32)
        Concatenated, the first counter lowest.
    """

    increments: Signal
    clear: Signal
    values: Signal

    def __init__(self, lanes: int) -> None:
        self.step = lanes.bit_length()
        super().__init__({
            "increments": In(unsigned(len(COUNTERS) * self.step)),
            "clear": In(1),
            "values": Out(unsigned(len(COUNTERS) * WIDTH)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """A register before each adder."""
        m = Module()
        held = like(self.increments)
        m.d.sync += held.eq(self.increments)
        for index in range(len(COUNTERS)):
            value = self.values.word_select(index, WIDTH)
            m.d.sync += value.eq(value + held.word_select(index, self.step))
        with m.If(self.clear):
            m.d.sync += [self.values.eq(0), held.eq(0)]
        return m
