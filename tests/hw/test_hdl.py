"""The names that `hw.hdl` declares for type checking are Amaranth's own at run time."""

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Signal
from amaranth.lib import data, memory, stream, wiring

from spikewright.hw import hdl

AMARANTH = {
    "Component": wiring.Component, "In": wiring.In, "Out": wiring.Out, "Ram": memory.Memory,
    "View": data.View, "connect": wiring.connect, "data": data, "flipped": wiring.flipped,
    "like": Signal.like, "rtlil_text": rtlil.convert, "stream": stream,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(AMARANTH))
def test_the_name_is_amaranths_own(name):
    assert getattr(hdl, name) == AMARANTH[name]


def test_every_other_name_is_tested_here():
    assert set(hdl.__all__) - set(AMARANTH) == {"width_of"}


@pytest.mark.parametrize(
    ("shape", "bits"), [(3, 3), (range(9), 4), (data.StructLayout({"a": 2, "b": 5}), 7)]
)
def test_width_of_any_shape(shape, bits):
    assert hdl.width_of(shape) == bits


def test_a_signal_like_another_is_named_after_its_variable():
    first = Signal(5)
    second = hdl.like(first)
    assert (second.name, len(second)) == ("second", 5)
