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

from spikewright.model.data.augment import Augmentation, augmented, draw
from spikewright.model.data.coding import Coder
from spikewright.model.runtime.device import CPU

Images = NDArray[np.uint8]
Shard = tuple[int, int]
VALUES = Coder()
ALL: Shard = (0, 1)
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
    shard: Shard = ALL,
    device: torch.device = CPU,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of one epoch: float inputs holding integers, and labels, on `device`.

    Of each batch only its `part`: which of how many slices of equal size.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(images))
    height, width = images.shape[-2:]
    draws = draw(rule, generator, len(images), (height, width))
    for step in range(steps_per_epoch(len(images), batch_size)):
        chosen = order[step * batch_size : (step + 1) * batch_size]
        chosen = chosen[
            len(chosen) * shard[0] // shard[1] : len(chosen) * (shard[0] + 1) // shard[1]
        ]
        batch = augmented(images[chosen], rule, draws, chosen)
        inputs = torch.from_numpy(coder.floats(batch, chosen, epoch))
        yield inputs.to(device), torch.from_numpy(labels[chosen]).to(device)


def sequential_batches(
    images: Images, coder: Coder = VALUES, device: torch.device = CPU, batch_size: int = 256
) -> Iterator[Tensor]:
    """All images as they come, in batches on `device`."""
    places = np.arange(len(images))
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield torch.from_numpy(coder.floats(images[part], places[part])).to(device)


def evenly_spaced(images: NDArray[np.generic], count: int) -> NDArray[np.generic]:
    """At most `count` of the images, evenly spread over all of them.

    >>> evenly_spaced(np.arange(10), 4).tolist(), evenly_spaced(np.arange(2), 4).tolist()
    ([0, 2, 5, 7], [0, 1])
    """
    count = min(count, len(images))
    return images[np.arange(count) * len(images) // max(count, 1)]
