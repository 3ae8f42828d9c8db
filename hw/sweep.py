"""The common sweep: at the token one counter visits the membranes of all lanes together."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden import timing
from golden.image import CoreImage
from hw.membrane import sweep_layout


class SweepController(wiring.Component):
    """Decides when lanes accumulate and when they are swept, and counts the steps.

    A step's sweep takes one cycle per membrane word and a fixed pause until the last word is
    written; it is held while the serialiser has no `room`. A core with direct edges only sweeps
    all steps of an inference behind one token. After reset a first sweep writes the start values.

    Members
    -------
    waiting : In(1)
        All lanes have met the token.
    room : In(1)
        One more vector may get under way.
    address : Out(`sweep_layout`)
        The word to visit in this cycle.
    clear, final, end : Out(1)
        With `address`: the sweep after reset; of an inference's last step; its last word.
    go : Out(1)
        Lanes may walk on.
    accumulating, sweeping, stalled : Out(1)
        What this cycle is spent on; exactly one is set.
    done : Out(1)
        With `go`: the inference is complete.
    """

    waiting: Signal
    room: Signal
    address: data.View
    clear: Signal
    final: Signal
    end: Signal
    go: Signal
    accumulating: Signal
    sweeping: Signal
    stalled: Signal
    done: Signal

    def __init__(self, core: CoreImage, timesteps: int) -> None:
        self.core, self.timesteps = core, timesteps
        super().__init__({
            "waiting": In(1),
            "room": In(1),
            "address": Out(sweep_layout(core)),
            "clear": Out(1),
            "final": Out(1),
            "end": Out(1),
            "go": Out(1),
            "accumulating": Out(1),
            "sweeping": Out(1),
            "stalled": Out(1),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """States clear, accumulate, sweep, settle; counters of word, channel and step."""
        m = Module()
        step = Signal(range(max(self.timesteps, 2)))
        pause = Signal(range(timing.SWEEP + timing.SETTLE))
        first = Signal(init=1)  # no inference has been swept since reset
        again = Signal()
        m.d.comb += self.final.eq(step == self.timesteps - 1)
        m.d.comb += again.eq(~self.final & ~first if self.core.framed else 0)
        self._address(m)

        with m.FSM(init="clear"):
            with m.State("clear"):
                m.d.comb += [self.sweeping.eq(1), self.clear.eq(1), self.address["valid"].eq(1)]
                with m.If(self.end):
                    m.next = "settle"
            with m.State("accumulate"):
                m.d.comb += self.accumulating.eq(1)
                with m.If(self.waiting):
                    m.next = "sweep"
            with m.State("sweep"):
                m.d.sync += first.eq(0)
                m.d.comb += [self.sweeping.eq(self.room), self.stalled.eq(~self.room)]
                m.d.comb += self.address["valid"].eq(self.room)
                with m.If(self.room & self.end):
                    m.next = "settle"
            with m.State("settle"):
                m.d.comb += self.sweeping.eq(1)
                m.d.sync += pause.eq(pause + 1)
                # Released here, a lane's first addition reads its word right after the last write.
                m.d.comb += self.go.eq((pause == timing.SWEEP - 2) & ~again)
                m.d.comb += self.done.eq(self.go & self.final & ~first)
                with m.If(pause == timing.SWEEP - 3 + timing.SETTLE):
                    m.d.sync += pause.eq(0)
                    m.next = "accumulate"
                    with m.If(again):
                        m.next = "sweep"
                    with m.If(~first):
                        m.d.sync += step.eq(step + 1)
                        with m.If(self.final):
                            m.d.sync += step.eq(0)
        return m

    def _address(self, m: Module) -> None:
        """Words in order; the channel counts within a position."""
        core, word, channel = self.core, self.address["address"], self.address["channel"]
        at, local = Signal(core.address_bits), Signal(channel.shape())
        m.d.comb += [word.eq(at), channel.eq(local), self.end.eq(at == core.words - 1)]
        with m.If(self.address["valid"]):
            m.d.sync += [at.eq(at + 1), local.eq(local + 1)]
            with m.If(local == core.local_channels - 1):
                m.d.sync += local.eq(0)
            with m.If(self.end):
                m.d.sync += at.eq(0)
