"""Several files replaced at once: all or none, wherever the process is killed or the disk full."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.leftovers import sweep
from spikewright.golden.swap import finish, unfinished, write_together

OLD = {"rtl/a.v": b"old a", "rtl/gone.v": b"old", "manifest": b"old manifest", "network": b"old"}
NEW = {"rtl/a.v": b"new a", "rtl/more.v": b"new", "manifest": b"new manifest", "network": b"new"}

# Kills itself before the operation number N on the file system, for N = 0, 1, ..., in a copy of
# itself each time, until one copy lives to the end.
KILLED = """
import os, signal, sys
from pathlib import Path
from spikewright.golden import swap

NEW = {new!r}
folder = Path(sys.argv[1])

def killed_before(count):
    def audit(event, arguments):
        nonlocal count
        if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.rmtree"):
            if count == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            count -= 1
    sys.addaudithook(audit)
    swap.write_together(folder / str(count), NEW)
    os._exit(0)

count = 0
while True:
    child = os.fork()
    if child == 0:
        killed_before(count)
    if os.waitpid(child, 0)[1] == 0:
        break
    count += 1
print(count)
"""


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


def test_killed_before_any_step_all_is_old_or_all_is_new(tmp_path: Path) -> None:
    for count in range(100):
        (tmp_path / str(count)).mkdir()
        write_together(tmp_path / str(count), OLD)
    program = [sys.executable, "-c", KILLED.format(new=NEW), str(tmp_path)]
    done = subprocess.run(program, check=True, capture_output=True, text=True)
    steps = int(done.stdout)
    assert 12 < steps < 100
    assert content(tmp_path / str(steps)) == NEW
    states = []
    for count in range(steps):
        folder = tmp_path / str(count)
        decided = unfinished(folder)
        assert decided or content(folder).items() >= OLD.items() or content(folder) == NEW
        finish(folder)
        sweep(folder)
        states.append(content(folder))
        assert states[-1] in (OLD, NEW), count
        assert states[-1] == NEW or not decided
    assert states == sorted(states, key=lambda state: state == NEW)  # old until it is decided
    assert OLD in states
    assert NEW in states


@pytest.mark.parametrize("limit", [0, 3, 8])
def test_where_nothing_fits_all_is_old(tmp_path: Path, limit: int) -> None:
    write_together(tmp_path, OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.getsignal(signal.SIGXFSZ)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(BadInput, match=r"cannot write .*: File too large"):
            write_together(tmp_path, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert signal.getsignal(signal.SIGXFSZ) == before
    assert content(tmp_path) == OLD
    assert {path.name for path in tmp_path.iterdir()} == {"rtl", "manifest", "network"}


@pytest.mark.parametrize("kind", ["folder", "pipe", "name"])
def test_one_wrong_name_leaves_all_as_it_was(tmp_path: Path, kind: str) -> None:
    write_together(tmp_path, OLD)
    wrong = "n" * 300 if kind == "name" else "unfit"
    if kind == "folder":
        (tmp_path / wrong).mkdir()
        (tmp_path / wrong / "own").write_text("own")
    elif kind == "pipe":
        os.mkfifo(tmp_path / wrong)
    before = content(tmp_path)
    with pytest.raises(BadInput, match="cannot write"):
        write_together(tmp_path, {**NEW, wrong: b"new"})
    assert content(tmp_path) == before
    with pytest.raises(BadInput, match="cannot write"):
        write_together(tmp_path, {**NEW, f"rtl/{'n' * 300}": b"new"})
    assert content(tmp_path) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
