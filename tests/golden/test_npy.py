"""Array files: what numpy.save writes is read as numpy.load reads it, what lies is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden import npy
from spikewright.golden.errors import BadInput


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<u8", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_numpy_writes_is_read(tmp_path: Path, version, dtype: str, order: str) -> None:
    for shape in ((), (0,), (3,), (2, 3, 4)):
        array = np.arange(np.prod(shape)).reshape(shape).astype(dtype, order=order)
        with (tmp_path / "a.npy").open("wb") as file:
            np.lib.format.write_array(file, array, version)
        found = npy.load(tmp_path / "a.npy")
        assert found.dtype == array.dtype.newbyteorder("=")
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, array)


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


GOOD = saved(np.zeros((2, 3), np.int64))
CASES = {
    "empty": (b"", "begins with b''"),
    "zip": (b"PK\x03\x04garbage", r"is a zip archive \(numpy.savez\?\)"),
    "text": (b"1 2 3\n4 5 6", "begins with"),
    "version 9": (GOOD[:6] + b"\x09" + GOOD[7:], "begins with"),
    "objects": (saved(np.array([{}], object)), "descr of plain numbers"),
    "strings": (saved(np.array(["a"])), "descr of plain numbers"),
    "records": (saved(np.zeros(1, [("a", int)])), "descr of plain numbers"),
    "terabytes": (GOOD.replace(b"(2, 3), ", b"(10**12)"), "fortran_order and shape"),
    "short": (GOOD[:-1], "data is 47 bytes, must be 48 bytes, as shape .* of int64 says"),
    "long": (GOOD + b"\0", "data is 49 bytes, must be 48"),
    "larger": (GOOD.replace(b"(2, 3)", b"(9, 9)"), "must be 648 bytes"),
    "negative": (GOOD.replace(b"(2, 3)", b"(-1, )"), "fortran_order and shape"),
    "a type that is none": (GOOD.replace(b"<i8", b"<i7"), "must be a type that NumPy has"),
    "a key twice": (GOOD.replace(b"fortran_order", b"descr        "), "fortran_order and shape"),
    "header of 64 KiB": (GOOD[:8] + b"\xff\xff" + b"(" * 70_000, "header is 65535 bytes"),
    "a call": (GOOD.replace(b"'<i8'", b"eval()"[:5]), "fortran_order and shape"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(tmp_path: Path, name: str) -> None:
    data, pattern = CASES[name]
    (tmp_path / "bad.npy").write_bytes(data)
    with pytest.raises(BadInput, match=rf"bad\.npy: .*{pattern}"):
        npy.load(tmp_path / "bad.npy")
