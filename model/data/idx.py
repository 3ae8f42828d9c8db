"""MNIST and Fashion-MNIST: the four official gzip-compressed idx files, md5 checked.

An idx file is big-endian: magic 2051, count, rows, columns, then pixels; or magic 2049, count,
then labels. The files are searched in `MNIST/raw/` (`FashionMNIST/raw/`), then one folder up.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from spikewright.golden.errors import BadInput
from spikewright.model.data.dataset import Bytes, DataSet, Labels, checked_bytes, empty_like, locate

_TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
_TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

MNIST_MD5 = {
    _TRAIN[0]: "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    _TRAIN[1]: "d53e105ee54ea40749a09fcbcd1e9432",
    _TEST[0]: "9fb629c4189551a2d022fa330f9573f3",
    _TEST[1]: "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_MD5 = {
    _TRAIN[0]: "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    _TRAIN[1]: "25c81989df183df01b3e8a0aad5dffbe",
    _TEST[0]: "bef4ecab320f06d8554ea6380940ec79",
    _TEST[1]: "bb300cfdad3c16e7a12a480ee83cd310",
}


def parse(name: str, path: Path, content: bytes, axes: int) -> Bytes:
    """The array in a gzip-compressed idx file of `axes` axes (3 for images, 1 for labels).

    Raises
    ------
    BadInput
        If it is not gzip, not idx, or its size does not match its header.
    """
    try:
        raw = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"data {name!r}: {path} is damaged ({error}), must be a whole gzip file"
        ) from None
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


def _part(
    name: str, folder: Path, files: tuple[str, str], md5: dict[str, str]
) -> tuple[Bytes, Labels]:
    arrays = [
        parse(name, folder / file, checked_bytes(name, folder / file, md5[file]), axes)
        for file, axes in zip(files, (3, 1), strict=True)
    ]
    return arrays[0][:, None], arrays[1].astype(np.int64)


def _read(name: str, folder: str, md5: dict[str, str], root: Path | None, train: bool) -> DataSet:
    path = locate(name, root, (f"{folder}/raw", folder), _TEST[0])
    test_x, test_y = _part(name, path, _TEST, md5)
    train_x, train_y = _part(name, path, _TRAIN, md5) if train else empty_like(test_x)
    return DataSet(name, train_x, train_y, test_x, test_y, 10, 8, "direct")


def read_mnist(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """MNIST: 60,000 + 10,000 images (1, 28, 28) of 8 bits; `timesteps` is not used."""
    return _read("mnist", "MNIST", MNIST_MD5, root, train)


def read_fashion_mnist(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """Fashion-MNIST: the same layout as MNIST."""
    return _read("fashion-mnist", "FashionMNIST", FASHION_MD5, root, train)
