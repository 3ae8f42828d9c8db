"""Freezing what a stage must not change: batch-norm statistics late, parameters throughout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from spikewright.model.methods.base import Context, Method
from spikewright.model.recipes.methods import Selector, register

if TYPE_CHECKING:
    from torch import nn

    from spikewright.model.layers.layered import LayeredNetwork
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage


@register
class FreezeStatistics(Method):
    """From the share `training.freeze` of all steps on, batch norm keeps its running statistics.

    From there the forward pass of training is that of the exported network. Every spiking stage has
    it. An ANN is not exported: it learns with the statistics of its batches to the end, and any of
    its epochs can be chosen.
    """

    name = "frozen statistics"
    order = 30

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """If it trains what may be exported."""
        return stage.kind == "snn"

    def begin(self, context: Context) -> None:
        """Compute the step."""
        self.network = context.network
        freeze = context.recipe.training.freeze
        self.settled = min(math.ceil(freeze * context.steps), context.steps - 1)

    def before_step(self, step: int) -> None:
        """Freeze, or not yet."""
        self.network.freeze(step >= self.settled)


@register
class TrainWeights(Method):
    """Only the weights of synapses learn: thresholds, leaks, biases and statistics stay.

    It is called after `FreezeStatistics`, whose choice it overrules.
    """

    name = "weights alone"
    order = 40
    selector = Selector("train", "weights", default="all")

    def begin(self, context: Context) -> None:
        """Take the other parameters out of training."""
        self.network = context.network
        for parameter in other_parameters(context.network):
            parameter.requires_grad_(False)

    def before_step(self, step: int) -> None:
        """Hold the statistics, which are part of thresholds and biases."""
        self.network.freeze()


def other_parameters(network: LayeredNetwork) -> list[nn.Parameter]:
    """All parameters that are no weights of synapses."""
    weights = {id(synapse.weight) for synapse in network.synapses()}
    return [parameter for parameter in network.parameters() if id(parameter) not in weights]
