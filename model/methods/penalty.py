"""Activity regularisation: fewer spikes for a little accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from spikewright.model.methods.base import Batch, Method
from spikewright.model.recipes.fields import choice, field, number
from spikewright.model.recipes.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage


@register
class SpikePenalty(Method):
    """Adds `weight` times the activity of the hidden layers to the loss.

    Parameters
    ----------
    mean
        "layer": the sum of the means of all layers, so that every layer counts the same, however
        wide. "neuron": the mean over all neurons, which the widest (first) layers dominate.
    """

    name = "activity penalty"
    order = 90
    training_keys = {  # noqa: RUF012 (declared once, never changed)
        "spike_penalty": field(number(0, 100), 0.0),
        "spike_mean": field(choice("layer", "neuron"), "layer", quiet=True),
    }
    records = True

    def __init__(self, weight: float, mean: str = "layer") -> None:
        self.weight, self.mean = weight, mean

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """Whether there is a penalty."""
        return recipe.training.spike_penalty > 0

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Self:
        """With the weight and the mean of [training]."""
        return cls(recipe.training.spike_penalty, recipe.training.spike_mean)

    def loss(self, batch: Batch) -> Tensor | None:
        """The term; None if there are no hidden layers."""
        shares = [1.0] * len(batch.sent)
        if self.mean == "neuron":
            neurons = [sent[0].numel() for sent in batch.sent]
            shares = [count / sum(neurons) for count in neurons]
        terms = [
            self.weight * share * sent.mean()
            for share, sent in zip(shares, batch.sent, strict=True)
        ]
        return sum(terms[1:], terms[0]) if terms else None
