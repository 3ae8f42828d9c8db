"""One process writes a folder; others are told who, or wait; a lock ends with its process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.processes import locks
from spikewright.golden.processes.locks import alone, reading, writing

HOLD = """
import sys
from pathlib import Path
from spikewright.golden.processes import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process in a block of `locks`, until it is told or killed."""

    def __init__(self, block: str, path: Path) -> None:
        command = [sys.executable, "-c", HOLD, block, str(path)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def __enter__(self) -> Other:
        return self

    def leave(self) -> None:
        self.process.communicate("")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_folder_in_use_names_process_and_time(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with Other("writing", folder) as other:
        said = rf"folder: in use by process {other.process.pid} since \d\d:\d\d:\d\d; wait for it"
        for block in (writing, reading):
            with pytest.raises(BadInput, match=said), block(folder):
                pass
        other.leave()
        assert not (tmp_path / "new").exists()  # nothing was written
    with writing(folder):
        (folder / "file").write_text("")
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    with Other("writing", tmp_path) as other:
        other.process.kill()
        other.process.wait()
        assert (tmp_path / locks.NAME).exists()
        with reading(tmp_path):
            assert (tmp_path / locks.NAME).read_text() == ""
        with writing(tmp_path):
            assert (tmp_path / locks.NAME).read_text().startswith(f"{os.getpid()} ")
    assert list(tmp_path.iterdir()) == []


def test_readers_are_many_and_whoever_writes_waits_for_them(tmp_path: Path) -> None:
    with Other("reading", tmp_path) as first, Other("reading", tmp_path) as second:
        with reading(tmp_path):
            pass
        written = threading.Event()

        def write() -> None:
            with writing(tmp_path):
                written.set()

        thread = threading.Thread(target=write)
        thread.start()
        first.leave()
        assert not written.wait(0.2)
        second.leave()
        thread.join()
        assert written.is_set()
    assert list(tmp_path.iterdir()) == []


def test_readers_who_never_end_are_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(locks, "READERS_S", 0.1)
    with Other("reading", tmp_path), pytest.raises(BadInput, match="in use by another process"):
        with writing(tmp_path):
            pass


def test_blocks_of_one_process_nest(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with writing(tmp_path):
        with writing(link), reading(tmp_path):
            pass
        assert (tmp_path / locks.NAME).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_what_a_killed_process_left_is_completed_first(tmp_path: Path) -> None:
    (tmp_path / ".spikewright.decided").mkdir()
    (tmp_path / ".spikewright.decided" / "file").write_text("new")
    (tmp_path / "file").write_text("old")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".key.spikewright.alone").write_text("")
    with Other("alone", tmp_path / "cache" / "other"), writing(tmp_path):
        assert [path.name for path in (tmp_path / "cache").iterdir()] == [
            ".other.spikewright.alone"
        ]
    (tmp_path / "cache" / ".other.spikewright.alone").unlink()
    (tmp_path / "cache").rmdir()
    (tmp_path / ".spikewright.decided").mkdir()
    (tmp_path / ".spikewright.decided" / "file").write_text("new")
    (tmp_path / "file").write_text("old")
    with reading(tmp_path):
        assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(30, "read-only")])
def test_a_folder_that_we_may_not_write_is_read(tmp_path: Path, monkeypatch, error) -> None:
    def refuse(*_: object) -> int:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(locks.os, "open", refuse)
        with reading(tmp_path):
            pass
        with pytest.raises(BadInput, match="cannot write"), writing(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_where_there_are_no_locks_work_goes_on(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(locks.errno.ENOLCK, "no locks")

    with monkeypatch.context() as patch:
        patch.setattr(locks.fcntl, "flock", refuse)
        with writing(tmp_path):
            pass
        with reading(tmp_path):
            pass


def test_one_waits_for_the_other(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    order = []

    def wait() -> None:
        with alone(path):
            order.append("second")

    with Other("alone", path) as other:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
        other.leave()
        thread.join()
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_the_time_is_that_of_the_clock(tmp_path: Path) -> None:
    with writing(tmp_path):
        assert re.fullmatch(r"\d+ \d\d:\d\d:\d\d\n", (tmp_path / locks.NAME).read_text())
