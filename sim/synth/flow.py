"""From the Verilog of a build to clock and area: Yosys, packed output registers, nextpnr.

Every step leaves a file, the netlist and a report per seed, so that interrupted work resumes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spikewright.golden.atomic import write_bytes
from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.image_file import load_image, rtl_prefix, rtl_sources
from spikewright.golden.image.memory_image import Image
from spikewright.sim.synth import memories, output_registers, output_registers_proof, scripts
from spikewright.sim.synth.path import CriticalPath, longest
from spikewright.sim.synth.scripts import Part
from spikewright.sim.synth.targets import Target
from spikewright.sim.synth.tools import nextpnr, require_nextpnr, versions, yosys

_FLIP_FLOPS = ("TRELLIS_FF", "SB_DFF")
_DSPS = ("MULT18X18D", "SB_MAC16")
_AIM_MHZ = 200  # the target frequency of placement and routing


@dataclass(frozen=True)
class Synthesis:
    """Clock and area of one design on one target.

    Attributes
    ----------
    mhz
        The highest clock by seed, as nextpnr reports it.
    limit
        The critical path with the median seed.
    used
        Cells by kind, after placement.
    luts, carry_cells, flip_flops, rams, dsps
        Cells of the netlist; `luts` counts a carry cell of ECP5 as the two LUTs that it uses.
    block_memories
        The number of block RAMs of each memory declared as block RAM.
    packed
        The number of block RAM ports whose output registers were packed.
    """

    target: str
    mhz: dict[int, float]
    limit: CriticalPath
    used: dict[str, int]
    luts: int
    carry_cells: int
    flip_flops: int
    rams: int
    dsps: int
    block_memories: dict[str, int]
    packed: int

    @property
    def median_mhz(self) -> float:
        """The median over the seeds."""
        return statistics.median(self.mhz.values())

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, with units in the keys."""
        return {
            "target": self.target, "median_mhz": round(self.median_mhz, 2),
            "mhz": {str(seed): round(value, 2) for seed, value in self.mhz.items()},
            "limit": self.limit.as_dict(), "lut4": self.luts, "carry_cells": self.carry_cells,
            "flip_flops": self.flip_flops, "block_rams": self.rams, "dsps": self.dsps,
            "cells": self.used, "block_memories": self.block_memories, "packed_ports": self.packed,
        }  # fmt: skip


def synthesise(
    build: Path, folder: Path, target: Target, seeds: Sequence[int] = (1, 2, 3),
    part: Part | None = None, progress: Callable[[int, int, str], None] | None = None,
) -> Synthesis:  # fmt: skip
    """Synthesises, places and routes the Verilog of a build folder.

    Parameters
    ----------
    folder
        Keeps the netlist and the reports; those of the same Verilog, target and tools are reused.
    seeds
        Of placement, one run for each.
    part
        One core instead of the whole design.
    progress
        Called with (steps done, steps in all, the next step).

    Raises
    ------
    BadInput
        If `build` is no build folder.
    ToolMissing, CheckFailed
        If a tool is missing or fails, the design does not fit, a memory declared as block RAM was
        mapped to something else or removed, or a packed netlist is not proven equal.
    """
    require_nextpnr(target.family)
    part = replace(part or Part(), prefix=rtl_prefix(build))
    rtl, image, sources = build / "rtl", load_image(build), rtl_sources(build)
    key = _key(rtl, target, part)
    if not (folder / "key").is_file() or (folder / "key").read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_bytes(folder / "key", key.encode())
    report = progress or (lambda done, total, step: None)
    if not (folder / "packed.json").is_file():
        report(0, len(seeds) + 1, "netlist")
        _netlist(rtl, sources, image, folder, target, part)
    about = json.loads((folder / "netlist_about.json").read_text())
    for number, seed in enumerate(seeds, start=1):
        if not (folder / f"routed_{seed}.json").is_file():
            report(number, len(seeds) + 1, f"place and route, seed {seed}")
            _route(folder, target, seed)
    reports = {s: json.loads((folder / f"routed_{s}.json").read_text()) for s in seeds}
    mhz = {s: min(c["achieved"] for c in r["fmax"].values()) for s, r in reports.items()}
    middle = sorted(mhz, key=lambda seed: mhz[seed])[(len(mhz) - 1) // 2]
    used = {k: v["used"] for k, v in reports[middle]["utilization"].items() if v["used"]}
    return Synthesis(target.name, mhz, longest(reports[middle]), used, **about)


def _key(rtl: Path, target: Target, part: Part) -> str:
    digest = hashlib.sha256(repr((target, part, versions(target.family))).encode())
    for path in sorted(rtl.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _netlist(
    rtl: Path, sources: list[str], image: Image, folder: Path, target: Target, part: Part
) -> None:
    """Writes netlist.json by Yosys, packed.json with output registers in the block RAMs."""
    for path in rtl.iterdir():
        if path.suffix in (".v", ".mem"):
            shutil.copy(path, folder / path.name)
    yosys(folder, scripts.netlist(sources, part, target.family))
    netlist = json.loads((folder / "netlist.json").read_text())
    packed, ports = netlist, []
    if target.family == "ecp5":
        packed, ports = output_registers.pack(netlist, part.module)
        output_registers_proof.prove()
        restored = output_registers.unpack(packed, netlist, part.module)
        if not output_registers.same(restored, netlist, part.module):
            raise CheckFailed("packed output registers: the netlist has changed beyond the rule")
    cells = packed["modules"][part.module]["cells"]
    kinds = Counter(cell["type"] for cell in cells.values())
    blocks = memories.mapped(cells, target)
    memories.check_mapping(memories.declared(image, part.core), blocks)
    about = {
        # A carry cell of ECP5 holds two LUTs, one of iCE40 shares the LUT beside it.
        "luts": kinds["LUT4"] + 2 * kinds["CCU2C"] + kinds["SB_LUT4"],
        "carry_cells": kinds["CCU2C"] + kinds["SB_CARRY"],
        "flip_flops": sum(kinds[kind] for kind in kinds if kind.startswith(_FLIP_FLOPS)),
        "rams": kinds[target.ram_cell], "dsps": sum(kinds[kind] for kind in _DSPS),
        "block_memories": blocks, "packed": len(ports),
    }  # fmt: skip
    write_bytes(folder / "netlist_about.json", json.dumps(about, indent=1).encode())
    write_bytes(folder / "packed.json", json.dumps(packed).encode())


def _route(folder: Path, target: Target, seed: int) -> None:
    """Writes routed_SEED.json by nextpnr."""
    options = ["--json", "packed.json", "--report", "routed.json", "--seed", str(seed),
               "--freq", str(_AIM_MHZ), "--timing-allow-fail", *target.options]  # fmt: skip
    nextpnr(folder, target.family, options)
    (folder / "routed.json").replace(folder / f"routed_{seed}.json")
