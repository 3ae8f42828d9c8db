"""Checks that synthesis mapped every memory declared as block RAM to block RAM."""

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
    """The memories that the Verilog of an image declares as block RAM, by path below its top.

    They follow from the image alone, not from the Verilog, so that a lost memory is noticed. The
    value is False where synthesis may remove the memory, since all its words are equal.

    Parameters
    ----------
    only
        The node of the only core, where that core is the top.
    """
    memories = {}
    for core in image.cores:
        if only in (None, core.node):
            above = "" if only else f"core.{core.node}."
            for path, depth, width, needed in (*_tables(core), *_accumulators(core)):
                if is_block(depth, width):
                    memories[above + path] = needed
        for index, edge in enumerate(core.edges):
            if not only and edge.depth and is_block(edge.depth - 1, edge.event.width + 1):
                memories[f"core.Delay_{core.node}_{index}.queue.storage"] = True
    return memories


def _tables(core: CoreImage) -> Iterator[tuple[str, int, int, bool]]:
    """The image's memories with synchronous read: path, depth, width, needed."""
    for name, memory in core.memories.items():
        kind, _, number = name.rpartition("_")
        if kind == "constants":
            path = f"lane_{int(number) // core.channels_per_word}.membranes"
        elif kind in ("entries", "pointers"):
            path = f"lane_{number}.{'walker' if kind == 'entries' else 'fetch'}"
            name = kind
        elif kind in ("table_x", "table_y"):
            path = "decoder"
        else:  # the taps have asynchronous read
            continue
        differ = bool((memory.words != memory.words[0]).any())
        yield f"{path}.{name}", len(memory.words), memory.layout.width, differ


def _accumulators(core: CoreImage) -> Iterator[tuple[str, int, int, bool]]:
    """The states, slots and direct drives of every lane: path, depth, width, needed."""
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
    """The number of block RAMs of every memory declared as one, by path, from the cells' names."""
    rams: Counter[str] = Counter()
    for name, cell in cells.items():
        path, instance, _ = name.partition(_INSTANCE)
        if instance:
            rams[re.sub(r"\$\d+", "", path)] += cell["type"] == target.ram_cell
    return dict(sorted(rams.items()))


def check_mapping(expected: dict[str, bool], actual: dict[str, int]) -> None:
    """Checks that the memories of `declared`, and no others, became block RAM in `mapped`.

    Raises
    ------
    CheckFailed
        Naming the first memory that is mapped to something else, removed, or unknown.
    """
    for path in sorted(expected | actual.keys()):
        if path not in expected:
            raise CheckFailed(f"memory {path!r}: block RAM that is not in the memory image")
        if path not in actual and expected[path]:
            raise CheckFailed(f"memory {path!r}: declared as block RAM, removed by synthesis")
        if actual.get(path) == 0:
            raise CheckFailed(f"memory {path!r}: declared as block RAM, mapped to something else")
