"""The register map: one table from which hardware, JSON, C header, page and driver are made.

A build's values (`Identity`) identify its network. Offsets are in bytes,
registers have 32 bits; an array of registers has one `Register` with a `count`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from spikewright.golden.errors import require
from spikewright.golden.image.counters import COUNTERS, STRIDE

MAGIC = 0x53504B57
"""The value of the first register: "SPKW"."""

VERSION = 0x0001_0001
"""The version of this map: major number in the upper half, minor in the lower."""

ADDRESS_BITS = 13
"""Address bits of the AXI4-Lite port: the block takes 8 KiB."""

MOST_CORES = 128
"""Cores whose counters fit between the counters' offset and the end of the block."""

FINGERPRINT_WORDS = 8
SHAPE_WORDS = 2

Access = Literal["ro", "rw", "w1c"]


@dataclass(frozen=True)
class Field:
    """Bits `low` .. `low + width - 1` of a register; `pulse`: reads 0, a 1 written acts once."""

    name: str
    low: int
    width: int
    meaning: str
    pulse: bool = False

    @property
    def mask(self) -> int:
        """The field's bits within the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """One register, or `count` of them in a row.

    Access: ro (a write is answered with SLVERR), rw, w1c (a 1 written clears the bit).
    """

    name: str
    offset: int
    access: Access
    meaning: str
    fields: tuple[Field, ...] = ()
    count: int = 1

    def field(self, name: str) -> Field:
        """The field of that name; KeyError if there is none."""
        return {field.name: field for field in self.fields}[name]


ERRORS = (
    Field("load_header", 0, 1, "a load stream is not for this shape, or damaged: nothing written"),
    Field("load_length", 1, 1, "a load stream ended too early or too late: not loaded"),
    Field("load_hash", 2, 1, "a load stream's checksum does not match: not loaded"),
    Field("load_refused", 3, 1, "load mode was asked for while enabled or busy: not entered"),
    Field("start_refused", 4, 1, "enable was set while not loaded or in load mode: not enabled"),
    Field("input_dropped", 5, 1, "input beats were dropped up to the end of an inference"),
    Field("output_cut", 6, 1, "a reset lost inferences, or cut the logits of one short"),
    Field("input_outside", 7, 1, "events outside the input's map were dropped, see REJECTED"),
)

REGISTERS = (
    Register("MAGIC", 0x000, "ro", f"0x{MAGIC:08X}, the letters SPKW"),
    Register("VERSION", 0x004, "ro", "of this register map", (
        Field("minor", 0, 16, "more registers than before"),
        Field("major", 16, 16, "other meanings than before"),
    )),
    Register("FEATURES", 0x008, "ro", "what was built", (
        Field("loadable", 0, 1, "memories are filled by the load stream"),
        Field("counters", 1, 1, "the counters are there"),
        Field("cores", 8, 8, "number of cores"),
        Field("lanes", 16, 16, "number of lanes, over all cores"),
    )),
    Register("TIMESTEPS", 0x00C, "ro", "time steps of an inference"),
    Register("INPUTS", 0x010, "ro", "input neurons"),
    Register("OUTPUTS", 0x014, "ro", "logits of an inference"),
    Register("SHAPE", 0x018, "ro", "start of the SHA-256 of the shape, first digits in the first "
             "register; networks of one shape can replace each other", count=SHAPE_WORDS),
    Register("NETWORK", 0x020, "ro", "fingerprint of the network, first digits in the first "
             "register; 0 while none is loaded", count=FINGERPRINT_WORDS),
    Register("CONTROL", 0x040, "rw", "what the machine shall do", (
        Field("enable", 0, 1, "take inputs; cleared, the inference that has begun is completed"),
        Field("load", 1, 1, "load mode: the cores are held in reset, the load stream is taken"),
        Field("soft_reset", 2, 1, "reset of cores and inferences, not of registers", pulse=True),
        Field("clear_counters", 3, 1, "all counters to 0", pulse=True),
        Field("flush", 4, 1, "cores are held in reset, input is taken and dropped; after it the "
              "beat begins an inference"),
    )),
    Register("STATUS", 0x044, "ro", "what the machine does", (
        Field("running", 0, 1, "inputs are taken"),
        Field("loaded", 1, 1, "the memories hold a whole network"),
        Field("loading", 2, 1, "load mode"),
        Field("frame", 3, 1, "the input is inside an inference"),
        Field("dropping", 4, 1, "the input is dropped up to the end of an inference"),
        Field("busy", 5, 1, "an inference is under way"),
        Field("offering", 6, 1, "a logit is offered, or a packet that was cut is not closed yet"),
        Field("in_flight", 16, 16, "inferences whose input is complete and whose logits are not"),
    )),
    Register("ERRORS", 0x048, "w1c", "what went wrong; bits stay until a 1 is written", ERRORS),
    Register("INFERENCES", 0x04C, "ro", "inferences completed since reset or clear_counters"),
    Register("REJECTED", 0x050, "ro", "events outside the input's map, dropped since reset or "
             "clear_counters"),
    Register("DROPPED", 0x054, "ro", "input beats dropped since reset or clear_counters: the rest "
             "of an inference that a soft reset cut, and what a flush took"),
    Register("COUNTERS", 0x1000, "ro", f"counter k of core i is number {STRIDE} i + k; k: "
             + ", ".join(f"{k} {name}" for k, name in enumerate(COUNTERS)),
             count=MOST_CORES * STRIDE),
)  # fmt: skip

_BY_NAME = {register.name: register for register in REGISTERS}


def register(name: str) -> Register:
    """The register of that name; KeyError if there is none."""
    return _BY_NAME[name]


@dataclass(frozen=True)
class Identity:
    """The values of the read-only registers of one build.

    `shape` and `network` are hexadecimal digits; a loadable build has no network until it is
    loaded. A build whose memories are initialised starts enabled, so that it needs no processor.
    """

    cores: int
    lanes: int
    timesteps: int
    inputs: int
    outputs: int
    shape: str
    network: str
    loadable: bool
    counters: bool

    def __post_init__(self) -> None:
        where = "register block"
        require(self.cores <= MOST_CORES, where, "number of cores", self.cores,
                f"at most {MOST_CORES}; build without registers")  # fmt: skip
        require(self.lanes < 1 << 16, where, "number of lanes", self.lanes, "below 65536")

    def values(self) -> dict[str, tuple[int, ...]]:
        """The constant registers of this build: name -> one value per register."""
        features = pack("FEATURES", loadable=self.loadable, counters=self.counters,
                        cores=self.cores, lanes=self.lanes)  # fmt: skip
        constant = {"MAGIC": MAGIC, "VERSION": VERSION, "FEATURES": features,
                    "TIMESTEPS": self.timesteps, "INPUTS": self.inputs,
                    "OUTPUTS": self.outputs}  # fmt: skip
        values: dict[str, tuple[int, ...]] = {name: (value,) for name, value in constant.items()}
        values["SHAPE"] = hash_words(self.shape, register("SHAPE").count)
        if not self.loadable:
            values["NETWORK"] = hash_words(self.network, register("NETWORK").count)
        return values

    def resets(self) -> dict[str, tuple[int, ...]]:
        """The value of every register but the counters after reset."""
        loaded = not self.loadable
        resets = {each.name: (0,) * each.count for each in REGISTERS if each.name != "COUNTERS"}
        resets["CONTROL"] = (pack("CONTROL", enable=loaded),)
        resets["STATUS"] = (pack("STATUS", running=loaded, loaded=loaded),)
        return resets | self.values()

    def registers(self) -> tuple[Register, ...]:
        """The registers of this build: its cores' counters only."""
        counters = _BY_NAME["COUNTERS"]
        own = Register(counters.name, counters.offset, counters.access, counters.meaning,
                       counters.fields, self.cores * STRIDE)  # fmt: skip
        kept = tuple(each for each in REGISTERS if each is not counters)
        return (*kept, own) if self.counters else kept


