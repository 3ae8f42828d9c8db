"""The data set that every reader returns, and how its files are located and checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import BadInput
from spikewright.golden.network.labels import check_labels

ROOT_VARIABLE = "SPIKEWRIGHT_DATA"

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set as integers, the inputs of a network.

    Attributes
    ----------
    train_x, test_x
        uint8 (N, C, H, W) for `coding` "direct", (N, T, C, H, W) event counts per step for
        "events"; all values fit into `bits` unsigned bits.
    train_y, test_y
        Labels, int64 (N,), within 0..classes - 1.

    Raises
    ------
    BadInput
        If labels are of another shape or outside the classes.
    """

    name: str
    train_x: Bytes
    train_y: Labels
    test_x: Bytes
    test_y: Labels
    classes: int
    bits: int
    coding: Literal["direct", "events"]

    def __post_init__(self) -> None:
        check_labels(self.train_y, len(self.train_x), self.classes)
        check_labels(self.test_y, len(self.test_x), self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one frame."""
        channels, height, width = self.test_x.shape[-3:]
        return channels, height, width


def locate(name: str, root: Path | None, folders: Sequence[str], probes: Sequence[str]) -> Path:
    """The first of `folders` under the data root, or the root itself, that holds one of `probes`.

    Raises
    ------
    BadInput
        If there is no data root, or no folder holds any of the files or folders `probes`.
    """
    if root is None and os.environ.get(ROOT_VARIABLE):
        root = Path(os.environ[ROOT_VARIABLE])
    if root is None:
        raise BadInput(
            f"data {name!r}: no data folder given; name the folder that holds {folders[0]}/ "
            f"as an argument or in the environment variable {ROOT_VARIABLE}"
        )
    for folder in (*(root / each for each in folders), root):
        if first_of(folder, probes):
            return folder
    raise BadInput(
        f"data {name!r}: {root / folders[0] / probes[0]} is missing, "
        f"must be the official file or folder, or {' or '.join(probes[1:])} there"
    )


def first_of(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of the files or folders `names` that is in `folder`; None if none is."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def read_bytes(name: str, path: Path) -> bytes:
    """The content of `path`.

    Raises
    ------
    BadInput
        If the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"data {name!r}: {path} cannot be read ({error.strerror})") from None


def check_md5(name: str, path: Path, content: bytes, md5: str) -> bytes:
    """`content` of `path`, decompressed where that is compressed, if it has this md5.

    Raises
    ------
    BadInput
        If it has another one.
    """
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise BadInput(
            f"data {name!r}: {path} is damaged: its content is {len(content)} bytes with "
            f"md5 {actual}, must be the official content with md5 {md5}"
        )
    return content


def empty_like(test: Bytes) -> tuple[Bytes, Labels]:
    """Empty training images, of the shape of `test` images, and labels."""
    return test[:0].copy(), np.zeros(0, np.int64)
