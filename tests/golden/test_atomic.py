"""Files are written whole or not at all, never over what is no file, and folders go if unused."""

# Through these also golden.leftovers.

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spikewright.golden.atomic import made, require_space, write_bytes
from spikewright.golden.errors import BadInput
from spikewright.golden.leftovers import part_of, scratch, sweep

UNFIT: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a device or a pipe": lambda path: os.mkfifo(path),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    return int(subprocess.run(["sh", "-c", "echo $$"], check=True, capture_output=True).stdout)


@pytest.mark.parametrize("kind", UNFIT)
def test_what_is_no_file_is_never_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "target"
    UNFIT[kind](path)
    before = path.lstat()
    with pytest.raises(BadInput, match=f"cannot write .*target': it is {kind}; name a regular"):
        write_bytes(path, b"new")
    assert os.path.samestat(path.lstat(), before)
    assert list(tmp_path.iterdir()) == [path]


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(BadInput, match="it is a device or a pipe"):
        write_bytes("/dev/null", b"new")


def test_a_link_to_a_file_stays_one(tmp_path: Path) -> None:
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_text("old")
    link.symlink_to("there")
    write_bytes(link, b"new")
    assert (link.is_symlink(), there.read_text()) == (True, "new")
    assert {path.name for path in tmp_path.iterdir()} == {"there", "link"}


def test_the_longest_name_that_a_file_may_have(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    write_bytes(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(BadInput, match="File name too long"):
        write_bytes(tmp_path / ("ä" * 128), b"new")


def test_folders_that_were_made_for_nothing_go(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with made(tmp_path / "old" / "a" / "b"):
        assert (tmp_path / "old" / "a" / "b").is_dir()
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]
    with made(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()
    with made(tmp_path / "used" / "a"):
        (tmp_path / "used" / "file").write_text("")
    assert {path.name for path in tmp_path.rglob("*")} == {"old", "used", "file"}


def test_a_full_disk_is_told_from_one_with_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_space(tmp_path)
    full = os.statvfs_result((4096, 4096, 10**6, 9, 9, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda folder: full)
    with pytest.raises(BadInput, match="its disk is full"):
        require_space(tmp_path)


def test_only_parts_of_dead_processes_are_swept(tmp_path: Path, dead: int) -> None:
    mine = part_of(tmp_path / "mine")
    kept = [mine, tmp_path / ".hidden", tmp_path / "a.1-1.part", tmp_path / f".a.{dead}.part"]
    for path in kept:
        path.write_text("")
    gone = [tmp_path / f".file.{dead}-0.part", tmp_path / "sub" / f".deep.{dead}-1.part"]
    full = tmp_path / f".folder.{dead}-7.part"
    (full / "a").mkdir(parents=True)
    (full / "a" / "file").write_text("")
    (tmp_path / "sub").mkdir()
    for path in gone:
        path.write_text("")
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "sub"])
    assert gone[1].exists()
    sweep(tmp_path, deep=True)
    assert not gone[1].exists()


def test_scratch_of_dead_processes_is_swept(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"spikewright-{dead}-abc").mkdir()
    (tmp_path / "spikewright-mine").mkdir()
    with scratch() as folder:
        assert folder.parent == tmp_path
        assert set(tmp_path.iterdir()) == {folder, tmp_path / "spikewright-mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["spikewright-mine"]


def test_a_part_names_its_process(tmp_path: Path) -> None:
    program = (
        "import sys; from spikewright.golden.leftovers import part_of; from pathlib import Path; \
open(part_of(Path(sys.argv[1])), 'w')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "x")], check=True)
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_scratch_for_a_socket_is_short_wherever_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / ("far" * 30)
    far.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(far))
    with scratch() as folder:
        assert folder.parent == far
    with scratch(short=True) as folder:
        assert len(os.fsencode(folder)) < 100
        assert folder.is_dir()
    assert not folder.exists()
