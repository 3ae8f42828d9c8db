"""N-MNIST (Orchard et al., 2015): recordings of an event camera, binned into counts per step.

Layout: `Train/<digit>/<number>.bin` and `Test/<digit>/<number>.bin`, unpacked as officially
published and as tonic does it, or the same folders in `Train.zip` and `Test.zip` (or `.tar.gz`). An
event has 5 bytes: x, y, polarity (1 bit), time in microseconds (23 bits, big-endian). An event with
y = 240 is none: it says that the clock has overflowed, so that it and all behind it are 8,192
microseconds later. No md5 per recording is published; the archives' own checksums, sizes and ranges
are checked. Recordings are sorted by number, which is the order of MNIST.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from spikewright.golden.errors import BadInput
from spikewright.model.data.archive import ENDS, members
from spikewright.model.data.dataset import Bytes, DataSet, Labels, empty_like, first_of, locate

SIDE = 34
DURATION_US = 300_000  # three saccades of 100 ms; the few later events fall into the last bin
COUNT_BITS = 4  # counts saturate at 15
OVERFLOW_Y = 240
OVERFLOW_US = 8192

_FOLDERS = ("N-MNIST", "NMNIST", "N-MNIST-subset")
_NAME = re.compile(r"(?:^|/)([0-9])/([0-9]+)\.bin$")


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
    overflows = raw[:, 1] == OVERFLOW_Y
    time_us = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    time_us = (time_us + OVERFLOW_US * np.cumsum(overflows))[~overflows]
    x, y, sign = raw[~overflows, :3].T
    polarity = sign >> 7
    highest = max(int(x.max(initial=0)), int(y.max(initial=0)))
    if highest >= SIDE:
        raise BadInput(f"{where} has a pixel at {highest}, must be 0..{SIDE - 1}")
    step = np.minimum(time_us * timesteps // DURATION_US, timesteps - 1)
    cell = ((step * 2 + polarity) * SIDE + y) * SIDE + x
    counts = np.bincount(cell, minlength=timesteps * 2 * SIDE * SIDE)
    return np.minimum(counts, 2**COUNT_BITS - 1).astype(np.uint8).reshape(timesteps, 2, SIDE, SIDE)


def _names(part: str) -> tuple[str, ...]:
    """Folder and archives of a part; tonic writes its archives small."""
    return tuple(name + end for end in ENDS for name in (part, part.lower()))


def _part(folder: Path, part: str, timesteps: int) -> tuple[Bytes, Labels]:
    source = first_of(folder, _names(part))
    if source is None:
        raise BadInput(
            f"data 'n-mnist': {folder / part} is missing, and {part}.zip and {part}.tar.gz, "
            "one must hold <digit>/<number>.bin"
        )
    recordings: list[tuple[int, int, Bytes]] = []
    for name, content in members("n-mnist", source, lambda path: bool(_NAME.search(path))):
        digit, number = (int(part) for part in _NAME.findall(name)[-1])
        counts = bin_events(f"data 'n-mnist': {source}: {name}", content, timesteps)
        recordings.append((number, digit, counts))
    if not recordings:
        raise BadInput(
            f"data 'n-mnist': {source} holds no recording, must hold <digit>/<number>.bin"
        )
    recordings.sort(key=lambda item: item[:2])
    return np.stack([counts for *_, counts in recordings]), np.array(
        [label for _, label, _ in recordings], np.int64
    )


def read(root: Path | None, timesteps: int, train: bool) -> DataSet:
    """The recordings in the folder, binned into `timesteps` counts of at most 15."""
    folder = locate("n-mnist", root, _FOLDERS, _names("Test"))
    test_x, test_y = _part(folder, "Test", timesteps)
    train_x, train_y = _part(folder, "Train", timesteps) if train else empty_like(test_x)
    return DataSet("n-mnist", train_x, train_y, test_x, test_y, 10, COUNT_BITS, "events")
