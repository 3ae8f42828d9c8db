"""Batches as a function of seed and epoch alone, so that a resumed run sees the same ones.

No generator lives from one epoch to the next: order and shifts of an epoch are drawn from a
generator seeded with (seed, epoch). So there is no random state to save.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Images = NDArray[np.uint8]
_SPLIT = 2**32 - 1  # where an epoch number stands for the others; no run has so many


def split(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and of the validation part of `count` training images."""
    order = np.random.default_rng([seed, _SPLIT]).permutation(count)
    held = max(1, round(share * count))
    return np.sort(order[held:]), np.sort(order[:held])


def shifted(images: Images, offsets: NDArray[np.int64], largest: int) -> Images:
    """Each image moved by its (rows, columns) of `offsets` (N, 2), within +-largest; zeros move in.

    `images` is (N, ..., H, W).
    """
    border = [(0, 0)] * (images.ndim - 2) + [(largest, largest)] * 2
    padded = np.pad(images, border)
    height, width = images.shape[-2:]
    moved = np.empty_like(images)
    for dy in range(-largest, largest + 1):
        for dx in range(-largest, largest + 1):
            chosen = (offsets[:, 0] == dy) & (offsets[:, 1] == dx)
            y, x = largest - dy, largest - dx
            moved[chosen] = padded[chosen, ..., y : y + height, x : x + width]
    return moved


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Full batches only, but at least one."""
    return max(1, count // batch_size)


def epoch_batches(
    images: Images, labels: NDArray[np.int64], batch_size: int, shift: int, seed: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch: float inputs holding integers, and labels."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(images))
    offsets = generator.integers(-shift, shift + 1, (len(images), 2))
    for step in range(steps_per_epoch(len(images), batch_size)):
        chosen = order[step * batch_size : (step + 1) * batch_size]
        batch = images[chosen]
        if shift:
            batch = shifted(batch, offsets[chosen], shift)
        yield torch.from_numpy(batch.astype(np.float32)), torch.from_numpy(labels[chosen])


def in_order(images: Images, batch_size: int = 256) -> Iterator[Tensor]:
    """All images as they come, in batches."""
    for start in range(0, len(images), batch_size):
        yield torch.from_numpy(images[start : start + batch_size].astype(np.float32))
