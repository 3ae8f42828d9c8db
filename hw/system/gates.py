"""Frame-aligned gates on the AXI streams, which keep streams consistent through resets."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Cat, Const, Module, Signal, Value

from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.rows import Layout
from spikewright.hw.hdl import Component, In, Out
from spikewright.hw.shapes import struct


class InputGate(Component):
    """Passes whole inferences: opens and closes between them, and drops the rest of a cut one.

    It counts the beats with `last`: an inference has `ends` of them. When a reset of the cores
    (`restart`) falls inside an inference, all its remaining beats are taken and dropped. Two
    registers decouple the sides: `ready` depends on registers only, `inner_valid` is a register;
    one beat per cycle, latency 1.

    Events outside the input's map are taken and dropped, so that no table behind it is read beyond
    its depth. A flush takes and drops everything; after it the next beat begins an inference.

    Parameters
    ----------
    layout, sizes
        The fields of an event, and for some of them how many values they may have.
    ends
        Beats with `last` in an inference.

    Members
    -------
    valid, ready, last, data
        From the host.
    inner_valid, inner_ready, inner_last, inner_data
        To the cores.
    enable : In(1)
        Allows inferences to begin; one that has begun is completed.
    in_reset : In(1)
        The cores are in reset: beats are taken only to be dropped.
    restart : In(1)
        Beats taken so far are lost (a pulse, with `in_reset`).
    flush : In(1)
        Beats are taken and dropped.
    begun : Out(1)
        Between the first and the last beat of an inference.
    dropping : Out(1)
        The rest of this inference is dropped.
    dropped, rejected, complete : Out(1)
        Pulses: a beat was dropped; an event outside the map was; an inference's last beat was taken
        for the cores.
    """

    valid: Signal
    ready: Signal
    last: Signal
    data: Signal
    inner_valid: Signal
    inner_ready: Signal
    inner_last: Signal
    inner_data: Signal
    enable: Signal
    in_reset: Signal
    restart: Signal
    flush: Signal
    begun: Signal
    dropping: Signal
    dropped: Signal
    rejected: Signal
    complete: Signal

    def __init__(self, layout: Layout, sizes: Mapping[str, int], ends: int) -> None:
        self.layout, self.sizes, self.ends = layout, sizes, ends
        data_bits = max(layout.width, 1)
        super().__init__({
            "valid": In(1), "ready": Out(1), "last": In(1), "data": In(data_bits),
            "inner_valid": Out(1), "inner_ready": In(1), "inner_last": Out(1),
            "inner_data": Out(data_bits),
            "enable": In(1), "in_reset": In(1), "restart": In(1), "flush": In(1), "begun": Out(1),
            "dropping": Out(1), "dropped": Out(1), "rejected": Out(1), "complete": Out(1),
        })  # fmt: skip

    @classmethod
    def of(cls, image: Image) -> InputGate:
        """The gate of a machine."""
        source = image.input
        return cls(source.event, source.sizes, 1 if source.direct else image.passes)

    def _outside(self) -> Value:
        """Whether the event at the entry is outside the map."""
        event = struct(self.layout)(self.data)
        beyond: list[Value] = [
            event[name] >= self.sizes[name]
            for name, width in self.layout.fields
            if self.sizes.get(name, 1 << width) < 1 << width
        ]
        return ~self.last & Cat(beyond).any() if beyond else Const(0)

    def elaborate(self, platform: object) -> Module:
        """Count beats, then pass them through two registers."""
        m = Module()
        taken = Signal()
        border = Signal()
        step = Signal(range(max(self.ends, 2)))
        waiting_beat = Signal(1 + len(self.data))
        full = Signal()
        accepts = ~self.in_reset & (self.enable | self.begun) & ~full
        m.d.comb += [
            self.ready.eq(self.dropping | self.flush | accepts),
            taken.eq(self.valid & self.ready),
            border.eq(taken & self.last & (step == self.ends - 1)),
            self.dropped.eq(taken & (self.dropping | self.flush)),
            self.rejected.eq(taken & ~self.dropped & self._outside()),
            self.complete.eq(border & ~self.dropped),
        ]
        with m.If(taken):
            m.d.sync += self.begun.eq(~border)
            with m.If(self.last):
                m.d.sync += step.eq(step + 1)
        with m.If(border):
            m.d.sync += [step.eq(0), self.dropping.eq(0)]

        beat, inner = Cat(self.last, self.data), Cat(self.inner_last, self.inner_data)
        forward = taken & ~self.dropped & ~self.rejected
        with m.If(self.inner_ready | ~self.inner_valid):
            m.d.sync += [self.inner_valid.eq(full | forward), full.eq(0), inner.eq(beat)]
            with m.If(full):
                m.d.sync += inner.eq(waiting_beat)
        with m.Elif(forward):
            m.d.sync += [waiting_beat.eq(beat), full.eq(1)]
        with m.If(self.restart):
            m.d.sync += [self.inner_valid.eq(0), full.eq(0)]
            m.d.sync += self.dropping.eq(self.begun & ~border)
        with m.If(self.flush):
            m.d.sync += [self.begun.eq(0), step.eq(0), self.dropping.eq(0)]
        return m


class OutputGate(Component):
    """Keeps the handshake rules of the output stream through a reset of the cores.

    A beat that has been offered stays offered. If the reset cuts an inference's logits short, one
    beat of zeros with `last` ends them, so that the receiver stays aligned. `valid` and
    the beat are registers, one beat per cycle, latency 1.

    Members
    -------
    inner_valid, inner_ready, inner_last, inner_data
        From the cores.
    valid, ready, last, data
        To the host.
    in_reset, restart : In(1)
        As in `InputGate`.
    begun : Out(1)
        Some logits of an inference have been sent, but not the last.
    offering : Out(1)
        A beat is offered, or one is due that closes a packet which was cut.
    complete : Out(1)
        Pulse: an inference's last logit leaves the cores.
    """

    inner_valid: Signal
    inner_ready: Signal
    inner_last: Signal
    inner_data: Signal
    valid: Signal
    ready: Signal
    last: Signal
    data: Signal
    in_reset: Signal
    restart: Signal
    begun: Signal
    offering: Signal
    complete: Signal

    def __init__(self, data_bits: int) -> None:
        super().__init__({
            "inner_valid": In(1), "inner_ready": Out(1), "inner_last": In(1),
            "inner_data": In(data_bits),
            "valid": Out(1), "ready": In(1), "last": Out(1), "data": Out(data_bits),
            "in_reset": In(1), "restart": In(1), "begun": Out(1), "offering": Out(1),
            "complete": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """One register; a closing beat replaces the lost ones."""
        m = Module()
        closing = Signal()
        moves = Signal()
        taken = Signal()
        m.d.comb += [
            moves.eq(self.ready | ~self.valid),
            self.inner_ready.eq(moves & ~self.in_reset & ~closing),
            taken.eq(self.inner_valid & self.inner_ready),
            self.complete.eq(taken & self.inner_last),
            self.offering.eq(self.valid | closing),
        ]
        with m.If(moves):
            m.d.sync += [self.valid.eq(taken | closing), closing.eq(0)]
            m.d.sync += [self.last.eq(self.inner_last | closing), self.data.eq(self.inner_data)]
            with m.If(closing):
                m.d.sync += self.data.eq(0)
        with m.If(taken):
            m.d.sync += self.begun.eq(~self.inner_last)
        with m.If(self.restart & self.begun):
            m.d.sync += [closing.eq(1), self.begun.eq(0)]
        return m
