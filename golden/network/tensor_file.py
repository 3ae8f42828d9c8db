"""The safetensors container: eight bytes of length, a JSON header, then the tensors' bytes.

Written and read here in full rather than through the `safetensors` package, for two promises that
it does not make: equal networks give equal bytes, and every fault of a file is named. Any program
that reads safetensors reads these files. The format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.reading import is_list, is_object, parse_json

MAX_FILE_BYTES = 256 * 2**20
MAX_HEADER_BYTES = 2**20
MAX_AXES = 8

# The types that an integer network needs. Little-endian, as the format demands.
DTYPES: dict[str, np.dtype[np.generic]] = {"I8": np.dtype("<i1"), "I32": np.dtype("<i4")}

Tensors = Mapping[str, NDArray[np.generic]]

_DISGUISES = {
    **{bytes([0x80, protocol]): "a pickle, which is never opened" for protocol in range(2, 6)},
    b"PK\x03\x04": "a zip archive (torch.save or numpy.savez?)",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (NIR?)",
    b"\x93NUMPY": "a NumPy array file",
    b"\x1f\x8b": "a gzip file",
}


def pack(metadata: Mapping[str, str], tensors: Tensors) -> bytes:
    r"""One safetensors file: sorted names, no gaps, header padded with blanks to eight bytes.

    >>> pack({"a": "b"}, {"t": np.array([1, 2], np.int8)})[8:]
    b'{"__metadata__":{"a":"b"},"t":{"data_offsets":[0,2],"dtype":"I8","shape":[2]}}  \x01\x02'
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    payload: list[bytes] = []
    end = 0
    for name in sorted(tensors):
        raw = np.ascontiguousarray(tensors[name]).astype(tensors[name].dtype.newbyteorder("<"))
        begin, end = end, end + raw.nbytes
        header[name] = {
            "dtype": names[raw.dtype],
            "shape": list(raw.shape),
            "data_offsets": [begin, end],
        }
        payload.append(raw.tobytes())
    text = canonical(header)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(payload)


def unpack(data: bytes, where: str) -> tuple[dict[str, str], dict[str, NDArray[np.generic]]]:
    """(metadata, tensors) of one file; `where` names it in messages.

    Every byte must be accounted for: tensors lie side by side, without overlap, gap or rest.

    Raises
    ------
    BadInput
        At the first fault.
    """
    size = f"{len(data)} bytes"
    require(len(data) <= MAX_FILE_BYTES, where, "size", size, f"at most {MAX_FILE_BYTES} bytes")
    if data[8:9] != b"{":  # the length of a true header may begin with any of these bytes
        for magic, kind in _DISGUISES.items():
            if data.startswith(magic):
                raise BadInput(f"{where}: is {kind}, must be a safetensors file")
    require(len(data) >= 8, where, "size", size, "at least 8 bytes, a safetensors file")
    length = int.from_bytes(data[:8], "little")
    limit = min(MAX_HEADER_BYTES, len(data) - 8)
    rest = len(data) - 8
    for limit, why in ((MAX_HEADER_BYTES, "the limit"), (rest, "all that follows it")):
        fits = length <= limit
        require(fits, where, "header length", f"{show(length)} bytes", f"at most {limit}, {why}")
    header = parse_json(data[8 : 8 + length], f"{where}: header")
    if not is_object(header):
        raise BadInput(f"{where}: header is a {type(header).__name__}, must be an object")
    metadata = header.pop("__metadata__", {})
    strings = is_object(metadata) and all(type(value) is str for value in metadata.values())
    require(strings, where, "field '__metadata__'", show(metadata), "an object of strings")
    return cast(dict[str, str], metadata), _tensors(header, memoryview(data)[8 + length :], where)


def _tensors(
    header: dict[str, object], payload: memoryview, where: str
) -> dict[str, NDArray[np.generic]]:
    tensors: dict[str, NDArray[np.generic]] = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        at = f"{where}: tensor {show(name)}"
        dtype, shape, (begin, end) = _entry(entry, len(payload), at)
        spans.append((begin, end, at))
        tensors[name] = np.frombuffer(payload[begin:end], dtype).reshape(shape)
    expected = 0
    for begin, end, at in sorted(spans):
        right = f"{expected}, where the one before ends: no overlap, no gap"
        require(begin == expected, at, "start", begin, right)
        expected = end
    data = f"{len(payload)} bytes long"
    require(
        expected == len(payload), where, "data", data, f"{expected} bytes, the sum of its tensors"
    )
    return tensors


def _entry(entry: object, room: int, at: str) -> tuple[np.dtype[np.generic], list[int], list[int]]:
    """(dtype, shape, offsets) of one tensor, whose data must lie within `room` bytes."""
    if not is_object(entry) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise BadInput(
            f"{at}: is {show(entry)}, must be dtype, shape, data_offsets and nothing else"
        )
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise BadInput(f"{at}: dtype is {show(entry['dtype'])}, must be {' or '.join(DTYPES)}")
    shape = _naturals(entry["shape"], f"{at}: shape")
    require(len(shape) <= MAX_AXES, at, "shape", f"{len(shape)} axes", f"at most {MAX_AXES} axes")
    offsets = _naturals(entry["data_offsets"], f"{at}: data_offsets")
    size = math.prod(shape) * dtype.itemsize
    if len(offsets) != 2 or offsets[1] > room or offsets[1] - offsets[0] != size:
        raise BadInput(
            f"{at}: data_offsets is {show(offsets)}, must be two places within the {room} bytes "
            f"of data, {show(size)} bytes apart as dtype and shape say"
        )
    return dtype, shape, offsets


def _naturals(value: object, where: str) -> list[int]:
    numbers = [item for item in value if type(item) is int and item >= 0] if is_list(value) else []
    if numbers != value:
        raise BadInput(f"{where} is {show(value)}, must be a list of integers >= 0")
    return numbers


def canonical(value: object) -> bytes:
    r"""The one JSON text of a value: sorted keys, no blanks, ASCII.

    >>> canonical({"b": [1, 2], "a": "\u00fc"})
    b'{"a":"\\u00fc","b":[1,2]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
