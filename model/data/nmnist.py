"""N-MNIST (Orchard et al., 2015): recordings of an event camera, binned into counts per step.

Layout: `Train/<digit>/<number>.bin` and `Test/<digit>/<number>.bin`, unpacked as officially
published, or the same folders in `Train.tar.gz` and `Test.tar.gz`. An event has 5 bytes: x, y,
polarity (1 bit), time in microseconds (23 bits, big-endian). No md5 per recording is published;
the archives' own checksums, sizes and ranges are checked. Recordings are sorted by number, which is
the order of MNIST.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from spikewright.golden.errors import BadInput
from spikewright.model.data.dataset import Bytes, DataSet, Labels, empty_like, locate

SIDE = 34
DURATION_US = 300_000  # three saccades of 100 ms; the few later events fall into the last bin
COUNT_BITS = 4  # counts saturate at 15

_FOLDERS = ("N-MNIST", "NMNIST", "N-MNIST-subset")
_NAME = re.compile(r"([0-9])/([0-9]+)\.bin")


def bin_events(where: str, content: bytes, timesteps: int) -> Bytes:
    """Counts uint8 (timesteps, 2, 34, 34) of one recording; channel = polarity.

    Raises
    ------
    BadInput
        If the size is no multiple of 5 bytes or a pixel lies outside 34 x 34.
    """
    if len(content) % 5:
        raise BadInput(f"{where} has {len(content)} bytes, must be a multiple of 5")
    raw = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    if len(raw) and max(int(x.max()), int(y.max())) >= SIDE:
        raise BadInput(
            f"{where} has a pixel at {max(int(x.max()), int(y.max()))}, must be 0..{SIDE - 1}"
        )
    time_us = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    step = np.minimum(time_us * timesteps // DURATION_US, timesteps - 1)
    cell = ((step * 2 + polarity) * SIDE + y) * SIDE + x
    counts = np.bincount(cell, minlength=timesteps * 2 * SIDE * SIDE)
    return np.minimum(counts, 2**COUNT_BITS - 1).astype(np.uint8).reshape(timesteps, 2, SIDE, SIDE)


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        # decompressed completely first: that checks the archive's checksum
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    yield member.name, file.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise BadInput(
            f"data 'n-mnist': {path} is damaged ({error}), must be a whole .tar.gz archive"
        ) from None


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.glob("*/*.bin")):
        yield f"{file.parent.name}/{file.name}", file.read_bytes()


def _part(folder: Path, part: str, timesteps: int) -> tuple[Bytes, Labels]:
    unpacked, packed = folder / part, folder / f"{part}.tar.gz"
    if not unpacked.is_dir() and not packed.exists():
        raise BadInput(
            f"data 'n-mnist': {unpacked} and {packed} are missing, "
            "one must hold <digit>/<number>.bin"
        )
    source = unpacked if unpacked.is_dir() else packed
    recordings: list[tuple[int, int, Bytes]] = []
    for name, content in _folder(unpacked) if unpacked.is_dir() else _archive(packed):
        match = _NAME.fullmatch("/".join(PurePosixPath(name).parts[-2:]))
        if match:
            counts = bin_events(f"data 'n-mnist': {source}: {name}", content, timesteps)
            recordings.append((int(match[2]), int(match[1]), counts))
    if not recordings:
        raise BadInput(
            f"data 'n-mnist': {source} holds no recording, must hold <digit>/<number>.bin"
        )
    recordings.sort(key=lambda item: item[:2])
    return np.stack([counts for *_, counts in recordings]), np.array(
        [label for _, label, _ in recordings], np.int64
    )


def _locate(root: Path | None) -> Path:
    try:
        return locate("n-mnist", root, _FOLDERS, "Test.tar.gz")
    except BadInput:
        return locate("n-mnist", root, _FOLDERS, "Test")


def read(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """The recordings in the folder, binned into `timesteps` counts of at most 15."""
    folder = _locate(root)
    test_x, test_y = _part(folder, "Test", timesteps)
    train_x, train_y = _part(folder, "Train", timesteps) if train else empty_like(test_x)
    return DataSet("n-mnist", train_x, train_y, test_x, test_y, 10, COUNT_BITS, "events")
