"""Layer widths from the principal components of the accumulated drive.

Chowdhury, Garg and Roy (IJCNN 2021) analyse the potential that a layer's synapses deliver over all
steps, without the reset (a reset potential is bounded by the threshold, and looks like noise).
Every pixel of every image is a sample, every channel a feature. The layer needs as many channels as
components whose variances together reach a share of the whole. The result is a width, not a choice
of channels: a network of these widths is trained from scratch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


class CovarianceSums:
    """Accumulates the covariance of samples with C features, in C x C numbers."""

    def __init__(self, channels: int) -> None:
        self.count = 0
        self.sum = np.zeros(channels)
        self.products = np.zeros((channels, channels))

    def add(self, drive: Floats) -> None:
        """Adds the samples of `drive` (N, C) or (N, C, H, W): images, or pixels of images."""
        samples = np.moveaxis(np.asarray(drive, np.float64), 1, -1).reshape(-1, drive.shape[1])
        self.count += len(samples)
        self.sum += samples.sum(axis=0)
        self.products += samples.T @ samples

    def variances(self) -> NDArray[np.float64]:
        """The variance (C,) along each principal component, largest first."""
        mean = self.sum / max(self.count, 1)
        covariance = self.products / max(self.count, 1) - np.outer(mean, mean)
        return np.asarray(np.linalg.eigvalsh(covariance)[::-1].clip(min=0.0), np.float64)


def components_needed(variances: Floats, share: float) -> int:
    """The fewest components whose variances together reach `share` of all; at least 1.

    >>> components_needed(np.array([8.0, 1.0, 1.0, 0.0]), 0.9)
    2
    >>> components_needed(np.zeros(3), 0.9)
    1
    """
    total = float(np.sum(variances))
    if total <= 0:
        return 1
    reached = np.cumsum(variances) >= share * total * (1 - 1e-12)
    return int(np.argmax(reached)) + 1


def narrow_words(
    words: Sequence[str], layers: Sequence[str], widths: Mapping[str, int]
) -> list[str]:
    """The layer words of a recipe with new widths.

    Parameters
    ----------
    words
        As in a recipe.
    layers
        The names of their layers, in order; a residual block has two.
    widths
        Channels by layer name; layers without an entry keep theirs. A block takes the larger of its
        two.

    >>> narrow_words(["16C3", "P2", "8R3s2", "64", "10"],
    ...              ["conv1", "res2", "res3", "fc4", "readout"],
    ...              {"conv1": 5, "res2": 3, "res3": 4, "fc4": 20})
    ['5C3', 'P2', '4R3s2', '20', '10']
    """
    names = iter(layers)
    narrow: list[str] = []
    for word in words:
        if re.fullmatch("[PM][0-9]+", word):
            narrow.append(word)
            continue
        own_names = [next(names) for _ in range(2 if "R" in word else 1)]
        own_widths = [widths[name] for name in own_names if name in widths]
        narrow.append(re.sub("^[0-9]+", str(max(own_widths)), word) if own_widths else word)
    return narrow
