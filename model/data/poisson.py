"""Rate coding of static images: in every step a pixel sends a spike with its own probability.

The probability is pixel / highest. The random number of a pixel and step is a hash of (seed, image
index, step, place of the pixel), not a draw from a generator: so the spikes of an image do not
depend on which images stand beside it, and everyone who encodes it gets the same integers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_CHUNK = 256  # images at once, as the random numbers take 8 bytes each

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mixed(words: Words) -> Words:
    """The finaliser of SplitMix64: every bit of the input moves every bit of the output.

    >>> hex(int(mixed(np.array([0], np.uint64))[0]))
    '0xe220a8397b1dcdaf'
    """
    with np.errstate(over="ignore"):
        z = words + _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _FIRST
        z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def encode(
    images: NDArray[np.uint8], indices: NDArray[np.int64], timesteps: int, highest: int, seed: int
) -> NDArray[np.uint8]:
    """Spikes 0/1 (N, timesteps, ...) of `images` (N, ...) with values 0..`highest`.

    `indices` (N,) says which image of its data set each one is.

    >>> dark_and_bright = np.array([[0, 255]], np.uint8)
    >>> encode(dark_and_bright, np.array([7]), 3, 255, 0).tolist()
    [[[0, 1], [0, 1], [0, 1]]]
    """
    pixels = int(np.prod(images.shape[1:]))
    spikes = np.empty((len(images), timesteps, pixels), np.uint8)
    keys = mixed(mixed(np.array([seed], np.uint64)) ^ indices.astype(np.uint64))
    steps, places = np.arange(timesteps, dtype=np.uint64), np.arange(pixels, dtype=np.uint64)
    for start in range(0, len(images), _CHUNK):
        part = slice(start, start + _CHUNK)
        per_step = mixed(keys[part, None] ^ steps)
        drawn = mixed(per_step[:, :, None] ^ places) >> np.uint64(32)  # 0 .. 2^32 - 1
        # fires if drawn / 2^32 < pixel / highest
        flat = images[part].reshape(-1, 1, pixels).astype(np.uint64)
        spikes[part] = drawn * np.uint64(highest) < flat << np.uint64(32)
    return spikes.reshape(len(images), timesteps, *images.shape[1:])
