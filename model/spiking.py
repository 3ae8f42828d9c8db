"""The whole network in torch: all time steps pass a layer's synapses as one batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from golden.trace import Trace
from model.architecture import INPUT, Layer
from model.neuron import ReadoutLayer, SpikingLayer
from model.recipe import DATA, Recipe
from model.synapse import Synapse


class SpikingNetwork(nn.Module):
    """Spiking layers, in a chain or with shortcuts, and a readout, as a recipe describes them.

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
        self._last_reader = {
            path.origin: layer.name for layer in (*hidden, last) for path in layer.paths
        }
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
        """The synapses of every layer, shortcuts too, in the order of `architecture.weighted`."""
        for layer in self.spiking_layers:
            yield layer.synapse
            if isinstance(layer.shortcut, Synapse):
                yield layer.shortcut
        yield self.readout.synapse

    def _arriving(self, sent: dict[str, Tensor], layer: Layer) -> list[Tensor]:
        """What enters a layer, path by path; events that no later layer reads are let go."""
        events = [sent[path.origin] for path in layer.paths]
        for origin in {path.origin for path in layer.paths}:
            if self._last_reader[origin] == layer.name:
                del sent[origin]
        return events

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
        batch, sent = len(inputs), {INPUT: self._rows(inputs)}
        for layer in self.spiking_layers:
            events, *skip = self._arriving(sent, layer.layer)
            sent[layer.layer.name] = fired = layer(events, batch, *skip)
            if spikes is not None:
                spikes.append(fired)
        membranes, unit = self.readout(*self._arriving(sent, self.readout.layer), batch)
        return membranes[-1], unit / self.timesteps

    @torch.no_grad()
    def trace(self, inputs: NDArray[np.generic]) -> Trace:
        """Every spike, every membrane, the logits for integers (batch, [T,] C, H, W); eval mode."""
        was_training, batch = self.training, len(inputs)
        self.eval()
        sent = {INPUT: self._rows(torch.from_numpy(np.asarray(inputs, np.float32)))}
        spikes: dict[str, NDArray[np.uint8]] = {}
        membranes: dict[str, NDArray[np.int64]] = {}
        for layer in self.spiking_layers:
            name = layer.layer.name
            events, *skip = self._arriving(sent, layer.layer)
            sent[name], states = layer.record(events, batch, *skip)
            spikes[name] = _by_image(sent[name], batch).astype(np.uint8)
            membranes[name] = _by_image(states, batch)
        states, _ = self.readout(*self._arriving(sent, self.readout.layer), batch)
        membranes["readout"] = _by_image(states.flatten(0, 1), batch)
        self.train(was_training)
        return Trace(spikes, membranes, membranes["readout"][:, -1].copy())


def _by_image(rows: Tensor, batch: int) -> NDArray[np.int64]:
    """(T * batch, ...) as int64 (batch, T, ...)."""
    steps = rows.reshape(-1, batch, *rows.shape[1:]).transpose(0, 1)
    return steps.numpy().astype(np.int64)
