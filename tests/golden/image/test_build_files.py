"""A file of a build that is changed, missing or added is named, with what differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image.build_files import check_files

FILES = {"top.v": b"module top;", "a_rows.mem": b"01\n", "z.mem": b"1\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rtl").mkdir()
    for name, content in FILES.items():
        (tmp_path / "rtl" / name).write_bytes(content)
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": listed}))
    return tmp_path


def test_the_files_of_a_build_are_those_listed(folder: Path) -> None:
    check_files(folder)


CHANGES: dict[str, Callable[[Path], object]] = {
    r"a_rows\.mem: not found, but manifest\.json lists it": lambda rtl: (
        rtl / "a_rows.mem"
    ).unlink(),
    r"top\.v: differs from the hash in manifest\.json: its SHA-256 is [0-9a-f]{16}\.\.\., must be "
    + hashlib.sha256(FILES["top.v"]).hexdigest()[:16]: lambda rtl: (
        rtl / "top.v"
    ).write_bytes(b"module tip;"),
    r"b/extra\.v: is no file of this build": lambda rtl: (
        (rtl / "b").mkdir(), (rtl / "b" / "extra.v").write_bytes(b"")
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", CHANGES)
def test_each_kind_of_difference_is_named(folder: Path, message: str) -> None:
    CHANGES[message](folder / "rtl")
    with pytest.raises(BadInput, match=rf"/rtl/{message}.*; build again$") as caught:
        check_files(folder)
    assert "more" not in str(caught.value)


def test_several_differences_are_the_first_and_a_count(folder: Path) -> None:
    for change in CHANGES.values():
        change(folder / "rtl")
    with pytest.raises(BadInput, match=r"rtl/a_rows\.mem: not found.*; 2 more files differ; build"):
        check_files(folder)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is not JSON"),
        ("{}", "key 'files' is missing; build again"),
        ("[]", "content is .*, must be an object; build again"),
        ('{"files": 7}', "key 'files' is 7, must be an object; build again"),
        ('{"files": ["a"]}', "key 'files' is .*, must be an object; build again"),
        ('{"files": {"a": 1}}', "key 'files.a' is 1, must be a string; build again"),
    ],
)
def test_a_manifest_without_files_is_no_manifest(folder: Path, text: str, fault: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BadInput, match=rf"manifest\.json: {fault}"):
        check_files(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(BadInput, match=r"manifest\.json: is missing, must be .*spikewright build"):
        check_files(folder)
