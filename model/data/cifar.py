"""CIFAR-10, python version: six pickled batches, md5 checked, read without running any code.

They lie in `cifar-10-batches-py/`, as torchvision unpacks it, in the data folder itself, or still
in `cifar-10-python.tar.gz`.

A pickle can call anything. Here it may only build NumPy arrays: every other global is refused.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from numpy._core import multiarray  # in old pickles, and before NumPy 2, numpy.core

from spikewright.golden.errors import BadInput
from spikewright.model.data.archive import members
from spikewright.model.data.dataset import (
    Bytes,
    DataSet,
    Labels,
    check_md5,
    empty_like,
    first_of,
    locate,
)

ARCHIVE = "cifar-10-python.tar.gz"
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}

_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that builds NumPy arrays and plain containers, and nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """The allowed global `module.name`; raises `pickle.UnpicklingError` for any other."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refuses to load {module}.{name}") from None


def parse(path: Path, content: bytes) -> tuple[Bytes, Labels]:
    """Images uint8 (N, 3, 32, 32) and labels int64 (N,) of one batch.

    Raises
    ------
    BadInput
        If it is no pickle of plain arrays, or `data` and `labels` have other shapes or dtypes.
    """
    where = f"data 'cifar-10': {path}"
    try:
        batch = ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        images, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
    except Exception as error:  # a damaged pickle can raise anything
        reason = str(error) or type(error).__name__
        raise BadInput(f"{where} is damaged ({reason}), must be an official batch") from None
    if (
        images.dtype != np.uint8
        or images.ndim != 2
        or images.shape[1] != 3072
        or labels.shape != images.shape[:1]
    ):
        raise BadInput(
            f"{where}: data is {images.dtype} {images.shape}, must be uint8 (N, 3072) with N labels"
        )
    return images.reshape(-1, 3, 32, 32), labels.astype(np.int64)


def _batches(folder: Path, files: tuple[str, ...]) -> Iterator[tuple[Bytes, Labels]]:
    """The images and labels of some batches in a folder, or in the archive there."""
    place = first_of(folder, ("test_batch", ARCHIVE))
    source = place if place and place.name == ARCHIVE else folder
    found = members("cifar-10", source, lambda path: PurePosixPath(path).name in files)
    contents = {PurePosixPath(path).name: content for path, content in found}
    for file in files:
        path = source / file
        if file not in contents:
            raise BadInput(f"data 'cifar-10': {path} is missing, must be the official file")
        yield parse(path, check_md5("cifar-10", path, contents.pop(file), MD5[file]))


def read(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """CIFAR-10: 50,000 + 10,000 images (3, 32, 32) of 8 bits; `timesteps` is not used."""
    folder = locate("cifar-10", root, ("cifar-10-batches-py",), ("test_batch", ARCHIVE))
    files = ("test_batch", *(file for file in MD5 if train and file != "test_batch"))
    (test_x, test_y), *parts = _batches(folder, files)
    images, labels = zip(*(parts or [empty_like(test_x)]), strict=True)
    train_x, train_y = np.concatenate(images), np.concatenate(labels)
    return DataSet("cifar-10", train_x, train_y, test_x, test_y, 10, 8, "direct")
