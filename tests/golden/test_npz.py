"""Archives of arrays: read by name, and every damage is one line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden import npy, npz
from spikewright.golden.errors import BadInput

X, Y = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.array([1, 0])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "both.npz"
    np.savez_compressed(path, x=X, y=Y, note=np.array(["not a number"]))
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_by_name(tmp_path: Path, save) -> None:
    save(tmp_path / "a.npz", x=X, y=Y, other=np.array([{}], dtype=object))
    found = npz.load(tmp_path / "a.npz", ("x", "y", "z"))  # an object is not touched
    assert found.keys() == {"x", "y"}
    assert np.array_equal(found["x"], X)
    assert found["x"].dtype == np.uint8
    assert np.array_equal(found["y"], Y)


def test_what_is_no_number_is_refused(archive: Path) -> None:
    with pytest.raises(BadInput, match=r"both\.npz: note: header is "):
        npz.load(archive, ("note",))


def test_cut_anywhere_is_one_line(archive: Path, tmp_path: Path) -> None:
    whole, path = archive.read_bytes(), tmp_path / "cut.npz"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput, match=r"cut\.npz: "):
            npz.load(path, ("x", "y"))


def test_every_flipped_bit_is_noticed_or_harmless(archive: Path, tmp_path: Path) -> None:
    whole, path, refused = archive.read_bytes(), tmp_path / "flipped.npz", 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            found = npz.load(path, ("x", "y"))
        except BadInput as error:
            refused += "\n" not in str(error)
        else:  # a date, an attribute, or a name that is another now
            assert all(np.array_equal(found[name], {"x": X, "y": Y}[name]) for name in found)
    assert refused > len(whole) / 3


def test_more_bytes_than_memory_are_not_read(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "MAX_BYTES", 20)
    with pytest.raises(BadInput, match=r"x: data is 24 bytes, must be at most 20"):
        npz.load(archive, ("x",))


def test_an_array_of_another_size_than_the_archive_says(tmp_path: Path) -> None:
    part = io.BytesIO()
    np.save(part, X)
    path = tmp_path / "short.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", part.getvalue()[:-1])
    with pytest.raises(BadInput, match=r"x: data is 23 bytes, must be 24 bytes"):
        npz.load(path, ("x",))


def test_a_name_that_is_there_twice(tmp_path: Path) -> None:
    part, path = io.BytesIO(), tmp_path / "twice.npz"
    np.save(part, X)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", part.getvalue())
        archive.writestr("x", part.getvalue())
    with pytest.raises(BadInput, match="array is 'x', must be there once"):
        npz.load(path, ("x",))


def test_too_many_arrays(tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    np.savez(path, **{f"a{n}": Y for n in range(npz.MAX_ARRAYS + 1)})
    with pytest.raises(BadInput, match="number of arrays is 65, must be at most 64"):
        npz.load(path, ("x",))
