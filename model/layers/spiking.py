"""The spiking network in torch: all time steps pass a layer's synapses as one batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.network.trace import Trace
from spikewright.model.architecture import INPUT, Layer
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.neuron import SpikingLayer
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.runtime.device import to_numpy


class SpikingNetwork(LayeredNetwork):
    """Layers of LIF neurons and a readout, as a recipe describes them.

    In eval mode, and in training once frozen, it computes with the integers that `model.export`
    writes: spikes, membranes and logits equal those of `golden` exactly. Members: see
    `LayeredNetwork`.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, recipe.timesteps)

    def hidden_layer(self, layer: Layer, generator: torch.Generator) -> SpikingLayer:
        """A layer of LIF neurons."""
        return SpikingLayer(layer, self.recipe.neuron, self.timesteps, generator)

    @property
    def spiking_layers(self) -> list[SpikingLayer]:
        """The hidden layers, in order."""
        return list(self.hidden)  # type: ignore[arg-type] (torch forgets the class)

    @torch.no_grad()
    def trace(self, inputs: NDArray[np.generic]) -> Trace:
        """Every spike, every membrane and the logits in eval mode, in the form of golden's trace.

        `inputs` are integers (batch, [T,] C, H, W).
        """
        was_training, batch = self.training, len(inputs)
        self.eval()
        sent = {INPUT: self.rows(torch.from_numpy(np.asarray(inputs, np.float32)).to(self.device))}
        spikes: dict[str, NDArray[np.uint8]] = {}
        membranes: dict[str, NDArray[np.int64]] = {}
        for layer in self.spiking_layers:
            name = layer.layer.name
            events, *skip = self.take_inputs(sent, layer.layer)
            sent[name], states = layer.record(events, batch, *skip)
            spikes[name] = _by_image(sent[name], batch).astype(np.uint8)
            membranes[name] = _by_image(states, batch)
        states, _ = self.readout(*self.take_inputs(sent, self.readout.layer), batch)
        membranes["readout"] = _by_image(states.flatten(0, 1), batch)
        self.train(was_training)
        return Trace(spikes, membranes, membranes["readout"][:, -1].copy())


def _by_image(rows: Tensor, batch: int) -> NDArray[np.int64]:
    """(T * batch, ...) as int64 (batch, T, ...)."""
    steps = rows.reshape(-1, batch, *rows.shape[1:]).transpose(0, 1)
    return to_numpy(steps).astype(np.int64)
