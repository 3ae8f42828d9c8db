"""The neuron: threshold, reset, clamp and the leak of the next step, in a pipeline."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned

from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.hdl import Component, In, Out, like


def signed_digits(number: int) -> list[tuple[int, int]]:
    """The canonical signed digits of a number >= 0 as `(sign, exponent)`, lowest first.

    >>> signed_digits(7), signed_digits(5), signed_digits(0)
    ([(-1, 0), (1, 3)], [(1, 0), (1, 2)], [])
    """
    digits: list[tuple[int, int]] = []
    exponent = 0
    while number:
        if number & 1:
            sign = 2 - (number & 3)
            digits.append((sign, exponent))
            number -= sign
        number >>= 1
        exponent += 1
    return digits


def times_constant(value: Value, factor: int) -> Value:
    """`value * factor` by shifts and at most four additions, without a multiplier."""
    total: Value = Const(0, signed(1))
    for sign, exponent in signed_digits(factor):
        term = Cat(Const(0, exponent), value).as_signed() if exponent else value.as_signed()
        total = total + term if sign > 0 else total - term
    return total


class Neuron(Component):
    """Ends the step of one neuron per cycle.

    Latency 4 cycles from the inputs to membrane and spike, 6 to the word for the membrane memory;
    one neuron per cycle. Bit-exact with `golden.models.reference.lif_step` and
    `golden.image.interpreter` (sweep). A readout neither fires, resets nor clamps.

    Members
    -------
    summed, drive, threshold : In
        State + events + bias; the drive to add, where words hold one; the threshold.
    restart : In(1)
        5 cycles after the inputs: the word becomes 0 (after the last step of an inference, and in
        the sweep after reset).
    fired, membrane : Out
        The spike and the membrane of the chain of equality.
    word : Out
        The word of the membrane memory for the next step, its leak applied.
    """

    summed: Signal
    drive: Signal
    threshold: Signal
    restart: Signal
    fired: Signal
    membrane: Signal
    word: Signal

    def __init__(self, core: CoreImage) -> None:
        self.core = core
        bits = max(core.memories["constants_0"].layout.bits("threshold"), 1)
        super().__init__({
            "summed": In(signed(core.acc_bits)),
            "drive": In(signed(max(core.drive_bits, 1))),
            "threshold": In(unsigned(bits)),
            "restart": In(1),
            "fired": Out(1),
            "membrane": Out(signed(core.state_bits)),
            "word": Out(signed(core.held_bits)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Six registers: drive, compare, reset, clamp, leak product, leak."""
        m = Module()
        core = self.core
        wide = signed(core.acc_bits)
        driven = Signal(wide)
        compared = Signal(wide)
        after_reset = Signal(wide)
        threshold = like(self.threshold)
        at_threshold = Signal()
        fired = Signal()
        several = core.direct or core.slots
        m.d.sync += driven.eq(self.summed + self.drive if several else self.summed)
        m.d.sync += [compared.eq(driven), threshold.eq(self.threshold)]
        if core.kind == "lif":
            # One subtraction both compares and resets.
            rest = driven - threshold
            minus_threshold = Signal(wide)
            m.d.sync += [at_threshold.eq(~rest[-1]), minus_threshold.eq(rest)]
            m.d.sync += after_reset.eq(
                Mux(at_threshold, minus_threshold if core.reset == "subtract" else 0, compared)
            )
        else:
            m.d.sync += after_reset.eq(compared)
        m.d.sync += [fired.eq(at_threshold), self.fired.eq(fired)]
        m.d.sync += self.membrane.eq(self._clamped(after_reset))
        self._leak(m)
        return m

    def _clamped(self, after_reset: Signal) -> Value:
        """The clamp, once, at the end of the step; wires where the widths prove it unnecessary."""
        bits = self.core.clamp_bits
        if bits == 0 or bits >= after_reset.shape().width:
            return after_reset
        # It fits if all higher bits equal the sign: a gate or two in place of two comparators.
        sign, above = after_reset[-1], after_reset[bits - 1 :]
        limit = Cat(~sign.replicate(bits - 1), sign).as_signed()
        return Mux(above.all() | ~above.any(), after_reset[:bits].as_signed(), limit)

    def _leak(self, m: Module) -> None:
        """The next step's leak, v - ((v * leak_mul) >> leak_shift), floors: -1 decays to 0."""
        core = self.core
        membrane = like(self.membrane)
        product = Signal(signed(core.state_bits + core.leak_shift + 2))
        m.d.sync += [
            product.eq(times_constant(self.membrane, core.leak_mul)),
            membrane.eq(self.membrane),
        ]
        m.d.sync += self.word.eq(Mux(self.restart, 0, membrane - (product >> core.leak_shift)))
