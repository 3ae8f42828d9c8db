"""The common sweep: at the token one counter visits the membranes of all lanes together."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden import timing
from golden.image import CoreImage
from hw.membrane import sweep_layout
from hw.order import Order


class SweepController(wiring.Component):
    """Decides when lanes accumulate and when they are swept, and counts the steps.

    A step's sweep takes one cycle per membrane word (in the order of `hw.order`) and a fixed pause
    until the last word is written; it is held while the serialiser has no `room`. A core with
    direct edges alone sweeps all steps of an inference behind one token, and pauses between them
    only until the first word may be visited again. After reset a first sweep writes the start
    values.

    States, by cycle
        clear: `words` cycles from reset on, one word each; then settle.
        accumulate: until a cycle with `waiting`; the next one is in sweep.
        sweep: a word in every cycle with `room`. Behind the last word, issued in cycle c: settle;
        between the steps of a framed core c + 1 is in sweep again, or in turn if a word would be
        visited less than `timing.TURN` cycles after it was: then sweep follows in
        c + `timing.TURN` - `words` + 1.
        settle: cycles c + 1 .. c + `timing.RELEASE` + `timing.SETTLE` - 1, then accumulate; `go`
        (and `done`) in cycle c + `timing.RELEASE`.

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
        """States clear, accumulate, sweep, turn, settle; counters of word, step and pause."""
        m = Module()
        m.submodules.order = order = Order(self.core)
        m.d.comb += [
            order.step.eq(self.address["valid"]),
            self.address["address"].eq(order.address),
            self.address["channel"].eq(order.channel),
            self.end.eq(order.end),
        ]
        step = Signal(range(max(self.timesteps, 2)))
        pause = Signal(range(timing.SWEEP + timing.SETTLE))
        complete = Signal()  # the last sweep was that of an inference's last step
        m.d.comb += self.final.eq(step == self.timesteps - 1)

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
                m.d.comb += [self.sweeping.eq(self.room), self.stalled.eq(~self.room)]
                m.d.comb += self.address["valid"].eq(self.room)
                with m.If(self.room & self.end):
                    m.d.sync += [step.eq(step + 1), complete.eq(self.final)]
                    with m.If(self.final):
                        m.d.sync += step.eq(0)
                    self._after(m)
            if self._short:
                with m.State("turn"):
                    m.d.comb += self.sweeping.eq(1)
                    m.d.sync += pause.eq(pause + 1)
                    with m.If(pause == self._short - 1):
                        m.d.sync += pause.eq(0)
                        m.next = "sweep"
            with m.State("settle"):
                m.d.comb += self.sweeping.eq(1)
                m.d.sync += pause.eq(pause + 1)
                # Released here, a lane's first addition reads its word right after the last write.
                m.d.comb += self.go.eq(pause == timing.RELEASE - 1)
                m.d.comb += self.done.eq(self.go & complete)
                with m.If(pause == timing.RELEASE + timing.SETTLE - 2):
                    m.d.sync += pause.eq(0)
                    m.next = "accumulate"
        return m

    @property
    def _short(self) -> int:
        """By how many cycles a sweep is too short to be followed by the next at once."""
        return max(timing.TURN - self.core.words, 0) if self.core.framed else 0

    def _after(self, m: Module) -> None:
        """What follows a sweep's last word."""
        if not self.core.framed:
            m.next = "settle"
            return
        with m.If(self.final):
            m.next = "settle"
        if self._short:
            with m.Else():
                m.next = "turn"
