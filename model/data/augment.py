"""Random changes of training images, each drawn from (seed, epoch) like the order of the batches.

Shifts with zeros moving in (a crop of the padded image), mirror images, and squares cut out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """`shift` pixels at most, mirrored or not, a square of side `cutout` set to zero (0: none)."""

    shift: int = 0
    flip: bool = False
    cutout: int = 0


@dataclass(frozen=True, eq=False)
class Draws:
    """One epoch's draws for every image, whether they are used or not."""

    offsets: Ints
    mirrored: NDArray[np.bool_]
    corners: Ints


def draw(
    rule: Augmentation, generator: np.random.Generator, count: int, side: tuple[int, int]
) -> Draws:
    """What happens to each of `count` images of `side` (rows, columns) in one epoch."""
    offsets = generator.integers(-rule.shift, rule.shift + 1, (count, 2))
    mirrored = generator.random(count) < 0.5
    # a square may hang over the border: its centre lies anywhere in the image
    centres = generator.integers(0, np.array(side), (count, 2))
    return Draws(offsets, mirrored, centres - rule.cutout // 2)


def augmented(images: Images, rule: Augmentation, draws: Draws, chosen: Ints) -> Images:
    """The images (N, ..., H, W), which are numbers `chosen` of the epoch, as they were drawn."""
    if rule.shift:
        images = shifted(images, draws.offsets[chosen], rule.shift)
    if rule.flip:
        images = flipped(images, draws.mirrored[chosen])
    if rule.cutout:
        images = cut(images, draws.corners[chosen], rule.cutout)
    return images


def shifted(images: Images, offsets: Ints, largest: int) -> Images:
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


def flipped(images: Images, mirrored: NDArray[np.bool_]) -> Images:
    """The images, those that are `mirrored` with left and right exchanged.

    >>> flipped(np.array([[[1, 2]], [[3, 4]]], np.uint8), np.array([True, False])).tolist()
    [[[2, 1]], [[3, 4]]]
    """
    found = images.copy()
    found[mirrored] = images[mirrored][..., ::-1]
    return found


def cut(images: Images, corners: Ints, side: int) -> Images:
    """The images with a square of `side` pixels set to 0 from its upper left corner (N, 2) on.

    >>> cut(np.ones((1, 2, 3), np.uint8), np.array([[-1, 1]]), 2).tolist()
    [[[1, 0, 0], [1, 1, 1]]]
    """
    height, width = images.shape[-2:]
    y, x = np.arange(height), np.arange(width)
    top, left = corners[:, :1], corners[:, 1:]
    rows = (y >= top) & (y < top + side)
    columns = (x >= left) & (x < left + side)
    inside = rows[:, :, None] & columns[:, None, :]
    inside = inside.reshape(len(images), *[1] * (images.ndim - 3), height, width)
    return np.where(inside, 0, images).astype(images.dtype)
