"""`spikewright synth`: clock and area of a build on a device, by Yosys and nextpnr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright import api, results
from spikewright.console import Console
from spikewright.layout import BuildFolder, read_json, write_json
from spikewright.step_cache import Steps

if TYPE_CHECKING:
    from spikewright.sim.synth.targets import Target

SEEDS = (1, 2, 3)


def require_tools(target: str) -> None:
    """Before any work.

    Raises
    ------
    BadInput
        If there is no such target.
    ToolMissing
        If nextpnr for it is not installed.
    """
    from spikewright.sim.synth.targets import target_of
    from spikewright.sim.synth.tools import require_nextpnr

    require_nextpnr(target_of(target).family)


def synth(
    folder: str | Path, target: str = "ecp5-25k", seeds: Sequence[int] = SEEDS,
    progress: api.Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Synthesise, place and route a build: its clock, what limits it, and what it takes.

    Parameters
    ----------
    target
        A device by name: ecp5-25k, ecp5-45k, ecp5-85k, ice40-hx8k.
    seeds
        Of the placement; the median clock counts.

    Returns
    -------
    dict
        What `synth/TARGET/report.json` holds, which is written too: see docs/commands.md.

    Raises
    ------
    BadInput, ToolMissing
        If the folder is no build, there is no such target, or nextpnr is not installed.
    CheckFailed
        If a tool fails, as when the design does not fit the device, or a check of the netlist.
    """
    from spikewright.golden.network import file
    from spikewright.sim.synth.flow import synthesise
    from spikewright.sim.synth.targets import target_of
    from spikewright.sim.synth.tools import versions

    place, device = BuildFolder(Path(folder)), target_of(target)
    place.require_built()
    network = file.load(place.network)
    work = place.synthesis(target)
    found = synthesise(place.path, work, device, seeds, progress=progress)
    lanes = results.image_figures(place)["lanes"]
    result = {
        **results.describe(network),
        "fingerprint": file.fingerprint(network),
        "build": api.content_hash(place),
        **found.as_dict(),
        "seeds": list(seeds),
        "available": _available(device),
        "lanes": lanes,
        "lut4_per_lane": round(found.luts / sum(lanes.values()), 1),
        "versions": versions(device.family),
    }
    write_json(work / "report.json", result)
    return result


def _available(device: Target) -> dict[str, int]:
    return {"lut4": device.luts, "block_rams": device.rams, "dsps": device.dsps}


def synth_step(
    folder: BuildFolder, target: str, seeds: Sequence[int], console: Console, force: bool = False
) -> dict[str, Any]:
    """`synth`, unless that very build was synthesised so."""
    folder.require_built()
    report = folder.synthesis(target) / "report.json"
    inputs = {"build": api.content_hash(folder), "target": target, "seeds": list(seeds)}

    def work() -> None:
        synth(folder.path, target, seeds, console.progress)

    Steps(folder, console, force).run(f"synth {target}", inputs, [report], work)
    return read_json(report)
