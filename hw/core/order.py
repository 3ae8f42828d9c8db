"""The order in which a sweep visits the membrane words of a core."""

from amaranth.hdl import Const, Module, Signal, Value

from spikewright.golden.bits import bits_for
from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.hdl import Component, In, Out


class Order(Component):
    """Counts through the words of a core: one word per `step`, cyclically.

    Windows (`CoreImage.window`) in raster order, partial ones at the border included; in a window
    every local channel, for each channel the window's positions in raster order. All outputs are
    registers, or a few gates after registers. Bit-exact with `CoreImage.order`. A component that
    follows a sweep some cycles later has an `Order` of its own, stepped by the delayed mark, which
    is cheaper than delaying addresses.

    Members
    -------
    step : In(1)
        Go to the next word.
    address, channel : Out
        The word, and its local channel.
    y, x : Out
        The window; without meaning where it is partial.
    begins_window : Out(1)
        The first position of a window and channel.
    completes_window : Out(1)
        The last position of a window and channel, and the window is whole.
    end : Out(1)
        The last word of the sweep.
    """

    step: Signal
    address: Signal
    channel: Signal
    y: Signal
    x: Signal
    begins_window: Signal
    completes_window: Signal
    end: Signal

    def __init__(self, core: CoreImage) -> None:
        self.core = core
        down, along = core.sent
        super().__init__({
            "step": In(1),
            "address": Out(core.address_bits),
            "channel": Out(max(bits_for(core.local_channels), 1)),
            "y": Out(max(bits_for(down), 1)),
            "x": Out(max(bits_for(along), 1)),
            "begins_window": Out(1),
            "completes_window": Out(1),
            "end": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Counters of the position in the window, the channel and the window, innermost first."""
        m = Module()
        core = self.core
        _, height, width = core.size
        (ky, kx), local = core.window, core.local_channels
        dy, wy = self._side("y", height, ky)
        dx, wx = self._side("x", width, kx)
        last_y, whole_y = _ends(dy, wy, height, ky)
        last_x, whole_x = _ends(dx, wx, width, kx)
        m.d.comb += [
            self.y.eq(wy),
            self.x.eq(wx),
            self.begins_window.eq((dy == 0) & (dx == 0)),
            self.completes_window.eq(last_y & last_x & whole_y & whole_x),
            # The last position of the last channel of the last window.
            self.end.eq(self.address == core.words - 1),
        ]
        levels = (
            (~last_x, dx, local),
            (~last_y, dy, width * local),
            (self.channel != local - 1, self.channel, 1),
            (wx != -(-width // kx) - 1, wx, kx * local),
            (Const(1), wy, ky * width * local),
        )
        # The address at which each level began: its next one is a single addition away.
        begins = [Signal(core.address_bits, name=f"begin_{level}") for level in range(1, 5)]
        begins.insert(0, self.address)
        unit = core.window == (1, 1)
        with m.If(self.step):
            for level, (more, counter, distance) in enumerate(levels):
                with m.If(more) if level == 0 else m.Elif(more):
                    after = self.address + 1 if unit else begins[level] + distance
                    m.d.sync += [begin.eq(after) for begin in begins[: 1 if unit else level + 1]]
                    m.d.sync += [inner.eq(0) for _, inner, _ in levels[:level]]
                    m.d.sync += counter.eq(counter + 1)
            with m.If(self.end):
                m.d.sync += [signal.eq(0) for signal in (*begins, dy, dx, self.channel, wy, wx)]
        return m

    def _side(self, axis: str, size: int, window: int) -> tuple[Signal, Signal]:
        """Counters of the position in a window and of windows, along one axis."""
        inside = Signal(range(max(window, 2)), name=f"d{axis}")
        return inside, Signal(range(max(-(-size // window), 2)), name=f"w{axis}")


def _ends(inside: Signal, window: Signal, size: int, length: int) -> tuple[Value, Value]:
    """Whether this is the window's last position along an axis, and whether the window is whole."""
    whole, rest = divmod(size, length)
    last = inside == length - 1 if length > 1 else Const(1)
    if rest == 0:
        return last, Const(1)
    partial = window == whole
    return last | (partial & (inside == rest - 1)), ~partial
