"""Amaranth shapes of the packed words of the memory image, and memories filled from it."""

from typing import Any, cast

from amaranth.hdl import Const, Signal, Value

from spikewright.golden.bits import bits_for
from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.image.rows import COUNT_BITS, Layout
from spikewright.hw.hdl import View, data


def struct(layout: Layout) -> data.StructLayout:
    """The fields of a word, all unsigned, least significant first."""
    return data.StructLayout(dict(layout.fields))


def field(view: View, layout: Layout, name: str) -> Value:
    """A field of a word; a constant 0 if the layout has no bits for it."""
    return Value.cast(view[name]) if layout.bits(name) else Const(0, 1)


def record(layout: data.Layout, reset_less: bool = False, name: str | None = None) -> View:
    """A signal with the fields of `layout`, named after the variable that it is assigned to."""
    return cast(View, Signal(layout, name=name, reset_less=reset_less, src_loc_at=1))


def elements(array: View) -> list[Any]:
    """The elements of an array, the first lowest."""
    return [array[place] for place in range(array.shape().length)]


def taps(core: CoreImage) -> int:
    """Kernel positions of a core's edge; 1 if an event has one target per row entry."""
    return len(core.memories["taps"].words)


def event_layout(layout: Layout) -> Layout:
    """The beat of an event stream: the event's fields behind the end-of-step token bit."""
    return Layout((("last", 1), *layout.fields))


def context_layout(core: CoreImage) -> Layout:
    """What a row's entries need from their event: base address, valid taps, value, target.

    `direct` says that the operand goes to the direct drive; only words that take events for both
    need to be told. `steps` are those of the pass in which the event counts, if it is not direct.
    """
    placed = taps(core) > 1 or core.words > core.local_channels
    masked = taps(core) > 1
    tables = [
        [core.memories[f"table_{axis}_{index}"].layout for index in range(len(core.edges))]
        for axis in "yx"
    ]
    mask_y, mask_x = (max(layout.bits("mask") for layout in axis) for axis in tables)
    return Layout.of(
        base=core.address_bits if placed else 0,
        mask_y=mask_y if masked else 0,
        mask_x=mask_x if masked else 0,
        value=core.value_bits,
        direct=int(core.direct and not core.framed),
        steps=core.slots + 1 if core.slots else 0,
    )


def request_layout(core: CoreImage) -> Layout:
    """What the decoder broadcasts to the lanes: a row number with its context, or the token."""
    row = max(bits_for(core.row_count), 1)
    return Layout((("last", 1), ("row", row), *context_layout(core).fields))


def descriptor_layout(core: CoreImage, lane: int) -> Layout:
    """A row of one lane: where it starts and how long it is, with its context, or the token.

    Rows of one length need not say it.
    """
    start = max(bits_for(len(core.memories[f"entries_{lane}"].words)), 1)
    count = COUNT_BITS if core.row_lengths[lane] is None else 0
    own = Layout.of(last=1, start=start, count=count)
    return Layout((*own.fields, *context_layout(core).fields))
