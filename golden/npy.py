"""NumPy's array files, read without `numpy.load`: it executes, allocates or raises what they ask.

The header is a Python literal in a fixed form. It is matched, not evaluated, and its shape must
give the very bytes that follow it before any of them is read. The format:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikewright.golden.arrays import Array
from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.reading import opened

MAX_BYTES = 2**31
MAX_HEADER_BYTES = 4096
EXPECTED = "a .npy file of numbers, as numpy.save writes it"

_MAGIC = b"\x93NUMPY"
_VALUE = r"""'(?P<descr>[<>|=]?[biufc]\d{1,2})'|(?P<order>True|False)|\((?P<shape>[\d, ]*)\)"""
_ENTRY = re.compile(rf"""\s*'(?P<key>descr|fortran_order|shape)'\s*:\s*(?:{_VALUE})\s*(?:,|$)""")
_KINDS = {"descr": "descr", "fortran_order": "order", "shape": "shape"}


def load(path: str | Path) -> Array:
    """The array in a `.npy` file: bool, integer or floating-point numbers, in native byte order.

    Raises
    ------
    BadInput
        Naming the file, what is wrong in it, and what would be right.
    """
    where = str(path)
    with opened(path, where, EXPECTED) as stream:
        return read(stream, os.fstat(stream.fileno()).st_size, where)


def read(stream: BinaryIO, size: int, where: str) -> Array:
    """The array in a stream of `size` bytes that is at its beginning; `where` names it.

    Raises
    ------
    BadInput
        As `load`.
    """
    dtype, fortran, shape = _header(stream, where)
    size -= stream.tell()
    wanted = math.prod(shape) * dtype.itemsize
    require(size == wanted, where, "data", f"{size} bytes",
            f"{show(wanted)} bytes, as shape {show(shape)} of {dtype} says")  # fmt: skip
    require(size <= MAX_BYTES, where, "data", f"{size} bytes", f"at most {MAX_BYTES}")
    data = stream.read(wanted)
    require(len(data) == wanted, where, "data", f"{len(data)} bytes", f"{wanted} bytes")
    flat = np.frombuffer(data, dtype)
    array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    return np.ascontiguousarray(array).astype(dtype.newbyteorder("="))


def _header(stream: BinaryIO, where: str) -> tuple[np.dtype[np.generic], bool, tuple[int, ...]]:
    """(type, whether columns come first, shape) of the array that follows."""
    start = stream.read(8)
    if start.startswith(b"PK"):
        raise BadInput(f"{where}: is a zip archive (numpy.savez?), must be {EXPECTED}")
    if len(start) < 8 or not start.startswith(_MAGIC) or start[6] not in (1, 2, 3):
        raise BadInput(f"{where}: begins with {show(start)}, must be {EXPECTED}")
    length = int.from_bytes(stream.read(2 if start[6] == 1 else 4), "little")
    require(length <= MAX_HEADER_BYTES, where, "header", f"{length} bytes",
            f"at most {MAX_HEADER_BYTES}")  # fmt: skip
    text = stream.read(length).decode("latin-1")
    found = _entries(text)
    if found is None:
        raise BadInput(
            f"{where}: header is {show(text.strip())}, must be descr of plain numbers, "
            "fortran_order and shape, as numpy.save writes them"
        )
    dtype = _dtype(found["descr"])
    require(dtype is not None, where, "descr", show(found["descr"]), "a type that NumPy has")
    assert dtype is not None
    shape = tuple(int(side) for side in found["shape"].split(",") if side.strip())
    require(len(shape) <= 32, where, "shape", f"of {len(shape)} axes", "of at most 32 axes")
    return dtype, found["fortran_order"] == "True", shape


def _entries(text: str) -> dict[str, str] | None:
    """The three values of a header as text; None if it is not of their form."""
    text = text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    found: dict[str, str] = {}
    inner, at = text[1:-1].rstrip(), 0
    while at < len(inner):
        entry = _ENTRY.match(inner, at)
        if entry is None or entry["key"] in found:
            return None
        value = entry[_KINDS[entry["key"]]]
        if value is None or any(len(side) > 18 for side in re.findall(r"\d+", value)):
            return None
        if entry["key"] == "shape" and not re.fullmatch(r"(\d+ *, *)*(\d+ *,?)?", value):
            return None
        found[entry["key"]], at = value, entry.end()
    return found if found.keys() == _KINDS.keys() else None


def _dtype(descr: str) -> np.dtype[np.generic] | None:
    try:
        return np.dtype(descr)
    except TypeError:
        return None