def hash_words(digits: str, count: int) -> tuple[int, ...]:
    """The first digits of a hash as 32-bit words, eight digits each.

    >>> [hex(word) for word in hash_words("0123456789abcdef", 2)]
    ['0x1234567', '0x89abcdef']
    """
    return tuple(int(digits[8 * i : 8 * i + 8], 16) for i in range(count))


def pack(name: str, **values: int) -> int:
    """A register's value from its fields; fields that are not named are 0.

    >>> pack("CONTROL", enable=1, clear_counters=1)
    9
    """
    packed = 0
    for field, value in values.items():
        bits = register(name).field(field)
        packed |= int(value) << bits.low & bits.mask
    return packed


def unpack(name: str, value: int) -> dict[str, int]:
    """The fields of a register's value.

    >>> unpack("FEATURES", 0x00030202)
    {'loadable': 0, 'counters': 1, 'cores': 2, 'lanes': 3}
    """
    return {field.name: (value & field.mask) >> field.low for field in register(name).fields}


def describe(identity: Identity) -> dict[str, Any]:
    """The map of one build as JSON values: `rtl/regs.json`."""
    resets = identity.resets()
    rows: list[dict[str, Any]] = []
    for each in identity.registers():
        fields = [
            {"name": field.name, "low_bit": field.low, "width_bits": field.width,
             "pulse": field.pulse, "meaning": field.meaning}
            for field in each.fields
        ]  # fmt: skip
        reset = resets.get(each.name, (0,) * each.count)
        rows.append({"name": each.name, "offset_bytes": each.offset, "count": each.count,
                     "access": each.access, "reset": list(reset), "meaning": each.meaning,
                     "fields": fields})  # fmt: skip
    return {"schema": 1, "width_bits": 32, "address_bits": ADDRESS_BITS, "registers": rows}


