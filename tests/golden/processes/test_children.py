"""No program outlives the process that started it, and none keeps anyone waiting in vain."""

# Through these also golden.processes.leash.

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spikewright.golden.processes import children

# A program that starts another one; both write to the same pipe and wait for ever.
ENDLESS = "echo begun; (sleep 1000; true) & sleep 1000; true"

PARENT = f"""
import signal, subprocess, sys, threading
from spikewright.golden.processes import children
signal.signal(signal.SIGINT, signal.default_int_handler)
def one():
    with children.Child(["sh", "-c", {ENDLESS!r}], output=1) as child:
        child.process.wait()
if sys.argv[1] == "alone":
    one()
else:
    with children.pool(2) as pool:
        [pool.submit(one), pool.submit(one)][0].result()
"""


@pytest.mark.parametrize("where", ["alone", "pool"])
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_program_outlives_its_parent(where: str, blow: signal.Signals) -> None:
    """All of them hold the pipe: it is closed when the last one has ended."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, where], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert parent.stdout is not None
    for _ in range(1 if where == "alone" else 2):
        assert parent.stdout.readline() == b"begun\n"
    parent.send_signal(blow)
    out, _ = parent.communicate(timeout=600)
    assert out == b""
    assert parent.returncode != 0


def test_a_program_ends_with_its_block() -> None:
    with children.Child(["sh", "-c", ENDLESS]) as child:
        assert child.process.stdout is not None
        assert child.process.stdout.readline() == "begun\n"
        pipe = os.dup(child.process.stdout.fileno())
    assert os.read(pipe, 1) == b""
    os.close(pipe)


def test_exit_code_outputs_folder_and_environment(tmp_path: Path) -> None:
    done = children.run(
        ["sh", "-c", "pwd; echo $NAME >&2; exit 7"], tmp_path, {**os.environ, "NAME": "value"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, f"{tmp_path}\n", "value\n")
    assert children.run(["sh", "-c", "kill -9 $$"]).returncode == 128 + 9
    missing = children.run(["no-such-program"])
    assert (missing.returncode, missing.stderr) == (
        127,
        "no-such-program: No such file or directory\n",
    )


def test_an_error_ends_the_programs_of_its_pool_and_no_others() -> None:
    begun, codes = threading.Event(), []

    def endless() -> None:
        with children.Child(["sh", "-c", ENDLESS]) as child:
            assert child.process.stdout is not None
            child.process.stdout.readline()
            begun.set()
            codes.append(child.process.wait())

    def nested() -> None:
        with children.pool(1) as inner:
            inner.submit(endless).result()

    with children.Child(["sleep", "1000"]) as bystander:

        def fail() -> None:
            with children.pool(1) as pool:
                pool.submit(nested)
                begun.wait()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert codes == [-signal.SIGKILL]
        assert bystander.process.poll() is None
