"""N-MNIST: what an event means, and every layout in which people have the recordings."""

# Through these also model.data.archive.

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.data import nmnist


def event(x: int, y: int, polarity: int, time_us: int) -> bytes:
    return bytes([x, y, polarity << 7 | time_us >> 16, time_us >> 8 & 255, time_us & 255])


def test_events_by_hand() -> None:
    content = (
        event(3, 5, 0, 0)
        + event(3, 5, 0, 149_999)
        + event(33, 0, 1, 150_000)
        + event(0, 33, 1, 400_000)
    )
    counts = nmnist.bin_events("here", content, 2)
    assert counts.shape == (2, 2, 34, 34)
    assert counts.sum() == 4
    assert counts[0, 0, 5, 3] == 2
    assert counts[1, 1, 0, 33] == 1
    assert counts[1, 1, 33, 0] == 1
    assert nmnist.bin_events("here", event(1, 1, 1, 5) * 40, 1)[0, 1, 1, 1] == 15


def test_event_damage() -> None:
    with pytest.raises(BadInput, match="here has 6 bytes, must be a multiple of 5"):
        nmnist.bin_events("here", bytes(6), 2)
    with pytest.raises(BadInput, match=r"here has a pixel at 34, must be 0\.\.33"):
        nmnist.bin_events("here", event(34, 1, 0, 0), 2)


def test_an_overflow_marker_makes_all_behind_it_later() -> None:
    marker = event(0, 240, 0, 8191)
    content = event(0, 0, 0, 8000) + marker + event(1, 1, 1, 4) + marker * 2 + event(2, 2, 0, 0)
    counts = nmnist.bin_events("here", content, 300)  # bins of 1 ms
    # 8,000 us; 8,192 + 4 us; 3 x 8,192 us
    assert np.argwhere(counts).tolist() == [[8, 0, 0, 0], [8, 1, 1, 1], [24, 0, 2, 2]]
    assert nmnist.bin_events("here", marker, 3).sum() == 0


def recordings(part: str) -> dict[str, bytes]:
    return {f"{part}/{d}/{n:05d}.bin": event(d, n, 1, 10) for d, n in ((7, 2), (1, 30), (7, 10))}


def pack(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def unpack(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def pack_zip(path: Path, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("folder", ["N-MNIST", "NMNIST", "N-MNIST-subset", "."])
@pytest.mark.parametrize("kind", ["folder", "tonic", "Train.zip", "train.zip", "Train.tar.gz"])
def test_every_layout_is_read(tmp_path: Path, folder: str, kind: str) -> None:
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    for part in ("Train", "Test"):
        files = {**recordings(part), f"{part}/.DS_Store": b"!", f"{part}/7/notes.txt": b"!"}
        archive = place / kind.replace("Train", part).replace("train", part.lower())
        if kind in ("folder", "tonic"):
            unpack(place, files)
        if kind == "tonic":  # leaves the archive beside what it unpacked
            archive.with_name(f"{part.lower()}.zip").write_bytes(b"")
        elif kind.endswith(".zip"):
            pack_zip(archive, files)
        elif kind.endswith(".gz"):
            pack(archive, files)
    found = data.load("n-mnist", tmp_path, timesteps=3)
    assert found.train_x.shape == (3, 3, 2, 34, 34)
    assert found.train_y.tolist() == [7, 7, 1]  # by recording number: 2, 10, 30
    assert np.argwhere(found.test_x)[:, [0, 4, 3]].tolist() == [[0, 7, 2], [1, 7, 10], [2, 1, 30]]
    assert (found.coding, found.bits) == ("events", 4)


@pytest.mark.parametrize("end", [".tar.gz", ".zip"])
def test_damage_is_named(tmp_path: Path, end: str) -> None:
    folder, packed = tmp_path / "N-MNIST-subset", pack_zip if end == ".zip" else pack
    folder.mkdir()
    archive = folder / f"Test{end}"
    packed(archive, recordings("Test"))
    with pytest.raises(BadInput, match=r"Train is missing, and Train\.zip and Train\.tar\.gz"):
        data.load("n-mnist", tmp_path)
    whole = archive.read_bytes()
    for bad in (whole[:-20], whole[:40], b"x" * 50):
        archive.write_bytes(bad)
        with pytest.raises(BadInput, match=rf"Test{end} is damaged .* must be a whole {end}"):
            data.load("n-mnist", tmp_path)
    packed(archive, {"Test/readme": b"1"})
    with pytest.raises(BadInput, match="holds no recording"):
        data.load("n-mnist", tmp_path)
