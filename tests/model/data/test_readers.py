"""Readers: small files written here, damaged files, and the real data sets where present."""

# Through these also model.data.digits.

from __future__ import annotations

import gzip
import hashlib
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.data import cifar, idx
from spikewright.model.data.dataset import ROOT_VARIABLE

Batch = Callable[[np.ndarray, list[int]], bytes]


@pytest.fixture(autouse=True)
def no_root(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Only tests on real data may see the data folder of the environment."""
    if "real_data" not in request.fixturenames:
        monkeypatch.delenv(ROOT_VARIABLE, raising=False)


def idx_content(array: np.ndarray) -> bytes:
    header = struct.pack(f">{array.ndim + 1}i", 2048 + array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def small_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Two training, three test images in the official layout; their md5s count as official."""
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.integers(0, 256, (2 if "train" in name else 3, 28, 28))
        for name in idx.MNIST_MD5
        if "idx3" in name
    }
    arrays |= {
        name: rng.integers(0, 10, 2 if "train" in name else 3)
        for name in idx.MNIST_MD5
        if "idx1" in name
    }
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        content = idx_content(array)
        (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        monkeypatch.setitem(idx.MNIST_MD5, name, md5)
    return arrays


def test_digits_split() -> None:
    from sklearn.datasets import load_digits

    digits = data.load("digits")
    order = np.random.RandomState(0).permutation(1797)
    pixels, labels = load_digits(return_X_y=True)
    images = np.asarray(pixels).astype(int).reshape(-1, 8, 8)
    assert digits.train_x.shape == (1437, 1, 8, 8)
    assert (digits.test_x[:, 0] == images[order[-360:]]).all()
    assert (digits.train_x[:, 0] == images[order[:-360]]).all()
    assert (digits.test_y == np.asarray(labels)[order[-360:]]).all()
    assert digits.train_x.dtype == np.uint8
    assert digits.train_x.max() == 16
    assert (digits.bits, digits.classes, digits.coding) == (5, 10, "direct")
    assert len(data.load("digits", train=False).train_x) == 0


def test_mnist_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = small_mnist(tmp_path, monkeypatch)
    by_argument = data.load("mnist", tmp_path)
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    for found in (by_argument, data.load("mnist")):
        assert (found.train_x[:, 0] == arrays["train-images-idx3-ubyte"]).all()
        assert (found.test_y == arrays["t10k-labels-idx1-ubyte"]).all()
        assert found.shape == (1, 28, 28)
        assert (found.bits, found.train_y.dtype) == (8, np.int64)


@pytest.mark.parametrize("file", sorted(idx.MNIST_MD5))
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_mnist_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, damage: str
) -> None:
    small_mnist(tmp_path, monkeypatch)
    path = tmp_path / "MNIST" / "raw" / f"{file}.gz"
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[:-9])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    expected = (
        "is missing, must be the official"
        if damage == "missing"
        else "is damaged: .*must be the official"
    )
    with pytest.raises(BadInput, match=expected) as caught:
        data.load("mnist", tmp_path)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0", "idx magic is -1, must be 2051"),
        (b"neither idx nor gzip", "idx magic is .*, must be 2051"),
        (idx_content(np.zeros(20)), "idx magic is 2049, must be 2051"),
        (struct.pack(">4i", 2051, 2, 3, 3) + bytes(17), "holds 17 bytes, must be 18"),
        (struct.pack(">4i", 2051, -2, 3, 3), "holds 0 bytes, must be -18"),
    ],
)
def test_idx_damage_behind_the_checksum(content: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        idx.parse("mnist", Path("file"), content, 3)


def test_no_data_root() -> None:
    with pytest.raises(
        BadInput, match=r"'mnist': no data folder given; .* MNIST/raw/ .* SPIKEWRIGHT_DATA"
    ):
        data.load("mnist")


@pytest.mark.parametrize("name", [n for n in data.NAMES if n != "digits"])
def test_empty_data_root(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is missing, must be"):
        data.load(name, tmp_path)


def test_unknown_data_set() -> None:
    with pytest.raises(BadInput, match="name is 'imagenet', must be one of cifar-10, digits"):
        data.load("imagenet")


def test_cifar_batch(cifar_batch: Batch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3072)).astype(np.uint8)
    pixels, labels = cifar.parse(Path("b"), cifar_batch(images, [3, 9]))
    assert (pixels.reshape(2, -1) == images).all()
    assert pixels.shape == (2, 3, 32, 32)
    assert labels.tolist() == [3, 9]
    with pytest.raises(BadInput, match=r"data is uint8 \(2, 999\), must be uint8 \(N, 3072\)"):
        cifar.parse(Path("b"), cifar_batch(images[:, :999], [3, 9]))
    with pytest.raises(BadInput, match="with N labels"):
        cifar.parse(Path("b"), cifar_batch(images, [3]))


def test_cifar_never_runs_a_pickle(tmp_path: Path) -> None:
    hostile = f"cos\nsystem\n(S'touch {tmp_path}/hacked'\ntR.".encode()
    with pytest.raises(BadInput, match=r"refuses to load os\.system"):
        cifar.parse(Path("test_batch"), hostile)
    assert not list(tmp_path.iterdir())
    for content in (b"", b"\x80\x02}q", b"garbage"):
        with pytest.raises(BadInput, match="is damaged"):
            cifar.parse(Path("test_batch"), content)


def test_cifar_md5(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(b"x")
    with pytest.raises(BadInput, match="test_batch is damaged: its content is 1 bytes with md5"):
        data.load("cifar-10", tmp_path)


def test_reading_needs_no_torch() -> None:
    code = (
        "import sys; from spikewright.model import data;"
        "from spikewright.model.recipes import recipe;"
        "data.load('digits'); recipe.load('digits');"
        "sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]
        ).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("name", "train", "test", "shape", "sums"),
    [
        ("mnist", 60000, 10000, (1, 28, 28), (1567298545, 264923200)),
        ("fashion-mnist", 60000, 10000, (1, 28, 28), (3431114169, 573469082)),
        ("cifar-10", 50000, 10000, (3, 32, 32), (18540682003, 3733375634)),
    ],
)
def test_real_images(
    real_data: Path, name: str, train: int, test: int, shape: tuple[int, ...], sums: tuple[int, int]
) -> None:
    found = data.load(name, real_data)
    assert found.train_x.shape == (train, *shape)
    assert found.test_x.shape == (test, *shape)
    assert sorted(set(found.train_y.tolist())) == list(range(10))
    assert (int(found.train_x.sum(dtype=np.int64)), int(found.test_x.sum(dtype=np.int64))) == sums


def test_real_events(real_data: Path) -> None:
    found = data.load("n-mnist", real_data, timesteps=6)
    assert found.train_x.shape[1:] == (6, 2, 34, 34)
    mnist = data.load("mnist", real_data)
    assert (found.train_y == mnist.train_y[: len(found.train_y)]).all()
    assert (found.test_y == mnist.test_y[: len(found.test_y)]).all()
    assert found.train_x.max() <= 15
