"""Clock and area of a build on a device, by Yosys and nextpnr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright.golden.equality_chain import Progress
from spikewright.golden.image.build_files import check_files
from spikewright.golden.image.image_file import load_image
from spikewright.golden.network import file
from spikewright.golden.processes.locks import writing
from spikewright.layout import BuildFolder, write_json
from spikewright.results.base import facts
from spikewright.results.synthesis import SynthesisResult
from spikewright.step_cache import build_hash

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
    progress: Progress | None = None,
) -> SynthesisResult:  # fmt: skip
    """Synthesise, place and route a build: its clock, what limits it, and what it takes.

    Writes `synth/TARGET/report.json`.

    Parameters
    ----------
    target
        A device by name: ecp5-25k, ecp5-45k, ecp5-85k, ice40-hx8k.
    seeds
        Of the placement; the median clock counts.
    progress
        Called with parts done, parts in all, and words.

    Raises
    ------
    BadInput, ToolMissing
        If the folder is no build or in use, a file of it is missing or changed, there is no such
        target, or nextpnr is not installed.
    CheckFailed
        If a tool fails, as when the design does not fit the device, or a check of the netlist.
    """
    from spikewright.sim.synth.targets import target_of

    build_folder, device = BuildFolder(Path(folder)), target_of(target)
    with writing(build_folder.path):
        return _synth(build_folder, device, seeds, progress)


def _synth(
    build_folder: BuildFolder, device: Target, seeds: Sequence[int], progress: Progress | None
) -> SynthesisResult:
    from spikewright.sim.synth.flow import synthesise
    from spikewright.sim.synth.tools import versions

    build_folder.require_built()
    check_files(build_folder.path)
    work = build_folder.synthesis(device.name)
    synthesis = synthesise(build_folder.path, work, device, seeds, progress=progress)
    lanes = {core.node: core.lanes for core in load_image(build_folder.path).cores}
    figures: dict[str, Any] = synthesis.as_dict() | {"limit": synthesis.limit}
    result = SynthesisResult(
        **facts(file.load(build_folder.network)), **figures,
        build=build_hash(build_folder), seeds=tuple(seeds),
        available={"lut4": device.luts, "block_rams": device.rams, "dsps": device.dsps},
        lanes=lanes, lut4_per_lane=round(synthesis.luts / sum(lanes.values()), 1),
        versions=versions(device.family),
    )  # fmt: skip
    write_json(work / "report.json", result.as_dict())
    return result