def c_header(identity: Identity, name: str = "spikewright") -> str:
    """The map of one build as a C header: `rtl/regs.h`. Macros begin with `name`."""
    prefix = name.upper()
    lines = ["/* Registers of a Spikewright accelerator; offsets in bytes. */",
             f"#ifndef {prefix}_REGS_H", f"#define {prefix}_REGS_H", ""]  # fmt: skip
    values = identity.values()
    for each in identity.registers():
        macro = f"{prefix}_{each.name}"
        lines.append(f"/* {each.access}: {each.meaning} */")
        lines.append(f"#define {macro} 0x{each.offset:04X}u")
        if each.count > 1:
            lines.append(f"#define {macro}_COUNT {each.count}u")
        for index, value in enumerate(values.get(each.name, ())):
            suffix = f"_{index}" if each.count > 1 else ""
            lines.append(f"#define {macro}_VALUE{suffix} 0x{value:08X}u")
        for field in each.fields:
            lines.append(f"#define {macro}_{field.name.upper()} 0x{field.mask:08X}u"
                         f" /* {field.meaning} */")  # fmt: skip
        lines.append("")
    return "\n".join([*lines, "#endif", ""])


def page() -> str:
    """The map as the Markdown page docs/registers.md."""
    lines = ["# Registers", "",
             "Written by `golden.image.registers`, which is also the source of the hardware, of",
             "`rtl/regs.json`, `rtl/regs.h` and of the driver. How they are used:",
             "[integration](integration.md). 32-bit registers, offsets in bytes. Access: ro is",
             "read only (a write is answered with SLVERR), w1c is cleared bit by bit by writing",
             "1; a *pulse* acts once and reads 0.", "",
             "| offset | name | access | meaning |", "|---|---|---|---|"]  # fmt: skip
    for each in REGISTERS:
        last = each.offset + 4 * (each.count - 1)
        span = f"`{each.offset:04X}`" + (f" .. `{last:04X}`" if each.count > 1 else "")
        lines.append(f"| {span} | {each.name} | {each.access} | {each.meaning} |")
    for each in REGISTERS:
        if not each.fields:
            continue
        lines += ["", f"## {each.name}", "", "| bits | field | meaning |", "|---|---|---|"]
        for field in each.fields:
            high = field.low + field.width - 1
            bits = f"{high}:{field.low}" if field.width > 1 else str(field.low)
            lines.append(f"| {bits} | {field.name}{' (pulse)' * field.pulse} | {field.meaning} |")
    return "\n".join([*lines, ""])
