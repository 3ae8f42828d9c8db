"""Random augmentation of training images, drawn from (seed, epoch) like the order of the batches.

Shifts with zeros moving in (a crop of the padded image), mirror images, and cutout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """Shifts by up to `shift` pixels, random flips, a zeroed square of side `cutout` (0: none).

    What moves in is 0, or with `reflect` the image mirrored at its border pixels. With
    `alternating`, whether an image is mirrored is drawn once, and changes from epoch to epoch: two
    epochs in a row show both (Jordan, arXiv 2404.00498).
    """

    shift: int = 0
    flip: bool = False
    cutout: int = 0
    reflect: bool = False
    alternating: bool = False


@dataclass(frozen=True, eq=False)
class Draws:
    """The random numbers of one epoch for all N images, whether the augmentation uses them or not.

    `offsets` (N, 2) are shifts in rows and columns, `mirrored` is (N,), `corners` (N, 2) the upper
    left corners of cutouts, which may lie outside the image.
    """

    offsets: Ints
    mirrored: NDArray[np.bool_]
    corners: Ints


def draw(
    rule: Augmentation, generator: np.random.Generator, count: int, side: tuple[int, int]
) -> Draws:
    """The random numbers of one epoch for `count` images of `side` (rows, columns)."""
    offsets = generator.integers(-rule.shift, rule.shift + 1, (count, 2))
    mirrored = generator.random(count) < 0.5
    # a square may extend beyond the border: its centre lies anywhere in the image
    centres = generator.integers(0, np.array(side), (count, 2))
    return Draws(offsets, mirrored, centres - rule.cutout // 2)


def augmented(images: Images, rule: Augmentation, draws: Draws, indices: Ints) -> Images:
    """The augmented `images` (N, ..., H, W); `indices` (N,) are their numbers in `draws`."""
    if rule.shift:
        images = shifted(images, draws.offsets[indices], rule.shift, rule.reflect)
    if rule.flip:
        images = flipped(images, draws.mirrored[indices])
    if rule.cutout:
        images = cut(images, draws.corners[indices], rule.cutout)
    return images


def shifted(images: Images, offsets: Ints, largest: int, reflect: bool = False) -> Images:
    """Each image moved by its (rows, columns) of `offsets` (N, 2), within +-largest.

    `images` is (N, ..., H, W). Zeros move in, or with `reflect` the image mirrored at its border.
    """
    border = [(0, 0)] * (images.ndim - 2) + [(largest, largest)] * 2
    padded = np.pad(images, border, "reflect" if reflect else "constant")
    height, width = images.shape[-2:]
    moved = np.empty_like(images)
    for dy in range(-largest, largest + 1):
        for dx in range(-largest, largest + 1):
            same = (offsets[:, 0] == dy) & (offsets[:, 1] == dx)
            y, x = largest - dy, largest - dx
            moved[same] = padded[same, ..., y : y + height, x : x + width]
    return moved


def flipped(images: Images, mirrored: NDArray[np.bool_]) -> Images:
    """The images, with left and right exchanged where `mirrored` (N,).

    >>> flipped(np.array([[[1, 2]], [[3, 4]]], np.uint8), np.array([True, False])).tolist()
    [[[2, 1]], [[3, 4]]]
    """
    result = images.copy()
    result[mirrored] = images[mirrored][..., ::-1]
    return result


def cut(images: Images, corners: Ints, side: int) -> Images:
    """The images with a square of `side` pixels set to 0; `corners` (N, 2) are its upper left ones.

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
