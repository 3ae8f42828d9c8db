"""Archives of arrays by name, as `numpy.savez` writes them, read as `npy` reads a single one."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

from spikewright.golden import npy
from spikewright.golden.arrays import Array
from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.reading import opened

EXPECTED = "a .npz file of numbers, as numpy.savez writes it"
MAX_ARRAYS = 64

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def load(path: str | Path, wanted: Collection[str]) -> dict[str, Array]:
    """Those of the arrays `wanted` that are in a `.npz` file; others are not read.

    Raises
    ------
    BadInput
        Naming the file, the array, what is wrong in it, and what would be right.
    """
    where = str(path)
    found: dict[str, Array] = {}
    with opened(path, where, EXPECTED) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                require(len(members) <= MAX_ARRAYS, where, "number of arrays", len(members),
                        f"at most {MAX_ARRAYS}")  # fmt: skip
                for member in members:
                    name = member.filename.removesuffix(".npy")
                    if name not in wanted:
                        continue
                    require(name not in found, where, "array", show(name), "there once")
                    with archive.open(member) as stream:
                        found[name] = npy.read(stream, member.file_size, f"{where}: {name}")  # type: ignore[arg-type]
        except _BROKEN as error:
            raise BadInput(f"{where}: cannot be read ({error}), must be {EXPECTED}") from None
    return found
