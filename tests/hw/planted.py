"""Runs tests with a fault planted in the hardware's source: one process, forked for every fault.

What costs time, the import of pytest, Amaranth and golden, happens once. A fork then imports the
faulty module and everything that uses it afresh. Requests are lines of JSON on standard input, as
`main` takes them apart; every answer is the exit code of pytest, or null past the deadline.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import select
import signal
import sys
import traceback
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

import hypothesis
import pytest
from amaranth import sim
from amaranth.lib import data, fifo, memory, stream, wiring

from spikewright.golden.cycles import prediction
from spikewright.golden.image import interpreter
from spikewright.golden.models import engine
from spikewright.golden.testing import deadlock_graphs, random_graph

EARLY = (hypothesis, sim, data, fifo, memory, stream, wiring, prediction, interpreter, engine,
         deadlock_graphs, random_graph)  # fmt: skip
ROOT = Path(__file__).parents[2]


class Planted(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Finds and loads one module of `hw`, in whose source `old` became `new`."""

    def __init__(self, file: str, old: str, new: str) -> None:
        name = f"spikewright.hw.{file.removesuffix('.py').replace('/', '.')}"
        super().__init__(name, str(ROOT / "spikewright" / "hw" / file))
        self.old, self.new = old, new

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> object:
        """Never from, and never into, the cache of compiled modules."""
        source = Path(self.path).read_text().replace(self.old, self.new)
        return compile(source, self.path, "exec", dont_inherit=True)


def _child(fault: list[str], tests: list[str], log: str) -> int:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if fault:
        sys.meta_path.insert(0, Planted(*fault))
    options = ["-q", "-x", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    # Of plugins that are imported early: their own assertions are not rewritten.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*options, *tests]))


def _wait(child: int, deadline_s: float) -> int | None:
    """The exit code of a process, which is killed at the deadline."""
    handle = os.pidfd_open(child)
    ended, _, _ = select.select([handle], [], [], deadline_s)
    os.close(handle)
    if not ended:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ended else None


def main() -> None:
    """Answer requests until standard input ends."""
    early = [name for name in sys.modules if name.startswith(("spikewright.hw", "spikewright.sim"))]
    assert not early, f"imported before the fault is planted: {early}"
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 70  # of a child that pytest did not survive
            try:
                code = _child(request["fault"], request["tests"], request["log"])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(json.dumps(_wait(child, request["deadline_s"])), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
