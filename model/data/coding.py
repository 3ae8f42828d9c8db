"""How images become what a network reads: integers as they are, or Poisson spikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.model.data import poisson

Images = NDArray[np.uint8]
Ints = NDArray[np.int64]
Reals = NDArray[np.float32]

KINDS = ("values", "poisson")
"""What a recipe's `coding` names."""


@dataclass(frozen=True)
class Coder:
    """`values`: as they are. `poisson`: spikes. `rates`: their mean, for a network without time.

    `highest` is the largest pixel; `seed` that of the training run.
    """

    kind: str = "values"
    timesteps: int = 1
    highest: int = 1
    seed: int = 0

    def integers(self, images: Images, indices: Ints, epoch: int | None = None) -> Images:
        """`images` (N, ...), which are numbers `indices` of their set, as integers of the network.

        Spikes are (N, timesteps, ...). Every epoch of training draws its own; scores are taken,
        and networks tested, with those of no epoch.
        """
        if self.kind != "poisson":
            return images
        seed = self.seed if epoch is None else self.seed + ((epoch + 1) << 32)
        return poisson.encode(images, indices, self.timesteps, self.highest, seed)

    def floats(self, images: Images, indices: Ints, epoch: int | None = None) -> Reals:
        """The same as floats; rates are pixel / highest."""
        found = self.integers(images, indices, epoch).astype(np.float32)
        return found / np.float32(self.highest) if self.kind == "rates" else found
