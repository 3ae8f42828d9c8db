"""Frames as people have them: raw, compressed anew, renamed, unpacked elsewhere or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.data import cifar, idx

FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "raw": ("{}", bytes),
    "recompressed": ("{}.gz", lambda raw: gzip.compress(raw, 1, mtime=1_000_000)),
    "in two parts": ("{}.gz", lambda raw: gzip.compress(raw[:9]) + gzip.compress(raw[9:])),
    "unpacked under its old name": ("{}.gz", bytes),
    "compressed under a bare name": ("{}", gzip.compress),
}
PLACES = {"mnist": ("MNIST", idx.MNIST_MD5), "fashion-mnist": ("FashionMNIST", idx.FASHION_MD5)}


def idx_content(array: np.ndarray) -> bytes:
    header = struct.pack(f">{array.ndim + 1}i", 2048 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture(params=sorted(PLACES))
def contents(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """A small data set's name, and its files' contents, which count as the official ones."""
    rng, official = np.random.default_rng(1), PLACES[request.param][1]
    files = {}
    for name in official:
        images = "idx3" in name
        shape = (4, 28, 28) if images else (4,)
        files[name] = idx_content(rng.integers(0, 256 if images else 10, shape))
        monkeypatch.setitem(official, name, md5_of(files[name]))
    return request.param, files


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dotted", [False, True])
def test_every_form_of_an_idx_file_is_read(
    contents: tuple[str, dict[str, bytes]], form: str, dotted: bool, tmp_path: Path
) -> None:
    name, files = contents
    pattern, pack = FORMS[form]
    folder = tmp_path / PLACES[name][0] / "raw"
    folder.mkdir(parents=True)
    for file, content in files.items():
        kept = file.replace("-idx", ".idx") if dotted else file
        (folder / pattern.format(kept)).write_bytes(pack(content))
    for root in (tmp_path, folder.parent, folder):  # whichever of them the user names
        found = data.load(name, root)
        assert idx_content(found.train_x[:, 0]) == files["train-images-idx3-ubyte"]
        assert idx_content(found.test_y) == files["t10k-labels-idx1-ubyte"]


@pytest.mark.parametrize("form", FORMS)
def test_other_content_is_refused_in_every_form(
    contents: tuple[str, dict[str, bytes]], form: str, tmp_path: Path
) -> None:
    name, files = contents
    pattern, pack = FORMS[form]
    other = "t10k-labels-idx1-ubyte"
    changed = bytes([*files[other][:-1], files[other][-1] ^ 1])
    for file, content in {**files, other: changed}.items():
        (tmp_path / pattern.format(file)).write_bytes(pack(content))
    with pytest.raises(BadInput, match=f"{other}.* is damaged: its content is 12 bytes with md5"):
        data.load(name, tmp_path)


def test_the_official_content_is_that_of_the_official_files(real_data: Path) -> None:
    for folder, official in PLACES.values():
        for name, md5 in official.items():
            packed = (real_data / folder / "raw" / f"{name}.gz").read_bytes()
            assert md5_of(gzip.decompress(packed)) == md5


@pytest.fixture
def batches(
    monkeypatch: pytest.MonkeyPatch, cifar_batch: Callable[[np.ndarray, list[int]], bytes]
) -> dict[str, bytes]:
    rng = np.random.default_rng(2)
    files = {
        name: cifar_batch(rng.integers(0, 256, (2, 3072)).astype(np.uint8), [number, 9])
        for number, name in enumerate(cifar.MD5)
    }
    for name, content in files.items():
        monkeypatch.setitem(cifar.MD5, name, md5_of(content))
    return files


@pytest.mark.parametrize("place", ["torchvision", "the folder itself", "archive"])
def test_cifar_is_read_where_it_lies(batches: dict[str, bytes], place: str, tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    if place == "archive":
        with tarfile.open(tmp_path / cifar.ARCHIVE, "w:gz") as tar:
            for name, content in batches.items():
                member = tarfile.TarInfo(f"{folder.name}/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    else:
        folder.mkdir()
        for name, content in batches.items():
            (folder / name).write_bytes(content)
    found = data.load("cifar-10", folder if place == "the folder itself" else tmp_path)
    assert found.train_y.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert found.test_y.tolist() == [5, 9]
    assert found.train_x.shape == (10, 3, 32, 32)
    if place != "archive":
        (folder / "data_batch_3").unlink()
        assert len(data.load("cifar-10", tmp_path, train=False).test_x) == 2
        with pytest.raises(BadInput, match="data_batch_3 is missing, must be the official file"):
            data.load("cifar-10", tmp_path)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, -1, 1], [[0], [1], [1]]])
def test_a_data_set_has_one_class_for_each_image(labels: list[int]) -> None:
    images, right = np.zeros((3, 1, 2, 2), np.uint8), np.zeros(3, int)
    for train, test in ((labels, right), (right, labels)):
        with pytest.raises(BadInput, match=r"^labels: "):
            data.DataSet("mine", images, np.array(train), images, np.array(test), 2, 8, "direct")
