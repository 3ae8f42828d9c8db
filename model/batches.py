"""Batches as a function of seed and epoch alone, so that a resumed run sees the same ones.

No generator lives from one epoch to the next: order and augmentation of an epoch are drawn from a
generator seeded with (seed, epoch). So there is no random state to save.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.augment import Augmentation, augmented, draw
from model.coding import Coder

Images = NDArray[np.uint8]
VALUES = Coder()
_SPLIT = 2**32 - 1  # where an epoch number stands for the others; no run has so many


def split(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the training and of the validation part of `count` training images."""
    order = np.random.default_rng([seed, _SPLIT]).permutation(count)
    held = max(1, round(share * count))
    return np.sort(order[held:]), np.sort(order[:held])


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Full batches only, but at least one."""
    return max(1, count // batch_size)


def epoch_batches(
    images: Images,
    labels: NDArray[np.int64],
    batch_size: int,
    rule: Augmentation,
    seed: int,
    epoch: int,
    coder: Coder = VALUES,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch: float inputs holding integers, and labels."""
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(images))
    height, width = images.shape[-2:]
    draws = draw(rule, generator, len(images), (height, width))
    for step in range(steps_per_epoch(len(images), batch_size)):
        chosen = order[step * batch_size : (step + 1) * batch_size]
        batch = augmented(images[chosen], rule, draws, chosen)
        yield torch.from_numpy(coder.floats(batch, chosen, epoch)), torch.from_numpy(labels[chosen])


def in_order(images: Images, coder: Coder = VALUES, batch_size: int = 256) -> Iterator[Tensor]:
    """All images as they come, in batches."""
    places = np.arange(len(images))
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield torch.from_numpy(coder.floats(images[part], places[part]))
