"""The data set that every reader returns, and how its files are located and checked."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import BadInput

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
    """

    name: str
    train_x: Bytes
    train_y: Labels
    test_x: Bytes
    test_y: Labels
    classes: int
    bits: int
    coding: Literal["direct", "events"]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one frame."""
        channels, height, width = self.test_x.shape[-3:]
        return channels, height, width


def locate(name: str, root: Path | None, folders: tuple[str, ...], probe: str) -> Path:
    """The first of `folders` under the data root that holds the file or folder `probe`.

    Raises
    ------
    BadInput
        If there is no data root, or none of the folders holds `probe`.
    """
    if root is None and os.environ.get(ROOT_VARIABLE):
        root = Path(os.environ[ROOT_VARIABLE])
    if root is None:
        raise BadInput(
            f"data {name!r}: no data folder given; name the folder that holds {folders[0]}/ "
            f"as an argument or in the environment variable {ROOT_VARIABLE}"
        )
    for folder in folders:
        if (root / folder / probe).exists():
            return root / folder
    raise BadInput(
        f"data {name!r}: {root / folders[0] / probe} is missing, "
        "must be the official file or folder"
    )


def checked_bytes(name: str, path: Path, md5: str) -> bytes:
    """The content of `path`, whose md5 is checked.

    Raises
    ------
    BadInput
        If the file is missing, unreadable or has another md5.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadInput(
            f"data {name!r}: {path} is missing, must be the official file with md5 {md5}"
        ) from None
    except OSError as error:
        raise BadInput(f"data {name!r}: {path} cannot be read ({error.strerror})") from None
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise BadInput(
            f"data {name!r}: {path} is damaged: {len(content)} bytes with md5 {actual}, "
            f"must be the official file with md5 {md5}"
        )
    return content


def empty_like(test: Bytes) -> tuple[Bytes, Labels]:
    """Empty training images, of the shape of `test` images, and labels."""
    return test[:0].copy(), np.zeros(0, np.int64)
