"""Builds a cocotb bench once and runs it many times: Verilator by default, Icarus if installed.

A build is named by the hash of everything it depends on and gets that name only when it is
complete: it can be interrupted at any time, and is built once. A run has a folder of its own (with
the files of `$readmemb` and of the bench), a fixed seed and a wall-clock deadline.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from spikewright.golden.errors import CheckFailed, require
from spikewright.golden.leftovers import part_of, remove, sweep
from spikewright.golden.processes import children
from spikewright.golden.processes.locks import alone
from spikewright.sim.simulators.toolchain import (
    SIMULATORS,
    Icarus,
    Verilator,
    cocotb_version,
    find_icarus,
    find_verilator,
)
from spikewright.sim.simulators.verilated import (
    RANDOM_START,
    compile_model,
    optimize_design,
    run_logged,
)

DEADLINE_S = 600.0
# The version of the build procedure below: increment it whenever that changes.
RECIPE = 1


@dataclass(frozen=True)
class Build:
    """A finished simulator binary: `folder` holds it and its `build.log`."""

    simulator: str
    folder: Path
    top: str
    waves: bool


@dataclass(frozen=True)
class TestResult:
    """One cocotb test: `failure` is None if it passed, else the first line of its message."""

    __test__ = False  # pytest: this is not a test class

    name: str
    failure: str | None


@dataclass(frozen=True)
class RunResult:
    """The result of a run: its cocotb tests, its folder and its log."""

    tests: tuple[TestResult, ...]
    folder: Path
    log: Path

    @property
    def failures(self) -> tuple[TestResult, ...]:
        """The tests that failed."""
        return tuple(test for test in self.tests if test.failure is not None)

    def require_passed(self) -> None:
        """Raises `CheckFailed` with the first failure and the log's path, if any test failed."""
        for test in self.failures:
            raise CheckFailed(f"bench {test.name} failed: {test.failure} (see {self.log})")


def find_simulator(simulator: str) -> Verilator | Icarus:
    """The simulator called `simulator`.

    Raises
    ------
    BadInput
        If there is no such simulator.
    ToolMissing
        If it is not installed.
    """
    require(
        simulator in SIMULATORS, "simulation", "simulator", repr(simulator), " or ".join(SIMULATORS)
    )
    cocotb_version()
    return find_verilator() if simulator == "verilator" else find_icarus()


def build_bench(
    sources: Sequence[Path],
    top: str,
    cache: Path,
    simulator: str = "verilator",
    waves: bool = False,
) -> Build:
    """The simulation of module `top` of `sources`, built in the folder `cache` or found there.

    Raises
    ------
    ToolMissing
        If the simulator or a compiler is not installed.
    BuildFailed
        If a tool refuses the sources: the message names the log and its first error lines.
    """
    tool = find_simulator(simulator)
    sources = [Path(source).resolve() for source in sources]
    folder = cache.resolve() / simulator / _key(tool, sources, top, waves)
    done = Build(simulator, folder, top, waves)
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            sweep(folder.parent)
            if not folder.is_dir():  # nobody built it while we waited
                _build(tool, sources, top, folder, waves)
    with contextlib.suppress(OSError):
        os.utime(folder)  # marks it as used, for whoever cleans the cache by age
    return done


def _build(
    tool: Verilator | Icarus, sources: list[Path], top: str, folder: Path, waves: bool
) -> None:
    part = part_of(folder)
    part.mkdir()
    try:
        if isinstance(tool, Verilator):
            compile_model(tool, sources, top, part, waves)
        else:
            _compile_icarus(tool, sources, top, part, waves)
        (part / "inputs.txt").write_text(
            "".join(f"{source.name} {_digest(source)}\n" for source in sources)
        )
        part.replace(folder)
    finally:
        remove(part)


def drop_outdated(current: Build) -> None:
    """Removes builds of the same bench in the cache of `current` that are of other sources."""
    inputs = (current.folder / "inputs.txt").read_text()
    for other in current.folder.parent.glob("[!.]*"):
        listed = other / "inputs.txt"
        text = listed.read_text() if listed.is_file() else inputs
        if text != inputs and _bench(text) == _bench(inputs):
            shutil.rmtree(other, ignore_errors=True)


