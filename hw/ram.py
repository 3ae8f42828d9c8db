"""Memories: filled from the image or over the load bus, and their instances in the Verilog.

Every memory of the image is made by `ram`. Amaranth's simulator uses Amaranth's own memory; in the
Verilog `Instances` replaces it by a module, so that other memories (the SRAM macros of an ASIC
flow) can take its place: `spikewright_ram` for intended block RAMs (`is_block`: rows, pointers,
membranes, deep FIFOs), `spikewright_table` for small memories of the image.
"""

from __future__ import annotations

from typing import Any, cast

from amaranth.hdl import (
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    Signal,
    Value,
)

from spikewright.golden.bits import bits_for
from spikewright.golden.image.load_stream import memories
from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.rows import Memory
from spikewright.hw.hdl import Ram, like
from spikewright.hw.shapes import struct

SHALLOW, FEW = 32, 2048
"""Up to so many words, or bits, a memory is made of registers or distributed RAM."""


def is_block(depth: int, width: int) -> bool:
    """Whether a memory is meant to be a block RAM or an SRAM macro."""
    return depth > SHALLOW and depth * width > FEW


class LoadBus:
    """The broadcast that writes image memories: valid, number of the memory, address, word.

    There is no response. `staged` registers it, numbers one cycle ahead of addresses and words,
    which gives every memory a cycle to compare its number. The registers have no reset: the cores
    are held in reset while the bus is in use.
    """

    def __init__(self, image: Image) -> None:
        listed = [memory for _, memory in memories(image)]
        self.numbers = {memory: number for number, memory in enumerate(listed)}
        self.valid = Signal(reset_less=True)
        self.memory = Signal(max(bits_for(len(listed)), 1), reset_less=True)
        deepest = max(len(memory.words) for memory in listed)
        self.address = Signal(max(bits_for(deepest), 1), reset_less=True)
        self.data = Signal(max(memory.layout.width for memory in listed), reset_less=True)

    def staged(self, m: Module) -> LoadBus:
        """The bus in a core: numbers one cycle later, addresses and words two."""
        later = LoadBus.__new__(LoadBus)
        later.numbers = self.numbers
        for name, cycles in (("valid", 1), ("memory", 1), ("address", 2), ("data", 2)):
            value = getattr(self, name)
            for cycle in range(cycles):
                held = like(value, name=f"load_{name}_{cycle}")
                m.d.sync += held.eq(value)
                value = held
            setattr(later, name, value)
        return later


class ImageRam(Ram):
    """A memory of the image; initially empty with the load bus."""

    def __init__(self, memory: Memory, loaded: bool) -> None:
        shape = cast(Any, struct(memory.layout))  # its constants have no type in the stubs
        words = () if loaded else map(int, memory.words)
        super().__init__(shape=shape, depth=len(memory.words), init=map(shape.from_bits, words))
        self.memory = memory


def ram(m: Module, name: str, memory: Memory, load: LoadBus | None = None) -> ImageRam:
    """A memory with the words of the image, or with a port for the load bus, as submodule `name`.

    A word is in the memory 3 cycles after its beat on the bus of the accelerator.
    """
    m.submodules[name] = block = ImageRam(memory, load is not None)
    if load is not None:
        chosen = Signal(reset_less=True)
        writer = block.write_port()
        m.d.sync += chosen.eq(load.valid & (load.memory == load.numbers[memory]))
        m.d.comb += [
            writer.en.eq(chosen),
            writer.addr.eq(load.address),
            Value.cast(writer.data).eq(load.data),
        ]
    return block


class Instances:
    """The platform of the Verilog: memories become instances (Amaranth's `get_memory` hook).

    Parameters
    ----------
    image
        Its memories read `NAME.mem` of `golden.image.memory_image.memory_files`.
    loadable
        No memory reads a file.
    prefix
        Of the names of files and modules.
    """

    def __init__(self, image: Image, loadable: bool, prefix: str = "") -> None:
        self.prefix = prefix
        self.files = {
            memory: "" if loadable else f"{prefix}{name}.mem" for name, memory in memories(image)
        }

    def get_memory(self, memory: Ram) -> Elaboratable:
        """The replacement of `memory`: one reader, and at most one writer."""
        name = self.files[memory.memory] if isinstance(memory, ImageRam) else ""
        port = memory.read_ports[0]
        if port.domain != "comb" and is_block(memory.depth, len(Value.cast(port.data))):
            return _block(memory, name, self.prefix)
        if isinstance(memory, ImageRam):
            return _table(memory, name, self.prefix)
        return Ram.elaborate(memory, None)


def _ports(memory: Ram, name: str) -> dict[str, Any]:
    """Parameters and write port, common to both modules."""
    address = _address_bits(memory)
    given: dict[str, Any] = {
        "p_WIDTH": len(Value.cast(memory.read_ports[0].data)),
        "p_DEPTH": memory.depth,
        "p_ADDRESS": address,
    } | ({"p_INIT": name} if name else {})
    write, location, word = Const(0, 1), Const(0, address), Const(0, 1)
    for port in memory.write_ports:
        write, location, word = port.en, port.addr, Value.cast(port.data)
    return given | {"i_write_enable": write, "i_write_address": _wide(location, address),
                    "i_write_data": word}  # fmt: skip


def _address_bits(memory: Ram) -> int:
    """Address bits of the module's port: at least one."""
    return max(bits_for(memory.depth), 1)


def _wide(value: Value, width: int) -> Value:
    """A value of `width` bits, for an address that may have no bits."""
    return value if len(value) == width else Const(0, width)


def _block(memory: Ram, name: str, prefix: str) -> Module:
    m, (port,) = Module(), memory.read_ports
    ports = _ports(memory, name)
    m.submodules.block = Instance(
        f"{prefix}spikewright_ram", **ports, i_clk=ClockSignal(), i_read_enable=port.en,
        i_read_address=_wide(port.addr, _address_bits(memory)), o_read_data=Value.cast(port.data),
    )  # fmt: skip
    return m


def _table(memory: Ram, name: str, prefix: str) -> Module:
    m, (port,) = Module(), memory.read_ports
    ports = _ports(memory, name)
    read = like(Value.cast(port.data))
    m.submodules.table = Instance(
        f"{prefix}spikewright_table", **ports, i_clk=ClockSignal(),
        i_read_address=_wide(port.addr, _address_bits(memory)), o_read_data=read,
    )  # fmt: skip
    data = Value.cast(port.data)
    if port.domain == "comb":
        m.d.comb += data.eq(read)
        return m
    held = like(data, reset_less=True)
    with m.If(port.en):
        m.d.sync += held.eq(read)
    m.d.comb += data.eq(held)
    return m
