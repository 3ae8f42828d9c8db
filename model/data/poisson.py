"""Poisson coding of images: in every step a pixel sends a spike with probability pixel / highest.

The random number of a pixel and step is a hash of (seed, image index, step, pixel index), not a
draw from a generator: the spikes of an image do not depend on the batch it is in, and can be
reproduced exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_CHUNK = 256  # images at once: each random number takes 8 bytes

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mixed(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, 2014), a hash of 64-bit words.

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

    `indices` (N,) are the images' numbers in their data set.

    >>> dark_and_bright = np.array([[0, 255]], np.uint8)
    >>> encode(dark_and_bright, np.array([7]), 3, 255, 0).tolist()
    [[[0, 1], [0, 1], [0, 1]]]
    """
    pixels = int(np.prod(images.shape[1:]))
    spikes = np.empty((len(images), timesteps, pixels), np.uint8)
    keys = mixed(mixed(np.array([seed], np.uint64)) ^ indices.astype(np.uint64))
    steps, positions = np.arange(timesteps, dtype=np.uint64), np.arange(pixels, dtype=np.uint64)
    for start in range(0, len(images), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        per_step = mixed(keys[chunk, None] ^ steps)
        drawn = mixed(per_step[:, :, None] ^ positions) >> np.uint64(32)  # 0 .. 2^32 - 1
        # a spike if drawn / 2^32 < pixel / highest
        flat = images[chunk].reshape(-1, 1, pixels).astype(np.uint64)
        spikes[chunk] = drawn * np.uint64(highest) < flat << np.uint64(32)
    return spikes.reshape(len(images), timesteps, *images.shape[1:])
