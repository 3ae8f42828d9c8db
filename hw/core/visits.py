"""The visits of a sweep: which word at which step of the pass."""

from amaranth.hdl import Module, Mux, Signal

from spikewright.golden.bits import bits_for
from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.image.timing import block
from spikewright.hw.core.order import Order
from spikewright.hw.hdl import Component, In, Out, Ram, data


class Rounds(Component):
    """Counts the visits of a pass: a block of words once for every step, then the next block.

    A round visits every word of a block once. See `golden.image.timing.block`. Where a pass is one
    step, only the register of `index` remains.

    Members
    -------
    advance : In(1)
        Go to the next visit.
    index, next_index : Out
        The index of the word in its block, in this cycle and in the next one.
    step : Out
        The step of the pass.
    last : Out(1)
        The step is the pass's last.
    round_end : Out(1)
        The last visit of a round.
    end : Out(1)
        The last visit of the pass.
    """

    advance: Signal
    index: Signal
    next_index: Signal
    step: Signal
    last: Signal
    round_end: Signal
    end: Signal

    def __init__(self, core: CoreImage) -> None:
        self.steps, self.words = core.steps_per_pass, core.words
        self.length = block(core.words, core.steps_per_pass)
        super().__init__({
            "advance": In(1),
            "index": Out(max(bits_for(self.length), 1)),
            "next_index": Out(max(bits_for(self.length), 1)),
            "step": Out(max(bits_for(self.steps), 1)),
            "last": Out(1),
            "round_end": Out(1),
            "end": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Counters of the index, the step and the block, innermost first."""
        m = Module()
        blocks, rest = -(-self.words // self.length), self.words % self.length or self.length
        number = Signal(range(max(blocks, 2)))
        final = Signal()
        m.d.comb += [
            final.eq(number == blocks - 1),
            self.round_end.eq(self.index == Mux(final, rest - 1, self.length - 1)),
            self.last.eq(self.step == self.steps - 1),
            self.end.eq(self.round_end & self.last & final),
        ]
        m.d.comb += self.next_index.eq(
            Mux(self.advance, Mux(self.round_end, 0, self.index + 1), self.index)
        )
        m.d.sync += self.index.eq(self.next_index)
        with m.If(self.advance):
            with m.If(self.round_end):
                m.d.sync += self.step.eq(self.step + 1)
                with m.If(self.last):
                    m.d.sync += [self.step.eq(0), number.eq(number + 1)]
                    with m.If(final):
                        m.d.sync += number.eq(0)
        return m


class Visits(Component):
    """Goes through the words of a core in the order of a sweep, at every step of a pass.

    In a block's first round the words come from the order, and are kept for its further rounds in a
    memory that is read without a clock. Bit-exact with `CoreImage.visits`. Whoever follows a sweep
    some cycles later has `Visits` of its own, advanced by the delayed mark.

    Members
    -------
    advance : In(1)
        Go to the next visit.
    address, channel : Out
        The word, and its local channel.
    step, last, round_end, end : Out
        See `Rounds`.
    """

    advance: Signal
    address: Signal
    channel: Signal
    step: Signal
    last: Signal
    round_end: Signal
    end: Signal

    def __init__(self, core: CoreImage) -> None:
        self.core = core
        super().__init__({
            "advance": In(1),
            "address": Out(core.address_bits),
            "channel": Out(max(bits_for(core.local_channels), 1)),
            "step": Out(max(bits_for(core.steps_per_pass), 1)),
            "last": Out(1),
            "round_end": Out(1),
            "end": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """The order alone, or with rounds, or with rounds and a memory of the block's words."""
        m = Module()
        m.submodules.order = order = Order(self.core)
        m.d.comb += [self.address.eq(order.address), self.channel.eq(order.channel)]
        if self.core.steps_per_pass == 1:
            m.d.comb += [order.step.eq(self.advance), self.last.eq(1)]
            m.d.comb += [self.round_end.eq(order.end), self.end.eq(order.end)]
            return m
        m.submodules.rounds = rounds = Rounds(self.core)
        m.d.comb += [
            rounds.advance.eq(self.advance), self.step.eq(rounds.step), self.last.eq(rounds.last),
            self.round_end.eq(rounds.round_end), self.end.eq(rounds.end),
            order.step.eq(self.advance),
        ]  # fmt: skip
        if rounds.length < self.core.words:
            self._keep(m, order, rounds)
        return m

    def _keep(self, m: Module, order: Order, rounds: Rounds) -> None:
        """Where there are several blocks, only a block's first round advances the order."""
        word = data.StructLayout({"address": len(self.address), "channel": len(self.channel)})
        m.submodules.kept = kept = Ram(shape=word, depth=rounds.length, init=[])
        reader = kept.read_port(domain="comb")
        writer = kept.write_port()
        first = Signal()
        m.d.comb += [
            first.eq(rounds.step == 0), order.step.eq(self.advance & first),
            reader.addr.eq(rounds.index), writer.addr.eq(rounds.index),
            writer.en.eq(self.advance & first), writer.data["address"].eq(order.address),
            writer.data["channel"].eq(order.channel),
        ]  # fmt: skip
        with m.If(~first):
            m.d.comb += [
                self.address.eq(reader.data["address"]), self.channel.eq(reader.data["channel"]),
            ]  # fmt: skip
