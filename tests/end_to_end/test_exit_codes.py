"""How a command ends: faults of the kit, Ctrl-C at any moment, outputs that cannot be written."""

# Through these also cli.faults, cli.main, cli.program, interrupts.

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spikewright.console import Console
from spikewright.golden.models import engine

INTERRUPT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line in which `spikewright` is this one."""
    function = f'spikewright() {{ {sys.executable} -m spikewright "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", function + line], capture_output=True, text=True, check=False,
        errors="surrogateescape", env={**os.environ, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def test_a_fault_of_the_kit(command, small_file: Path, monkeypatch, tmp_path: Path) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("no\nsense" * 100)

    monkeypatch.setattr(engine, "logits", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    outcome = command("run", small_file, "--json")
    [file] = tmp_path.glob("spikewright-fault-*.txt")
    line = outcome.err.splitlines()[-1]
    assert outcome.code == outcome.json["exit_code"] == 70
    assert outcome.json["error"] == line.removeprefix("spikewright: ")
    for part in ("a fault of Spikewright", "ZeroDivisionError at test_exit_codes.py:", str(file)):
        assert part in line
    assert len(line) <= 500
    assert "in broken\n    raise ZeroDivisionError" in file.read_text()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert "its traceback cannot be kept in " in command("run", small_file).err


def test_memory_that_ran_out(command, small_file: Path, monkeypatch) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr(engine, "logits", greedy)
    outcome = command("run", small_file)
    assert outcome.code == 2
    assert "memory ran out (Unable to allocate 7 TiB); take fewer images" in outcome.err


@pytest.mark.parametrize("name", ["spikewright.cli.program", "click", "numpy", "torch"])
def test_ctrl_c_while_imports_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT.format(name=name))
    paths = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    out = tmp_path / "out"
    done = shell(f"spikewright train digits --out {out}", PYTHONPATH=paths)
    assert done.returncode == 130, done.stderr
    line = "spikewright: interrupted; the same command resumes where it stopped\n"
    assert done.stderr.endswith(line)
    assert "Traceback" not in done.stderr


def test_outputs_that_take_nothing(small_file: Path, tmp_path: Path) -> None:
    run = f"spikewright run {small_file} --images 2 --compare 2"
    done = shell(f"{run} --json >/dev/full")
    assert done.returncode == 2
    assert done.stderr.endswith(
        "spikewright: standard output cannot be written (no space left on device), must have room "
        "for the result\n"
    )
    assert "Traceback" not in done.stderr
    closed = shell(f"{run} >&-")
    assert (closed.returncode, closed.stdout) == (2, "")
    assert closed.stderr.startswith("spikewright: standard output is closed, must be open")
    assert closed.stderr.count("\n") == 1
    silent = shell(f"{run} 2>/dev/full; echo $?; {run} --json 2>&-; echo $?")
    lines = silent.stdout.splitlines()
    assert lines[-2:] == ["}", "0"]
    assert "0" in lines[:-2]
    left = shell(f"{{ {run}; echo $? >{tmp_path}/code; }} | true")
    assert (tmp_path / "code").read_text() == "141\n"
    assert "Traceback" not in left.stderr


def test_a_name_that_is_not_utf_8(small_file: Path, tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff\x1b[31m"
    os.mkdir(odd)
    os.link(small_file, odd + b"/net\xfe.safetensors")
    place = rf"{tmp_path}/$'\xff\e[31m'"
    lost = shell(f"spikewright run {place}/lost.safetensors")
    assert lost.returncode == 2
    assert r"/\xff\x1b[31m/lost.safetensors': is missing" in lost.stderr
    built = shell(
        f"spikewright build {place}/$'net\\xfe.safetensors' --out {place}/built --images 2"
    )
    assert built.returncode == 0, built.stderr
    assert built.stdout.endswith(r"/\xff\x1b[31m/built" + "\n")


class Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")


def test_progress_that_cannot_be_written_ends_no_work() -> None:
    full = Full()
    console = Console(stream=full)
    with console.step("train"):
        console.say("half")
    assert full.getvalue() == "half\n"
    assert "train" in console.stream.getvalue()
