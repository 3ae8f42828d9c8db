"""Files of others, read without trust: what is no plain file, too large or damaged is refused.

Everything that the kit reads passes through here, so that a bad file costs one line that names it
and says what it must be. What comes back from JSON and TOML is of bounded depth, and its integers
have 64 bits.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeGuard

from spikewright.golden.errors import BadInput, require, shortened, show

MAX_TEXT_BYTES = 16 * 2**20
MAX_TOML_BYTES = 2**18
MAX_DEPTH = 24

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
# tomllib takes time and memory that grow with the square of the parts of a dotted key.
_PART = r"""(?:(?<![\w-])[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_DEEP_KEY = re.compile(rf"(?:{_PART}[ \t]*\.[ \t]*){{{MAX_DEPTH}}}")


@contextmanager
def opened(path: str | Path, where: str, expected: str) -> Generator[BinaryIO, None, None]:
    """A plain file, open for reading; pipes, devices and folders are never opened.

    Parameters
    ----------
    where, expected
        The file in the words of a message, and what it must be.

    Raises
    ------
    BadInput
        If there is no such file, or it cannot be read.
    """
    require("\0" not in str(path), where, "name", show(str(path)), "without null bytes")
    try:
        mode = os.stat(path).st_mode
        kind = next((words for test, words in _KINDS if test(mode)), None)
        if kind is not None:
            raise BadInput(f"{where}: is {kind}, must be {expected}")
        with open(path, "rb") as stream:
            yield stream
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(f"{where}: is missing, must be {expected}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{where}: cannot be read ({reason}), must be {expected}") from None


def read_bytes(path: str | Path, where: str, expected: str, most: int = MAX_TEXT_BYTES) -> bytes:
    """A whole file of at most so many bytes; see `opened`."""
    with opened(path, where, expected) as stream:
        size = os.fstat(stream.fileno()).st_size
        require(size <= most, where, "size", f"{size} bytes", f"at most {most} bytes")
        data = stream.read(most + 1)  # files of /proc say that they are empty
    require(len(data) <= most, where, "size", "without end", f"at most {most} bytes")
    return data


def read_json(path: str | Path, where: str, expected: str) -> object:
    """The value in a JSON file; see `opened` and `parse_json`."""
    return parse_json(read_bytes(path, where, expected), where)


def read_toml(path: str | Path, where: str, expected: str) -> dict[str, Any]:
    """The table in a TOML file; see `opened` and `parse_toml`."""
    data = read_bytes(path, where, expected, MAX_TOML_BYTES)
    try:
        return parse_toml(data.decode("utf-8"), where)
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise BadInput(
            f"{where}: is no TOML (byte {error.start} is 0x{byte:02x}), must be text in UTF-8"
        ) from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML; `where` names its origin in messages.

    Raises
    ------
    BadInput
        If it is no TOML, nested too deeply, or holds an integer beyond 64 bits.

    >>> parse_toml("a.b = 1", "recipe")
    {'a': {'b': 1}}
    """
    if deep := _DEEP_KEY.search(text):
        key = shortened(deep[0], 40)
        raise BadInput(f"{where}: key {key} has more parts than {MAX_DEPTH}, must be a recipe's")
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise BadInput(f"{where}: is nested too deeply, must be tables of values") from None
    except ValueError as error:  # TOMLDecodeError; an integer of 5000 digits
        raise BadInput(f"{where}: is no TOML ({_complaint(error, text)})") from None
    _check_plain(table, where)
    return table


def parse_json(text: bytes | str, where: str) -> object:
    """Read JSON strictly: UTF-8, no key twice, no NaN, no infinity, nothing nested without end.

    Raises
    ------
    BadInput
        Naming `where` and the fault.

    >>> parse_json('{"a": 1, "a": 2}', "header")
    Traceback (most recent call last):
        ...
    spikewright.golden.errors.BadInput: header: key 'a' appears twice, must appear once
    """

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        unique: dict[str, object] = {}
        for key, value in items:
            if key in unique:
                raise BadInput(f"{where}: key {show(key)} appears twice, must appear once")
            unique[key] = value
        return unique

    def finite(number: str) -> float:
        value = float(number)
        require(math.isfinite(value), where, "a number", shortened(number, 40), "finite")
        return value

    def constant(name: str) -> NoReturn:
        raise BadInput(f"{where}: holds {name}, must hold finite numbers")

    decoded = ""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value: object = json.loads(
            decoded, object_pairs_hook=pairs, parse_constant=constant, parse_float=finite
        )
    except RecursionError:
        raise BadInput(f"{where}: is nested too deeply, must be a plain object") from None
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, an integer of 5000 digits
        raise BadInput(f"{where}: is not JSON ({_complaint(error, decoded)})") from None
    _check_plain(value, where)
    return value


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value of JSON is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether a value of JSON is a list."""
    return isinstance(value, list)


def _complaint(error: Exception, text: str) -> str:
    """What a parser says about `text`; of an integer with too many digits it does not say where."""
    if "integer string conversion" not in str(error):
        return str(error).partition("\n")[0]
    long = re.search(r"[\d_]{4000}", text)
    line = text.count("\n", 0, long.start()) + 1 if long else 1
    return f"an integer of thousands of digits (at line {line})"


def _check_plain(value: object, where: str) -> None:
    """Bound what a parser accepted: depth, integers, and strings that UTF-8 cannot hold."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for item in level:
            if is_object(item):
                inner.extend(item)
                inner.extend(item.values())
            elif is_list(item):
                inner.extend(item)
            elif isinstance(item, int) and not -(2**63) <= item < 2**63:
                require(False, where, _place(value, item), item, "an integer of 64 bits")
            elif isinstance(item, str) and not item.isascii():
                _check_text(item, where)
        if not inner:
            return
        level = inner
    raise BadInput(f"{where}: is nested more than {MAX_DEPTH} deep, must be plain values")


def _place(value: object, wanted: object, depth: int = MAX_DEPTH) -> str:
    """The keys that lead to `wanted` within `value`, with dots between them; or ""."""
    entries = value.items() if is_object(value) else enumerate(value) if is_list(value) else ()
    for key, held in entries if depth else ():
        if held is wanted:
            return str(key)
        if inner := _place(held, wanted, depth - 1):
            return f"{key}.{inner}"
    return ""


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInput(f"{where}: {show(text)} is no Unicode, must be whole characters") from None
