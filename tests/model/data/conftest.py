"""Small files in the formats of the official data sets."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest


def _pickled(images: np.ndarray, labels: list[int]) -> bytes:
    """A pickle as Python 2 and an early NumPy wrote the official batches, opcode by opcode."""
    rows, columns = images.shape
    shape = b"(K" + bytes([rows]) + b"M" + struct.pack("<H", columns) + b"t"
    dtype = (
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN"
        + b"J\xff\xff\xff\xff" * 2
        + b"K\x00tb"
    )
    raw = images.tobytes()
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    array += b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


@pytest.fixture
def cifar_batch() -> Callable[[np.ndarray, list[int]], bytes]:
    """Makes a batch of images (N, 3072) and labels."""
    return _pickled
