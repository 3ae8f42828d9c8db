"""The whole network in torch: all time steps pass a layer's synapses as one batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from golden.trace import Trace
from model.neuron import ReadoutLayer, SpikingLayer
from model.recipe import DATA, Recipe
from model.synapse import Synapse


class SpikingNetwork(nn.Module):
    """A chain of spiking layers and a readout, as a recipe describes it.

    In eval mode, and in training once frozen, it computes with the integers that `model.export`
    writes, so that spikes, membranes and logits equal those of `golden` exactly.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.timesteps = recipe.timesteps
        _, self.input_bits, self.coding = DATA[recipe.data]
        generator = torch.Generator().manual_seed(recipe.training.seed)
        *hidden, last = recipe.architecture()
        self.hidden = nn.ModuleList(
            SpikingLayer(layer, recipe.neuron, recipe.timesteps, generator) for layer in hidden
        )
        self.readout = ReadoutLayer(last, recipe.timesteps, generator)
        for synapse in self.synapses():
            synapse.whole = recipe.pruning.structure == "bank"

    @property
    def spiking_layers(self) -> list[SpikingLayer]:
        """The hidden layers, in order."""
        return list(self.hidden)  # type: ignore[arg-type] (torch forgets the class)

    def synapses(self) -> Iterator[Synapse]:
        """The synapses of every layer, in order."""
        for layer in self.spiking_layers:
            yield layer.synapse
        yield self.readout.synapse

    def freeze(self, frozen: bool = True) -> None:
        """Use running statistics in training as well (True), or those of each batch (False)."""
        for layer in self.spiking_layers:
            layer.frozen = frozen

    def project(self) -> None:
        """Zero pruned weights and hold leaks in 0..1; to be called after every optimiser step."""
        for layer in (*self.spiking_layers, self.readout):
            layer.project()

    def _rows(self, inputs: Tensor) -> Tensor:
        """Frames (batch, C, H, W) as they are, events (batch, T, ...) as (T * batch, ...)."""
        return inputs if self.coding == "direct" else inputs.transpose(0, 1).flatten(0, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits, whole numbers, (batch, classes), for inputs (batch, [T,] C, H, W)."""
        return self.scaled(inputs, None)[0]

    def scaled(self, inputs: Tensor, spikes: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Logits as whole numbers, and the factor that makes them fit for a loss.

        Each layer's spikes (T * batch, *shape) are appended to `spikes` where one is given.
        """
        batch, events = len(inputs), self._rows(inputs)
        for layer in self.spiking_layers:
            events = layer(events, batch)
            if spikes is not None:
                spikes.append(events)
        membranes, unit = self.readout(events, batch)
        return membranes[-1], unit / self.timesteps

    @torch.no_grad()
    def trace(self, inputs: NDArray[np.generic]) -> Trace:
        """Every spike, every membrane, the logits for integers (batch, [T,] C, H, W); eval mode."""
        was_training, batch = self.training, len(inputs)
        self.eval()
        events = self._rows(torch.from_numpy(np.asarray(inputs, np.float32)))
        spikes: dict[str, NDArray[np.uint8]] = {}
        membranes: dict[str, NDArray[np.int64]] = {}
        for layer in self.spiking_layers:
            events, states = layer.record(events, batch)
            spikes[layer.layer.name] = _by_image(events, batch).astype(np.uint8)
            membranes[layer.layer.name] = _by_image(states, batch)
        states, _ = self.readout(events, batch)
        membranes["readout"] = _by_image(states.flatten(0, 1), batch)
        self.train(was_training)
        return Trace(spikes, membranes, membranes["readout"][:, -1].copy())


def _by_image(rows: Tensor, batch: int) -> NDArray[np.int64]:
    """(T * batch, ...) as int64 (batch, T, ...)."""
    steps = rows.reshape(-1, batch, *rows.shape[1:]).transpose(0, 1)
    return steps.numpy().astype(np.int64)
