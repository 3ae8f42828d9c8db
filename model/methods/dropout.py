"""Dropout whose mask holds over all steps of an image, so that it removes neurons, not spikes.

What stays is scaled by 1 / (1 - share). Off in eval mode, and so in every exported network.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikewright.model.methods.base import Context, Method
from spikewright.model.runtime import distributed

_STREAM = 2**32 - 2  # apart from the seeds of batches


def dropped(sent: Tensor, batch: int, share: float, generator: torch.Generator) -> Tensor:
    """What a layer sent, (T * batch, ...), without the neurons that `generator` draws per image."""
    # drawn for the batch of all processes together, and on the CPU, so that masks are the same
    whole = batch * distributed.processes()
    drawn = torch.rand((whole, *sent.shape[1:]), generator=generator)[distributed.share(whole)]
    mask = (drawn >= share).to(sent.device, sent.dtype) / (1 - share)
    return (sent.unflatten(0, (-1, batch)) * mask).flatten(0, 1)


class Dropout(Method):
    """Drops neurons of every hidden layer; the masks of a step depend on seed and step alone."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.generator = torch.Generator()

    def begin(self, context: Context) -> None:
        """Stand between the layers of the network."""
        self.seed = context.recipe.training.seed
        context.network.between = self._drop

    def before_step(self, step: int) -> None:
        """New masks."""
        drawn = np.random.default_rng([self.seed, _STREAM, step]).integers(2**62)
        self.generator.manual_seed(int(drawn))

    def _drop(self, sent: Tensor, batch: int) -> Tensor:
        return dropped(sent, batch, self.share, self.generator)
