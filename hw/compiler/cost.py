"""Resource estimates of a core: block RAMs, LUTs and multipliers, from the shapes of its memories.

Memories are counted; logic is a linear fit to synthesis results. These estimates guide the plan;
the result of synthesis is authoritative.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.compiler.fpga import Device

LUTS = {
    "core": 190.0,
    "lane": 188.0,
    "membrane bit": 3.2,
    "weight bit": 14.0,
    "address bit": 12.7,
    "value bit": 13.9,
}
"""LUTs of a core, of a lane, and of a lane for each bit of membrane words, weights, membrane
addresses and event values; small memories are added.

Least squares over nine single cores through yosys `synth_ecp5 -no-rw-check` (convolutions and
linear layers of 1, 4 and 8 lanes, 10- to 33-bit words, 4- and 8-bit weights, events and direct
input), LUT4 + 2 CCU2C + 6 TRELLIS_DPR16X4: every one within 3.5 % of its count.
"""

SMALL = 1024
"""Memories of at most so many bits are made of LUTs."""

_LUT_BITS = 16
"""Bits of a small memory per LUT."""


@dataclass(frozen=True)
class CoreShape:
    """The parameters of a core's cost; a memory is (depth, width), one per lane.

    `value_bits` is 0 where every value is 1, and then there are no multipliers.
    """

    lanes: int
    word_bits: int
    weight_bits: int
    address_bits: int
    value_bits: int
    lane_memories: tuple[tuple[int, int], ...]
    shared_memories: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Need:
    """Resources of a device in use."""

    ram: int
    lut: int
    dsp: int

    def __add__(self, other: Need) -> Need:
        return Need(self.ram + other.ram, self.lut + other.lut, self.dsp + other.dsp)

    def exceeds(self, device: Device) -> str | None:
        """The first resource of which the device has too little; None if it has enough."""
        for name in ("ram", "lut", "dsp"):
            if getattr(self, name) > getattr(device, name):
                return name
        return None

    def share(self, device: Device) -> float:
        """The largest share of any resource that the device has."""
        pairs = [(getattr(self, name), getattr(device, name)) for name in ("ram", "lut", "dsp")]
        return max(taken / there for taken, there in pairs if there)


def need(shape: CoreShape, device: Device) -> Need:
    """The cost of a core on a device; on one without multipliers, LUTs multiply."""
    rams, luts = 0, LUTS["core"]
    luts += shape.lanes * (
        LUTS["lane"]
        + LUTS["membrane bit"] * shape.word_bits
        + LUTS["weight bit"] * shape.weight_bits
        + LUTS["address bit"] * shape.address_bits
        + LUTS["value bit"] * shape.value_bits
    )
    memories = [(shape.lanes, *memory) for memory in shape.lane_memories]
    for count, depth, width in memories + [(1, *memory) for memory in shape.shared_memories]:
        if depth * width <= SMALL:
            luts += count * width * -(-depth // _LUT_BITS)
        else:
            rams += count * device.rams(depth, width)
    multipliers = shape.lanes if shape.value_bits else 0
    if device.dsp == 0:  # an array of adders: one LUT for each bit of the partial products
        luts += multipliers * shape.value_bits * shape.weight_bits
        multipliers = 0
    return Need(rams, round(luts), multipliers)


def shape_of(core: CoreImage) -> CoreShape:
    """The shape of a compiled core; for lanes' memories, the largest depth and width."""
    lane: dict[str, tuple[int, int]] = {
        "membranes": (core.words, core.word_bits * core.channels_per_word)
    }
    shared: list[tuple[int, int]] = []
    for name, memory in core.memories.items():
        depth, width = len(memory.words), memory.layout.width
        kind, _, number = name.rpartition("_")
        if kind in ("pointers", "entries", "constants") and number.isdigit():
            largest = lane.get(kind, (0, 0))
            lane[kind] = (max(depth, largest[0]), max(width, largest[1]))
        else:
            shared.append((depth, width))
    shared += [(edge.depth, edge.event.width + 1) for edge in core.edges if edge.depth]
    layout = core.memories["entries_0"].layout
    weight_bits = sum(bits for name, bits in layout.fields if name.startswith("weight"))
    word_bits = core.word_bits * core.channels_per_word
    return CoreShape(
        core.lanes, word_bits, weight_bits, core.address_bits, core.value_bits,
        tuple(lane.values()), tuple(shared),
    )  # fmt: skip
