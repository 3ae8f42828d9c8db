"""The base of spiking networks and ANNs: layers in a chain or with shortcuts, and a readout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from spikewright.model.architecture import INPUT, Layer
from spikewright.model.layers.neuron import NeuronLayer
from spikewright.model.layers.readout import ReadoutLayer
from spikewright.model.layers.shortcut import Gain
from spikewright.model.layers.synapse import Synapse
from spikewright.model.recipes.recipe import Recipe


class LayeredNetwork(nn.Module):
    """Hidden layers and a readout, as a recipe describes them.

    Spiking networks and ANNs have parameters and buffers of the same names, so that the weights of
    one load into the other. A subclass defines the hidden layers.

    Members
    -------
    recipe : Recipe; timesteps : T; device : where the parameters are
    hidden : ModuleList of NeuronLayer, in order; readout : ReadoutLayer
    coder : Coder, which turns images into inputs of the network
    input_bits, coding : of the input, as in `golden.network.nodes.Input`
    output_hook : called in training as hook(output (T * batch, *shape), batch) on what each hidden
        layer sends; the next layer gets what it returns. None: no hook
    """

    measure = "spike_rate"
    """The name of a hidden layer's mean output in a history."""

    def __init__(self, recipe: Recipe, timesteps: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.timesteps = timesteps
        _, self.input_bits, self.coding = recipe.frame()
        self.coder = recipe.coder()
        self.output_hook: Callable[[Tensor, int], Tensor] | None = None
        generator = torch.Generator().manual_seed(recipe.training.seed)
        *hidden, last = recipe.architecture()
        self._last_reader = {
            path.origin: layer.name for layer in (*hidden, last) for path in layer.paths
        }
        self.hidden = nn.ModuleList(self.hidden_layer(layer, generator) for layer in hidden)
        self.readout = self.readout_layer(last, generator)
        for synapse in self.synapses():
            synapse.keep_nonzero = recipe.pruning.structure == "bank" or recipe.pruning.nonzero

    def hidden_layer(self, layer: Layer, generator: torch.Generator) -> NeuronLayer:
        """A new hidden layer, its weights drawn from `generator`."""
        raise NotImplementedError

    def readout_layer(self, layer: Layer, generator: torch.Generator) -> ReadoutLayer:
        """A new readout, its weights drawn from `generator`."""
        return ReadoutLayer(layer, self.timesteps, generator)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.readout.beta.device

    @property
    def layers(self) -> list[NeuronLayer]:
        """The hidden layers, in order."""
        return list(self.hidden)  # type: ignore[arg-type] (torch forgets the class)

    def synapses(self) -> Iterator[Synapse]:
        """The synapses of all layers and projections, in the order of `architecture.weighted`."""
        for layer in self.layers:
            yield layer.synapse
            if isinstance(layer.shortcut, Synapse):
                yield layer.shortcut
        yield self.readout.synapse

    def take_inputs(self, sent: dict[str, Tensor], layer: Layer) -> list[Tensor]:
        """The events that enter a layer, one tensor (rows, *source) for each of its paths.

        `sent` has the output of each layer by name; outputs that no later layer reads are removed.
        """
        events = [sent[path.origin] for path in layer.paths]
        for origin in {path.origin for path in layer.paths}:
            if self._last_reader[origin] == layer.name:
                del sent[origin]
        return events

    def freeze(self, frozen: bool = True) -> None:
        """Makes all layers normalise by running statistics (True), or by those of each batch."""
        for layer in self.layers:
            layer.frozen = frozen

    def project(self) -> None:
        """Zeroes pruned weights and clamps leaks to 0..1; call it after every optimiser step."""
        for layer in (*self.layers, self.readout):
            layer.project()
        if self.recipe.pruning.structure == "channel":
            for first, second in pairwise(self.layers):
                if isinstance(second.shortcut, Gain):  # the block's first layer reads its channels
                    second.shortcut.follow(first.synapse.mask)

    def rows(self, inputs: Tensor) -> Tensor:
        """Frames (batch, C, H, W) unchanged, events (batch, T, C, H, W) as (T * batch, C, H, W)."""
        return inputs if self.coding == "direct" else inputs.transpose(0, 1).flatten(0, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """The integer logits (batch, classes) for inputs (batch, [T,] C, H, W)."""
        return self.logits_and_scale(inputs, None)[0]

    def logits_and_scale(
        self, inputs: Tensor, record: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Integer logits (batch, classes), and the scale () by which a loss multiplies them.

        Parameters
        ----------
        inputs
            (batch, [T,] C, H, W), integers in floats.
        record
            A list that gets the output (T * batch, *shape) of each hidden layer.
        """
        batch, sent = len(inputs), {INPUT: self.rows(inputs)}
        for layer in self.layers:
            events, *skip = self.take_inputs(sent, layer.layer)
            output = layer(events, batch, *skip)
            if record is not None:
                record.append(output)
            if self.training and self.output_hook is not None:
                output = self.output_hook(output, batch)
            sent[layer.layer.name] = output
        membranes, unit = self.readout(*self.take_inputs(sent, self.readout.layer), batch)
        return membranes[-1], unit / self.timesteps

    def use_float_weights(self) -> None:
        """Makes all synapses compute with float weights."""
        for synapse in self.synapses():
            synapse.rounded = False

    @torch.no_grad()
    def density(self) -> float:
        """The share of weights kept: nonzero integers; of float weights, those that masks keep."""
        kept = [
            int((whole if synapse.rounded else synapse.mask).count_nonzero())
            for synapse, whole in self._whole_weights()
        ]
        return sum(kept) / sum(synapse.mask.numel() for synapse in self.synapses())

    def _whole_weights(self) -> Iterator[tuple[Synapse, Tensor]]:
        """Every synapse with its integer weights, in the order of `synapses`."""
        for layer in self.layers:
            weights, second, _ = layer.weights()
            yield layer.synapse, weights
            if isinstance(layer.shortcut, Synapse) and second is not None:
                yield layer.shortcut, second
        yield self.readout.synapse, self.readout.synapse.integers()[0]
