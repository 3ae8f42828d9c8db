"""Batches that depend on seed and epoch alone, so that a resumed run gets the same ones.

Order and augmentation of an epoch are drawn from a generator seeded with (seed, epoch): there is no
random state to save.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.model.data.augment import Augmentation, augmented, draw
from spikewright.model.data.coding import Coder
from spikewright.model.runtime.device import CPU

Images = NDArray[np.uint8]
Shard = tuple[int, int]
"""Rank and number of processes: which of how many equal slices of a batch."""
VALUES = Coder()
ALL: Shard = (0, 1)
_SPLIT, _FLIPS = 2**32 - 1, 2**32 - 2  # in place of an epoch's number; no run has so many


def split(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted indices of the images to train on, and of the validation images, out of `count`.

    `share` (0..1) of them are for validation, at least one.
    """
    order = np.random.default_rng([seed, _SPLIT]).permutation(count)
    held_out = max(1, round(share * count))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def steps_per_epoch(count: int, batch_size: int) -> int:
    """The number of full batches of `count` images; at least one, which may be smaller."""
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
    """The batches of one epoch on `device`: inputs (B, [T,] C, H, W) and labels (B,).

    Inputs are floats that hold integers.

    Parameters
    ----------
    images, labels
        (N, [T,] C, H, W) and (N,).
    rule
        The augmentation.
    shard
        The slice of each batch that this process gets.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(images))
    height, width = images.shape[-2:]
    draws = draw(rule, generator, len(images), (height, width))
    if rule.alternating:
        draws = replace(draws, mirrored=alternately_mirrored(len(images), seed, epoch))
    for step in range(steps_per_epoch(len(images), batch_size)):
        indices = order[step * batch_size : (step + 1) * batch_size]
        first, last = (len(indices) * (shard[0] + n) // shard[1] for n in (0, 1))
        indices = indices[first:last]
        batch = augmented(images[indices], rule, draws, indices)
        inputs = torch.from_numpy(coder.floats(batch, indices, epoch))
        yield inputs.to(device), torch.from_numpy(labels[indices]).to(device)


def alternately_mirrored(count: int, seed: int, epoch: int) -> NDArray[np.bool_]:
    """Which of `count` images are mirrored: drawn from the seed, and the others in the next epoch.

    >>> (alternately_mirrored(8, 0, 3) != alternately_mirrored(8, 0, 4)).all()
    np.True_
    """
    drawn = np.random.default_rng([seed, _FLIPS]).random(count) < 0.5
    return drawn ^ (epoch % 2 == 1)


def sequential_batches(
    images: Images, coder: Coder = VALUES, device: torch.device = CPU, batch_size: int = 256
) -> Iterator[Tensor]:
    """Inputs of all images in their order, without augmentation, in batches on `device`."""
    indices = np.arange(len(images))
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        yield torch.from_numpy(coder.floats(images[batch], indices[batch])).to(device)


def evenly_spaced(images: NDArray[np.generic], count: int) -> NDArray[np.generic]:
    """At most `count` of the images, evenly spaced.

    >>> evenly_spaced(np.arange(10), 4).tolist(), evenly_spaced(np.arange(2), 4).tolist()
    ([0, 2, 5, 7], [0, 1])
    """
    count = min(count, len(images))
    return images[np.arange(count) * len(images) // max(count, 1)]
