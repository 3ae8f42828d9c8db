"""The common sweep: at the token one counter visits the membranes of all lanes together."""

from amaranth.hdl import Module, Signal

from spikewright.golden.image import timing
from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.core.membrane import sweep_layout
from spikewright.hw.core.visits import Visits
from spikewright.hw.hdl import Component, In, Out, View


class SweepController(Component):
    """Decides when lanes accumulate and when they are swept, and counts the passes.

    A sweep takes one cycle per visit (`hw.core.visits`: each membrane word at each step of the
    pass) and a fixed pause until the last word is written; it stalls while the serialiser has no
    `room`. A core with direct edges alone sweeps all passes of an inference after one token. Where
    the same words are visited again immediately, it waits only until the first may be. After reset
    a first sweep writes the start values.

    States, by cycle
        clear: from reset on, a visit in every cycle; settle after the last one. accumulate: until a
        cycle with `waiting`; the next one is in sweep. sweep: a visit in every cycle with `room`.
        After the last visit of a pass, issued in cycle c: settle. After the last visit of another
        round, and of all but the last pass of a core with direct edges only, c + 1 is in sweep
        again, or in turn if a word would be visited less than `timing.TURN` cycles after its
        previous visit: then sweep follows in c + `timing.TURN` - `words` + 1. settle: cycles c + 1
        .. c + `timing.RELEASE` + `timing.SETTLE` - 1, then accumulate; `resume` (and `done`) in
        cycle c + `timing.RELEASE`.

    Members
    -------
    waiting : In(1)
        All lanes have reached the token.
    room : In(1)
        One more vector may be issued.
    address : Out(`sweep_layout`)
        The visit of this cycle.
    clear, final, end : Out(1)
        With `address`: the sweep after reset; of an inference's last step; a pass's last visit.
    resume : Out(1)
        Releases the lanes.
    accumulating, sweeping, stalled : Out(1)
        The class of this cycle for the counters; exactly one is set.
    done : Out(1)
        With `resume`: the inference is complete.
    """

    waiting: Signal
    room: Signal
    address: View
    clear: Signal
    final: Signal
    end: Signal
    resume: Signal
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
            "resume": Out(1),
            "accumulating": Out(1),
            "sweeping": Out(1),
            "stalled": Out(1),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """States clear, accumulate, sweep, turn, settle; counters of visit, pass and pause."""
        m = Module()
        m.submodules.visits = visits = Visits(self.core)
        m.d.comb += [
            visits.advance.eq(self.address["valid"]),
            self.address["address"].eq(visits.address),
            self.address["channel"].eq(visits.channel),
            self.address["step"].eq(visits.step),
            self.end.eq(visits.end),
        ]
        passes = self.timesteps // self.core.steps_per_pass
        number = Signal(range(max(passes, 2)))
        pause = Signal(range(timing.SWEEP + timing.SETTLE))
        complete = Signal()  # the last sweep was of an inference's last step
        m.d.comb += self.final.eq((number == passes - 1) & visits.last)

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
                with m.If(self.room & visits.round_end):
                    self._after(m)
                with m.If(self.room & self.end):
                    m.d.sync += [number.eq(number + 1), complete.eq(self.final)]
                    with m.If(self.final):
                        m.d.sync += number.eq(0)
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
                # A lane released here reads its first word right after the last write.
                m.d.comb += self.resume.eq(pause == timing.RELEASE - 1)
                m.d.comb += self.done.eq(self.resume & complete)
                with m.If(pause == timing.RELEASE + timing.SETTLE - 2):
                    m.d.sync += pause.eq(0)
                    m.next = "accumulate"
        return m

    @property
    def _short(self) -> int:
        """Cycles by which a round is too short to be followed immediately by another."""
        again = self.core.framed or self.core.steps_per_pass > 1
        return max(timing.TURN - self.core.words, 0) if again else 0

    def _after(self, m: Module) -> None:
        """The state after a round's last visit."""
        with m.If(self.final & self.end if self.core.framed else self.end):
            m.next = "settle"
        if self._short:
            with m.Else():
                m.next = "turn"
