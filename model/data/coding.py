"""Input coding: images as integers, or as Poisson spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.model.data import poisson

Images = NDArray[np.uint8]
Ints = NDArray[np.int64]
Reals = NDArray[np.float32]

KINDS = ("values", "poisson")
"""The values of a recipe's `coding`."""


@dataclass(frozen=True)
class Coder:
    """Turns images into the inputs of a network.

    Attributes
    ----------
    kind
        "values": integers unchanged; "poisson": spikes; "rates": their expected rates, for an ANN.
    timesteps
        T, of spikes.
    highest
        The largest pixel.
    seed
        That of the training run.
    """

    kind: str = "values"
    timesteps: int = 1
    highest: int = 1
    seed: int = 0

    def integers(self, images: Images, indices: Ints, epoch: int | None = None) -> Images:
        """The inputs of `images` (N, ...) as integers: (N, ...), or spikes (N, T, ...).

        `indices` (N,) are the images' numbers in their data set. Spikes are drawn anew in every
        `epoch` of training; validation and tests use those of None.
        """
        if self.kind != "poisson":
            return images
        seed = self.seed if epoch is None else self.seed + ((epoch + 1) << 32)
        return poisson.encode(images, indices, self.timesteps, self.highest, seed)

    def floats(self, images: Images, indices: Ints, epoch: int | None = None) -> Reals:
        """The same as float32; rates are pixel / highest."""
        values = self.integers(images, indices, epoch).astype(np.float32)
        return values / np.float32(self.highest) if self.kind == "rates" else values
