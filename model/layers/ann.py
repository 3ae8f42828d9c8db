"""ANN layers: activations instead of spikes, float or quantised weights.

Such a network is the dense teacher of a later stage, or the network that a spiking one is converted
from. Its parameters and buffers have the names and units of the spiking network: drives are in
weight units (the scale of a channel's weights is 1), inputs are the same integers. Event recordings
enter as the mean of all their steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from spikewright.model.architecture import Layer
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.neuron import NeuronLayer
from spikewright.model.layers.readout import ReadoutLayer
from spikewright.model.ops.clipped_relu import INITIAL, clipped_relu
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.sections import Neuron

Activation = Callable[[Tensor, NeuronLayer], Tensor]


def relu(drive: Tensor, layer: NeuronLayer) -> Tensor:
    """max(0, drive)."""
    return functional.relu(drive)


def clip(drive: Tensor, layer: NeuronLayer) -> Tensor:
    """min(max(0, drive), theta) with the trained ceiling theta of the layer."""
    return clipped_relu(drive, layer.theta)


ACTIVATIONS: dict[str, Activation] = {"relu": relu, "clip": clip}
"""The values of a recipe's `activation`: functions of the normalised drive and the layer."""


class AnnLayer(NeuronLayer):
    """Synapses, batch norm if the recipe has it, and an activation.

    Members are those of `NeuronLayer`. A spiking network starts from `theta` and `leak`; only the
    activation "clip" trains `theta`, nothing trains `leak`.
    """

    def __init__(
        self, layer: Layer, neuron: Neuron, activation: str, generator: torch.Generator
    ) -> None:
        super().__init__(layer, neuron, generator)
        self.activation = ACTIVATIONS[activation]
        if activation == "clip":
            nn.init.constant_(self.theta, INITIAL)

    def drive(self, events: Tensor, skip: Tensor | None = None) -> Tensor:
        """The normalised drive (rows, *shape): gamma (I - mean) / deviation + beta, or I + beta."""
        weights, second, scale = self.weights()
        drive = self.deliver(weights, second, events, skip)
        each = (-1, *[1] * (drive.ndim - 2))
        if not self.neuron.batch_norm:
            unit = scale / self.layer.unit
            return drive * unit.reshape(each) + self.beta.reshape(each)
        mean, var = self.statistics(drive, torch.ones_like(self.mean))
        gain = self.gamma / self.deviation(var)
        return (drive - mean.reshape(each)) * gain.reshape(each) + self.beta.reshape(each)

    def forward(self, events: Tensor, batch: int, skip: Tensor | None = None) -> Tensor:
        """Activations (batch, *shape) of `events` and, of the shortcut, `skip` (batch, *source)."""
        return self.activation(self.drive(events, skip), self)


class AnnReadout(ReadoutLayer):
    """A readout of one frame, whose bias is not rounded."""

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """As `ReadoutLayer.integers`, with a float bias."""
        weights, scale = self.synapse.integers()
        unit = scale / self.layer.unit
        return weights, self.beta / unit, unit


class AnnNetwork(LayeredNetwork):
    """Layers of `AnnLayer` and a readout, as a recipe describes them.

    Members, besides those of `LayeredNetwork`: clipped : bool, whether activations are clipped at
    each layer's `theta`.

    Parameters
    ----------
    activation
        One of `ACTIVATIONS`.
    """

    measure = "mean_activation"

    def __init__(self, recipe: Recipe, activation: str = "relu") -> None:
        self.clipped = activation == "clip"
        self._activation = activation
        super().__init__(recipe, 1)
        if self.coder.kind == "poisson":
            self.coder = dataclasses.replace(self.coder, kind="rates")

    def hidden_layer(self, layer: Layer, generator: torch.Generator) -> AnnLayer:
        """A layer with the network's activation."""
        return AnnLayer(layer, self.recipe.neuron, self._activation, generator)

    def readout_layer(self, layer: Layer, generator: torch.Generator) -> AnnReadout:
        """The readout of one frame."""
        return AnnReadout(layer, 1, generator)

    @property
    def ann_layers(self) -> list[AnnLayer]:
        """The hidden layers, in order."""
        return list(self.hidden)  # type: ignore[arg-type] (torch forgets the class)

    def rows(self, inputs: Tensor) -> Tensor:
        """Frames (batch, C, H, W) unchanged, recordings (batch, T, C, H, W) averaged over T."""
        return inputs.mean(dim=1) if inputs.ndim > len(self.recipe.frame()[0]) + 1 else inputs