def _bench(inputs: str) -> str:
    """The name of the last source: the file that holds the bench."""
    return inputs.splitlines()[-1].split()[0]


def _compile_icarus(tool: Icarus, sources: list[Path], top: str, folder: Path, waves: bool) -> None:
    # -g2005: with the default -g2012, `always @*` blocks stay X until an input changes.
    settings = folder / "settings.f"
    settings.write_text("+timescale+1ns/1ps\n")
    command = [
        tool.compiler,
        "-g2005",
        "-Wall",
        "-s",
        top,
        "-f",
        str(settings),
        "-o",
        str(folder / "sim.vvp"),
    ]
    command += ["-DWAVES"] if waves else []
    run_logged([*command, *map(str, sources)], folder / "build.log")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _key(tool: Verilator | Icarus, sources: list[Path], top: str, waves: bool) -> str:
    texts = [(source.name, _digest(source)) for source in sources]
    settings = (
        RECIPE,
        type(tool).__name__,
        tool.version,
        cocotb_version(),
        optimize_design(),
        RANDOM_START,
    )
    return hashlib.sha256(repr((settings, top, waves, texts)).encode()).hexdigest()[:16]


def run_bench(
    built: Build, module: str, folder: Path, *, data: Sequence[Path] = (), seed: int = 1,
    tests: Sequence[str] = (), environment: Mapping[str, str] | None = None,
    deadline_s: float = DEADLINE_S,
) -> RunResult:  # fmt: skip
    """Runs the cocotb tests of `module` in `folder`, with copies of the `data` files.

    `tests` selects tests by name (all if empty). The log is `folder/run.log`.

    Raises
    ------
    CheckFailed
        If the simulation dies, runs past `deadline_s` seconds, or leaves no result. Failing tests
        do not raise: see `RunResult.require_passed`.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for file in data:
        shutil.copyfile(file, folder / file.name)
    log, results = folder / "run.log", folder / "results.xml"
    results.unlink(missing_ok=True)
    request = {
        "simulator": built.simulator, "top": built.top, "build": str(built.folder),
        "module": module, "tests": list(tests), "folder": str(folder), "log": str(log),
        "results": str(results), "seed": seed, "waves": built.waves,
        "environment": dict(environment or {}),
    }  # fmt: skip
    code = _launch(request, folder, deadline_s, log)
    if not results.exists():
        tail = " | ".join(_tail(log)) or "the log is empty"
        raise CheckFailed(
            f"simulation of {built.top} ended with status {code} and no result, see {log}: {tail}"
        )
    finished = _read_results(results)
    if not finished:
        raise CheckFailed(f"simulation of {built.top} ran no test of {module}, see {log}")
    return RunResult(finished, folder, log)


def _launch(request: dict[str, object], folder: Path, deadline_s: float, log: Path) -> int:
    # cocotb's runner starts the simulator and waits without limit: both are ended at the deadline.
    hidden = ("PYTEST_CURRENT_TEST", "WAVES", "GUI", "COCOTB_TEST_FILTER", "COCOTB_RANDOM_SEED")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "spikewright.sim.simulators.cocotb_child", json.dumps(request)]
    with (
        (folder / "launch.log").open("w") as output,
        children.Child(command, folder, environment, output) as child,
    ):
        try:
            return child.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise CheckFailed(
                f"simulation did not end within its deadline of {deadline_s:g} s, see {log}"
            ) from None


def _tail(log: Path) -> list[str]:
    text = log.read_text(errors="replace") if log.exists() else ""
    launch = log.with_name("launch.log")
    text = text or (launch.read_text(errors="replace") if launch.exists() else "")
    return [line.strip() for line in text.splitlines() if line.strip()][-3:]


def _read_results(results: Path) -> tuple[TestResult, ...]:
    finished = []
    for case in ElementTree.parse(results).iter("testcase"):
        failure = None
        for kind in ("failure", "error"):
            for item in case.iter(kind):
                lines = (
                    (item.get("error_msg") or item.get("message") or item.text or kind)
                    .strip()
                    .splitlines()
                )
                failure = lines[0] if lines else kind
        finished.append(TestResult(case.get("name", "?"), failure))
    return tuple(finished)
