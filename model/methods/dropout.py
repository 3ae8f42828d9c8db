"""Dropout whose mask holds over all steps of an image, so that it removes neurons, not spikes.

What stays is scaled by 1 / (1 - share). Off in eval mode, and so in every exported network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from spikewright.model.methods.base import Context, Method
from spikewright.model.recipes.fields import field, number
from spikewright.model.recipes.methods import register

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage

_STREAM = 2**32 - 2  # apart from the seeds of batches


def dropped(sent: Tensor, batch: int, share: float, generator: torch.Generator) -> Tensor:
    """What a layer sent, (T * batch, ...), without the neurons that `generator` draws per image."""
    import torch

    from spikewright.model.runtime import distributed

    # drawn for the batch of all processes together, and on the CPU, so that masks are the same
    whole = batch * distributed.world_size()
    drawn = torch.rand((whole, *sent.shape[1:]), generator=generator)[distributed.shard(whole)]
    mask = (drawn >= share).to(sent.device, sent.dtype) / (1 - share)
    return (sent.unflatten(0, (-1, batch)) * mask).flatten(0, 1)


@register
class Dropout(Method):
    """Drops neurons of every hidden layer; the masks of a step depend on seed and step alone."""

    name = "dropout"
    order = 70
    training_keys = {  # noqa: RUF012 (declared once, never changed)
        "dropout": field(number(0, 0.9), 0.0, quiet=True),
    }

    def __init__(self, share: float) -> None:
        import torch

        self.share = share
        self.generator = torch.Generator()

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """Whether neurons are dropped at all."""
        return recipe.training.dropout > 0

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Self:
        """With the share of [training]."""
        return cls(recipe.training.dropout)

    def begin(self, context: Context) -> None:
        """Stand between the layers of the network."""
        self.seed = context.recipe.training.seed
        context.network.output_hook = self._drop

    def before_step(self, step: int) -> None:
        """New masks."""
        drawn = np.random.default_rng([self.seed, _STREAM, step]).integers(2**62)
        self.generator.manual_seed(int(drawn))

    def _drop(self, sent: Tensor, batch: int) -> Tensor:
        return dropped(sent, batch, self.share, self.generator)
