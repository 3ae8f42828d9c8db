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
    return [array[index] for index in range(array.shape().length)]


def taps(core: CoreImage) -> int:
    """Kernel positions of a core's edge; 1 if an event has one target per row entry."""
    return len(core.memories["taps"].words)


def event_layout(layout: Layout) -> Layout:
    """The beat of an event stream: the end-of-step token bit, then the event's fields."""
    return Layout((("last", 1), *layout.fields))


def context_layout(core: CoreImage) -> Layout:
    """What a row's entries need from their event: base address, valid taps, value, target.

    `direct`: the operand is added to the direct drive; present only where words hold both drives.
    `steps`: the steps of the pass to which the event belongs, if it is not direct.
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
    """The decoder's broadcast to the lanes: a row number with its context, or the token."""
    row = max(bits_for(core.row_count), 1)
    return Layout((("last", 1), ("row", row), *context_layout(core).fields))


def descriptor_layout(core: CoreImage, lane: int) -> Layout:
    """A row of one lane: start and length, with its context, or the token.

    Rows of equal length have no length field.
    """
    start = max(bits_for(len(core.memories[f"entries_{lane}"].words)), 1)
    count = COUNT_BITS if core.row_lengths[lane] is None else 0
    own = Layout.of(last=1, start=start, count=count)
    return Layout((*own.fields, *context_layout(core).fields))
