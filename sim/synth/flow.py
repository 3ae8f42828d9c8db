"""From the Verilog of a build to clock and area: Yosys, packed output registers, nextpnr.

Every step leaves a file, so that interrupted work goes on: the netlist once, a report per seed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.atomic import write_bytes
from golden.errors import BadInput, CheckFailed
from sim.synth import outreg, rule
from sim.synth.targets import Target
from sim.synth.tools import nextpnr, yosys

_READ = "read_verilog {sources}\n"
_SYNTH = {
    # The lanes forward every sum under way, so nobody looks at a word read while it is written.
    "ecp5": "synth_ecp5 -no-rw-check -top {top} -json netlist.json\n",
    "ice40": "synth_ice40 -no-rw-check -dsp -top {top} -json netlist.json\n",
}
_FLIP_FLOPS = ("TRELLIS_FF", "SB_DFF")
_CELL = re.compile(r"(_(TRELLIS|LUT4|PFUMX|CCU2C|L6MUX21|SB)_?.*|\$.*)$")  # added to a net's name
_DEVICE_MHZ = 200  # what the router aims at


@dataclass(frozen=True)
class Part:
    """What to synthesise: a module of the design without some of its ports, or the whole top."""

    module: str = "top"
    without: tuple[str, ...] = ()

    @property
    def script(self) -> str:
        """Yosys commands that make it the top."""
        lines = [f"hierarchy -check -top {self.module}"]
        if self.without:
            lines += ["proc", *(f"delete -port {self.module}/{port}" for port in self.without)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Synthesis:
    """Clock and area of one design on one target.

    Attributes
    ----------
    mhz
        The highest clock by seed, as nextpnr reports it.
    limits
        What limits the clock with the median seed: the cells from register to register.
    used
        Cells by kind, behind placement.
    block_memories
        Memories declared as block RAM, and the block RAMs that each became.
    packed
        Ports of block RAMs whose output registers were packed.
    """

    target: str
    mhz: dict[int, float]
    limits: list[str]
    used: dict[str, int]
    luts: int
    flip_flops: int
    rams: int
    block_memories: dict[str, int]
    packed: int

    @property
    def median_mhz(self) -> float:
        """The median over the seeds."""
        return statistics.median(self.mhz.values())

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, units in the keys."""
        return {
            "schema": 1, "target": self.target, "median_mhz": round(self.median_mhz, 2),
            "mhz": {str(seed): round(value, 2) for seed, value in self.mhz.items()},
            "limits": self.limits, "lut4": self.luts, "flip_flops": self.flip_flops,
            "block_rams": self.rams, "used": self.used,
            "block_memories": self.block_memories, "packed_ports": self.packed,
        }  # fmt: skip


