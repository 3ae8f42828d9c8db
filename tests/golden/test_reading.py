"""Files that are no files, text that is no text, values without end; and messages about them."""

# Through these also golden.errors.

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spikewright.golden.errors import MAX_MESSAGE, BadInput, one_line, require
from spikewright.golden.reading import parse_json, parse_toml, read_bytes, read_json, read_toml


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file", "file", "a file", 5) == b"12345"
    for name, pattern in (
        ("pipe", "is a pipe"),
        (".", "is a folder"),
        ("loop", "cannot be read .too many levels"),
        ("/dev/zero", "is a device"),
        ("nothing", "is missing"),
        ("file/below", "is missing"),
        ("n" * 300, "cannot be read .file name too long"),
    ):
        with pytest.raises(BadInput, match=f"place: {pattern}.*, must be a file"):
            read_bytes(tmp_path / name, "place", "a file")
    with pytest.raises(BadInput, match=r"place: name is '.*null\\x00byte', must be without null"):
        read_bytes(tmp_path / "null\0byte", "place", "a file")
    with pytest.raises(BadInput, match="place: size is 5 bytes, must be at most 4 bytes"):
        read_bytes(tmp_path / "file", "place", "a file", 4)
    with pytest.raises(BadInput, match="place: size is without end, must be at most 4 bytes"):
        read_bytes("/proc/self/status", "place", "a file", 4)  # says that it is empty


TOML = {
    "a = 1\na = 2\n": "is no TOML .*line 2",
    "a = " + "[" * 50_000: "is nested too deeply",
    "a = " + "[" * 30 + "]" * 30: "is nested more than 24 deep",
    "a." * 100_000 + "a = 1": r"key a\.a\..* has more parts than 24",
    '"a b" . ' * 30 + "a = 1": "key .* has more parts than 24",
    "\n\na = " + "9" * 5000: "is no TOML .an integer of thousands of digits .at line 3",
    "[a]\nb = [0, 0x"
    + "f" * 5000
    + "]": "a.b.1 is a number of about 6021 digits, must be .* 64 bits",
    "a = -9223372036854775809": "a is -9223372036854775809, must be an integer of 64 bits",
    "a = 2020-13-45": "is no TOML",
    "a = '\0'": "is no TOML",
}


@pytest.mark.parametrize("text", TOML, ids=lambda text: text[:20])
def test_toml_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=f"mine: {TOML[text]}"):
        parse_toml(text, "mine")


def test_toml_is_utf_8(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(BadInput, match=r"mine: is no TOML \(byte 8 is 0xff\), must be text in UTF"):
        read_toml(tmp_path / "bad.toml", "mine", "a recipe")
    assert parse_toml("a = 'v1.2.3.4'\nb = [0.1, 0.2]", "mine")["b"] == [0.1, 0.2]


JSON = {
    "": "is not JSON",
    "[" * 50_000: "is nested too deeply",
    "[" * 30 + "]" * 30: "is nested more than 24 deep",
    "[1e999]": "a number is 1e999, must be finite",
    "[NaN]": "holds NaN",
    '{"a": {"b": [' + "9" * 400 + "]}}": "a.b.0 is a number of about 400 digits",
    "9" * 5000: "is not JSON .an integer of thousands of digits .at line 1",
    r'["\ud800"]': ".* is no Unicode",
    r'{"\ud800": 1}': ".* is no Unicode",
}


@pytest.mark.parametrize("text", JSON, ids=lambda text: text[:20])
def test_json_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"mine: {JSON[text]}"):
        parse_json(text, "mine")
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(BadInput, match=f"mine: {JSON[text]}"):
        read_json(tmp_path / "bad.json", "mine", "JSON")


def test_a_message_keeps_place_key_and_remedy() -> None:
    for value in ("x" * 10**6, list(range(10**6)), 10**5000, {"k" * 10**5: "v"}, [[10**5000]]):
        with pytest.raises(BadInput) as error:
            require(False, f"recipe /{'deep/' * 500}mine.toml", "training.epochs", value, "1 or 2")
        line = str(error.value)
        assert len(line) <= MAX_MESSAGE
        assert line.startswith("recipe /deep/")
        for part in ("mine.toml: training.epochs is ", ", must be 1 or 2"):
            assert part in line
    assert one_line("a\r\n\x1b[31m\u2028\udc80b") == r"a\r\n\x1b[31m\u2028\x80b"
    assert BadInput(str(BadInput("long " * 500))).args == BadInput("long " * 500).args
