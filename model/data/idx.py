"""MNIST and Fashion-MNIST: the four official idx files, as they are or gzip-compressed by anyone.

An idx file is big-endian: magic 2051, count, rows, columns, then pixels; or magic 2049, count,
then labels. What is checked is the md5 of its decompressed content. The files are searched in
`MNIST/raw/` (`FashionMNIST/raw/`), `MNIST/`, `raw/` and the data folder itself; each is
`train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with or without `.gz`.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from spikewright.golden.errors import BadInput
from spikewright.model.data.dataset import (
    Bytes,
    DataSet,
    Labels,
    check_md5,
    empty_like,
    first_of,
    locate,
    read_bytes,
)

_TRAIN = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")

MNIST_MD5 = {
    _TRAIN[0]: "6bbc9ace898e44ae57da46a324031adb",
    _TRAIN[1]: "a25bea736e30d166cdddb491f175f624",
    _TEST[0]: "2646ac647ad5339dbf082846283269ea",
    _TEST[1]: "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MD5 = {
    _TRAIN[0]: "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    _TRAIN[1]: "9018921c3c673c538a1fc5bad174d6f9",
    _TEST[0]: "8181f5470baa50b63fa0f6fddb340f0a",
    _TEST[1]: "15d484375f8d13e6eb1aabb0c3f46965",
}
_GZIP = b"\x1f\x8b"


def file_names(file: str) -> tuple[str, ...]:
    """The names under which `file` is kept: by torchvision, officially, and by Kaggle."""
    stems = (file, file.replace("-idx", ".idx"))
    return tuple(stem + end for stem in stems for end in ("", ".gz"))


def unpacked(name: str, path: Path, content: bytes) -> bytes:
    """`content`, decompressed if it is gzip, whatever its name says.

    Raises
    ------
    BadInput
        If it begins as gzip and goes on as something else.
    """
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"data {name!r}: {path} is damaged: {error}; must be the official idx file, "
            "as it is or as a whole gzip file"
        ) from None


def parse(name: str, path: Path, raw: bytes, axes: int) -> Bytes:
    """The array in the content of an idx file of `axes` axes (3 for images, 1 for labels).

    Raises
    ------
    BadInput
        If it is not idx, or its size does not match its header.
    """
    header = 4 * (axes + 1)
    numbers = [int(n) for n in np.frombuffer(raw[:header], ">i4")] if len(raw) >= header else [-1]
    magic = 2048 + axes
    if numbers[0] != magic:
        raise BadInput(f"data {name!r}: {path}: idx magic is {numbers[0]}, must be {magic}")
    shape = numbers[1:]
    size = int(np.prod(shape, dtype=np.int64))
    if min(shape) < 0 or len(raw) - header != size:
        raise BadInput(
            f"data {name!r}: {path}: holds {len(raw) - header} bytes, "
            f"must be {size} for shape {shape}"
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy()


def _array(name: str, folder: Path, file: str, md5: str, axes: int) -> Bytes:
    path = first_of(folder, file_names(file))
    if path is None:
        raise BadInput(
            f"data {name!r}: {folder / file} is missing, must be the official file, "
            "as it is or as .gz"
        )
    raw = unpacked(name, path, read_bytes(name, path))
    return parse(name, path, check_md5(name, path, raw, md5), axes)


def _part(
    name: str, folder: Path, files: tuple[str, str], md5: dict[str, str]
) -> tuple[Bytes, Labels]:
    images, labels = (
        _array(name, folder, file, md5[file], axes)
        for file, axes in zip(files, (3, 1), strict=True)
    )
    return images[:, None], labels.astype(np.int64)


def _read(name: str, folder: str, md5: dict[str, str], root: Path | None, train: bool) -> DataSet:
    path = locate(name, root, (f"{folder}/raw", folder, "raw"), file_names(_TEST[0]))
    test_x, test_y = _part(name, path, _TEST, md5)
    train_x, train_y = _part(name, path, _TRAIN, md5) if train else empty_like(test_x)
    return DataSet(name, train_x, train_y, test_x, test_y, 10, 8, "direct")


def read_mnist(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """MNIST: 60,000 + 10,000 images (1, 28, 28) of 8 bits; `timesteps` is not used."""
    return _read("mnist", "MNIST", MNIST_MD5, root, train)


def read_fashion_mnist(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """Fashion-MNIST: the same layout as MNIST."""
    return _read("fashion-mnist", "FashionMNIST", FASHION_MD5, root, train)