def synthesise(
    rtl: Path, folder: Path, target: Target, seeds: Sequence[int] = (1, 2, 3),
    part: Part = Part(), progress: Callable[[str], None] = lambda _: None,
) -> Synthesis:  # fmt: skip
    """Synthesise the Verilog of an `rtl` folder; `folder` keeps netlist, reports and result.

    Raises
    ------
    BadInput
        If there is no Verilog.
    ToolMissing, CheckFailed
        If a tool is missing or fails, a memory declared as block RAM became something else, or a
        packed netlist is not proven equal.
    """
    sources = _sources(rtl)
    key = _key(rtl, target, part)
    if not (folder / "key").is_file() or (folder / "key").read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_bytes(folder / "key", key.encode())
    if not (folder / "packed.json").is_file():
        progress("netlist")
        _netlist(rtl, sources, folder, target, part)
    about = json.loads((folder / "netlist_about.json").read_text())
    for seed in seeds:
        if not (folder / f"report_{seed}.json").is_file():
            progress(f"seed {seed}")
            _route(folder, target, seed)
    reports = {s: json.loads((folder / f"report_{s}.json").read_text()) for s in seeds}
    mhz = {s: max(c["achieved"] for c in r["fmax"].values()) for s, r in reports.items()}
    middle = sorted(mhz, key=lambda seed: mhz[seed])[(len(mhz) - 1) // 2]
    used = {k: v["used"] for k, v in reports[middle]["utilization"].items() if v["used"]}
    found = Synthesis(
        target.name, mhz, limits(reports[middle]), used, about["lut4"], about["flip_flops"],
        about["block_rams"], about["block_memories"], about["packed"],
    )  # fmt: skip
    write_bytes(folder / "synthesis.json", (json.dumps(found.as_dict(), indent=1) + "\n").encode())
    return found


def _sources(rtl: Path) -> list[str]:
    listed = rtl / "filelist.f"
    if not listed.is_file():
        raise BadInput(f"{listed}: not found; make it with `spikewright build`")
    return listed.read_text().split()


def _key(rtl: Path, target: Target, part: Part) -> str:
    digest = hashlib.sha256(repr((target, part)).encode())
    for path in sorted(rtl.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _netlist(rtl: Path, sources: list[str], folder: Path, target: Target, part: Part) -> None:
    """netlist.json by Yosys, packed.json with output registers in the block RAMs."""
    for path in rtl.iterdir():
        if path.suffix in (".v", ".mem"):
            shutil.copy(path, folder / path.name)
    script = _READ.format(sources=" ".join(sources)) + part.script
    yosys(folder, script + _SYNTH[target.family].format(top=part.module))
    netlist = json.loads((folder / "netlist.json").read_text())
    packed, ports = netlist, []
    if target.family == "ecp5":
        packed, ports = outreg.pack(netlist, part.module)
        rule.prove()
        if not outreg.same(outreg.unpack(packed, netlist, part.module), netlist, part.module):
            raise CheckFailed("packed output registers: the netlist has changed beyond the rule")
    cells = packed["modules"][part.module]["cells"]
    kinds = Counter(cell["type"] for cell in cells.values())
    blocks = block_memories(cells, target)
    for name, rams in blocks.items():
        if rams == 0:
            raise CheckFailed(f"memory {name!r}: declared as block RAM, mapped to something else")
    about = {
        # A carry cell of ECP5 holds two LUTs, one of iCE40 shares the LUT beside it.
        "lut4": kinds["LUT4"] + 2 * kinds["CCU2C"] + kinds["SB_LUT4"],
        "flip_flops": sum(kinds[kind] for kind in kinds if kind.startswith(_FLIP_FLOPS)),
        "block_rams": kinds[target.ram_cell], "block_memories": blocks, "packed": len(ports),
    }  # fmt: skip
    write_bytes(folder / "netlist_about.json", json.dumps(about, indent=1).encode())
    write_bytes(folder / "packed.json", json.dumps(packed).encode())


def block_memories(cells: dict[str, Any], target: Target) -> dict[str, int]:
    """Block RAMs of every memory declared as one, from the paths of the cells.

    Yosys keeps the instance of `spikewright_ram` in the names of the cells that it became.
    """
    found: Counter[str] = Counter()
    for name, cell in cells.items():
        if matched := re.match(r"(.*)\.block\.", name):
            found[matched[1]] += cell["type"] == target.ram_cell
    return dict(sorted(found.items()))


def _route(folder: Path, target: Target, seed: int) -> None:
    """report_SEED.json by nextpnr."""
    options = ["--json", "packed.json", "--report", "report.json", "--seed", str(seed),
               "--freq", str(_DEVICE_MHZ), "--timing-allow-fail", *target.options]  # fmt: skip
    nextpnr(folder, target.family, options)
    (folder / "report.json").replace(folder / f"report_{seed}.json")


def limits(report: dict[str, Any]) -> list[str]:
    """The critical path of a report: cells from register to register, without repeats."""
    paths = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    names: list[str] = []
    for segment in (paths or report["critical_paths"])[0]["path"]:
        for end in ("from", "to"):
            cell = re.sub(
                r"(_(TRELLIS|LUT4|PFUMX|CCU2C|L6MUX21|SB)_?.*|\$.*)$", "", segment[end]["cell"]
            )
            if cell and (not names or names[-1] != cell):
                names.append(cell)
    return names
