"""Memories meant to be block RAM: which a build has, and what synthesis made of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.hw.core.bank import is_small
from spikewright.hw.ram import is_block
from spikewright.sim.synth.targets import Target

_INSTANCE = ".block."  # of `spikewright_ram`, in the names of the cells that it becomes


def declared(image: Image, only: str | None = None) -> dict[str, bool]:
    """The paths of all memories that the Verilog of an image declares as block RAM, below its top.

    From the image alone, not from the Verilog: a memory that got lost on the way is missed. True
    for those that synthesis cannot do without; it may remove one whose words are all the same.

    Parameters
    ----------
    only
        A node whose core is the top by itself.
    """
    found = {}
    for core in image.cores:
        if only in (None, core.node):
            above = "" if only else f"core.{core.node}."
            for place, depth, width, needed in (*_tables(core), *_accumulators(core)):
                if is_block(depth, width):
                    found[above + place] = needed
        for index, edge in enumerate(core.edges):
            if not only and edge.depth and is_block(edge.depth - 1, edge.event.width + 1):
                found[f"core.Delay_{core.node}_{index}.queue.storage"] = True
    return found


def _tables(core: CoreImage) -> Iterator[tuple[str, int, int, bool]]:
    """Memories of the image that are read with a clock: place, depth, width, needed."""
    for name, memory in core.memories.items():
        kind, _, number = name.rpartition("_")
        if kind == "constants":
            place = f"lane_{int(number) // core.channels_per_word}.membranes"
        elif kind in ("entries", "pointers"):
            place = f"lane_{number}.{'walker' if kind == 'entries' else 'fetch'}"
            name = kind
        elif kind in ("table_x", "table_y"):
            place = "decoder"
        else:  # the taps are read without a clock
            continue
        differ = bool((memory.words != memory.words[0]).any())
        yield f"{place}.{name}", len(memory.words), memory.layout.width, differ


def _accumulators(core: CoreImage) -> Iterator[tuple[str, int, int, bool]]:
    """States, slots and direct drives of every lane."""
    if is_small(core.words):
        return
    drives = core.drive_bits * core.channels_per_word
    banks = {
        "states": core.held_bits * core.channels_per_word,
        "drives": drives if core.direct else 0,
        "slots": drives * core.slots,
    }
    for lane in range(core.lanes):
        for name, width in banks.items():
            if width:
                yield f"lane_{lane}.membranes.{name}.words", core.words, width, True


def mapped(cells: dict[str, Any], target: Target) -> dict[str, int]:
    """Block RAMs of every memory declared as one, by its path, from the names of the cells."""
    found: Counter[str] = Counter()
    for name, cell in cells.items():
        path, instance, _ = name.partition(_INSTANCE)
        if instance:
            found[re.sub(r"\$\d+", "", path)] += cell["type"] == target.ram_cell
    return dict(sorted(found.items()))


def check_mapping(expected: dict[str, bool], found: dict[str, int]) -> None:
    """Every memory of `declared` is in `mapped` and became block RAM, and no other is there.

    Raises
    ------
    CheckFailed
        Naming the first for which that is not so.
    """
    for path in sorted(expected | found.keys()):
        if path not in expected:
            raise CheckFailed(f"memory {path!r}: block RAM of which the memory image knows nothing")
        if path not in found and expected[path]:
            raise CheckFailed(f"memory {path!r}: declared as block RAM, removed by synthesis")
        if found.get(path) == 0:
            raise CheckFailed(f"memory {path!r}: declared as block RAM, mapped to something else")
