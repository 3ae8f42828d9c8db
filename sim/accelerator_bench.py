"""A bench around the accelerators of one or several build folders, and one run of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.atomic import require_space, write_bytes
from spikewright.golden.cycles.prediction import Source
from spikewright.golden.cycles.stalls import Stalls
from spikewright.golden.errors import BadInput, CheckFailed, require
from spikewright.golden.image.counters import Counters
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.image_file import load_image, read_manifest, rtl_prefix
from spikewright.golden.image.memory_image import Image
from spikewright.hw.system.accelerator import stream_names
from spikewright.hw.verilog import LIBRARY
from spikewright.sim.benches import SETTINGS
from spikewright.sim.harness.capture import Capture, read_capture
from spikewright.sim.harness.counters import check_cycles, from_values
from spikewright.sim.harness.rename import prefix_verilog
from spikewright.sim.harness.stimulus import beats_text, input_beats
from spikewright.sim.harness.testbench import bench_verilog, streams
from spikewright.sim.simulators import runner

MODULE = "spikewright.sim.benches.accelerator"


@dataclass(frozen=True, eq=False)
class Bench:
    """A built simulation of one accelerator or several; `data` are the memories it reads."""

    images: tuple[Image, ...]
    build: runner.Build
    data: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Run:
    """What one accelerator did in one run.

    `source` is how the bench behaved, in cycles since reset; those of `capture` count from `began`,
    when the bench was told to send. `stall_share` is the share of cycles, over all streams, in
    which a stream was held.
    """

    capture: Capture
    counters: tuple[Counters, ...]
    source: Source
    began: int
    stall_share: float
    log: Path


def prepare(
    folders: Sequence[Path],
    work: Path,
    simulator: str = "verilator",
    waves: bool = False,
    cache: Path | None = None,
) -> Bench:
    """Build the simulation of the accelerators in build folders (`spikewright build`).

    One folder's Verilog is taken as it is; those of several get a prefix and run side by side in
    one simulator. `work` holds the generated sources and, unless there is a `cache` for them, the
    simulator builds.

    Raises
    ------
    BadInput
        If a folder is not a complete build.
    ToolMissing, BuildFailed
        As `sim.simulators.runner.build_bench`.
    """
    images = tuple(load_image(folder) for folder in folders)
    for folder in folders:
        _refuse_empty(Path(folder))
    alone = len(images) == 1
    modules: list[str] = []
    sources: list[Path] = []
    data: list[Path] = []
    for index, folder in enumerate(folders):
        rtl, prefix = Path(folder) / "rtl", rtl_prefix(folder)
        modules.append(f"{prefix}accelerator" if alone else f"n{index}_{prefix}accelerator")
        verilog, *library = (rtl / f"{prefix}{name}" for name in ("accelerator.v", *LIBRARY))
        for path in (verilog, *library):
            if not path.is_file():
                raise BadInput(f"{path}: not found; make it with `spikewright build`")
        known = {path.name for path in sources}
        sources += [path for path in library if path.name not in known]
        if alone:
            sources.append(verilog)
            data += sorted(rtl.glob("*.mem"))
            continue
        sources.append(work / "sources" / f"n{index}_accelerator.v")
        _write(sources[-1], prefix_verilog(verilog.read_text(), f"n{index}_"))
        for memory in sorted(rtl.glob("*.mem")):
            data.append(work / "sources" / f"n{index}_{memory.name}")
            _write(data[-1], memory.read_text())
    sources.append(work / "sources" / "tb.v")
    _write(sources[-1], bench_verilog(images, modules))
    built = runner.build_bench(sources, "tb", cache or work, simulator, waves)
    if cache is None:
        runner.drop_outdated(built)
    return Bench(images, built, tuple(data))


def _refuse_empty(folder: Path) -> None:
    """A loadable build has nothing to run before its load stream has come through `top`."""
    host = read_manifest(folder, {"host": HostInterface})["host"]
    require(
        not host["loadable"], str(folder), "build", "loadable",
        "initialised to be verified core by core; build it without --loadable",
    )  # fmt: skip


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.encode())


def simulate(
    bench: Bench, inputs: Sequence[NDArray[np.generic]], folder: Path, *,
    stall: int = 0, seed: int = 0, reset_after: int = 0, deadline_s: float = runner.DEADLINE_S,
) -> list[Run]:  # fmt: skip
    """Send `inputs[i]` (batch, ...) back to back through accelerator i and collect what it did.

    Parameters
    ----------
    inputs
        Checked inputs of every accelerator, all of the same batch size.
    folder
        Of this run; emptied first.
    stall
        Percentage of cycles, 0..99, in which each stream is held, at random from `seed`.
    reset_after
        If not 0: a reset so many cycles after the start, then the whole run from the beginning.

    Raises
    ------
    CheckFailed
        If a rule of the handshake is broken, nothing moves any more, the deadline passes, or a
        beat is missing or left over. The message names what and where.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    batch = len(inputs[0])
    for index, (image, values) in enumerate(zip(bench.images, inputs, strict=True)):
        if len(values) != batch or batch == 0:
            raise BadInput(
                f"simulation: {len(values)} inputs for accelerator {index}, must be {max(batch, 1)}"
            )
        (folder / f"{index}_stimulus.hex").write_text(beats_text(input_beats(image, values)))
    largest = max(core.words for image in bench.images for core in image.cores)
    settings = {
        "rate": Stalls.from_percent(stall, seed).rate, "seed": seed, "inferences": batch,
        # A core moves at least once in the time that all entries of its queued rows take.
        "patience": 20_000 + 64 * largest, "reset_after": reset_after,
        "accelerators": [settings_of(image) for image in bench.images],
    }  # fmt: skip
    try:
        result = runner.run_bench(
            bench.build, MODULE, folder, data=bench.data, seed=seed, deadline_s=deadline_s,
            environment={SETTINGS: json.dumps(settings)},
        )  # fmt: skip
        result.require_passed()
        reports = json.loads((folder / "result.json").read_text())
        pairs = enumerate(zip(bench.images, reports, strict=True))
        rates = [Stalls.from_percent(stall, seed, index) for index in range(len(reports))]
        return [
            _collect(image, report, folder, batch, rates[index], result.log)
            for index, (image, report) in pairs
        ]
    except (CheckFailed, json.JSONDecodeError):
        require_space(folder)  # a simulator writes on without a word where nothing fits any more
        raise


def settings_of(image: Image) -> dict[str, Any]:
    """What `sim.benches.accelerator` wants to know of one accelerator."""
    return {
        "cores": [core.node for core in image.cores],
        "streams": stream_names(image),
        "held": streams(image),
    }


def _collect(
    image: Image, report: dict[str, Any], folder: Path, batch: int, stalls: Stalls, log: Path
) -> Run:
    capture = read_capture(image, folder, batch, stalls.bench)
    counters = from_values(report["cores"], report["counters"])
    check_cycles(counters, report["counted_cycles"])
    # The first beat is loaded in the cycle in which the run begins, and offered in the next.
    began, source = report["began"], Source(report["began"] + 1, report["cleared"] + 1, stalls)
    return Run(capture, counters, source, began, report["stall_share"], log)
