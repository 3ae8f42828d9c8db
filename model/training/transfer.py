"""From an ANN's layers to spiking ones: thresholds, and what a spike of each layer is worth.

A spike of layer l stands for an activation a_l (its amplitude), and is sent when the membrane has
gained V_l (its threshold). Events stay 0 or 1: a_l moves into the weights that read them, before
they are quantised. The scale of a channel's weights then grows from s to s', and its statistics,
which are counted in weight units, go along:

    weight = weight a_(l-1),  mean = mean s / s',  var = var (s / s')^2,  theta = V_l

Of two paths into a layer each has the amplitude of its own source. The readout's weights are
multiplied, so that its logits keep their scale. The input is an activation already: its a is 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from spikewright.model.architecture import INPUT
from spikewright.model.compression.conversion import Loss, Spikes, choose
from spikewright.model.compression.percentiles import SAMPLE, thinned
from spikewright.model.data.batches import evenly_spaced, sequential_batches
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.runtime.device import to_numpy

_IMAGES = 512


@torch.no_grad()
def adopt(network: SpikingNetwork, spikes: Sequence[Spikes]) -> None:
    """Give `network`, which holds the state of an ANN, thresholds, amplitudes and biases."""
    worth = {INPUT: 1.0}
    for layer, found in zip(network.layers, spikes, strict=True):
        before = layer.weights()[2]
        modules = (layer.synapse, layer.shortcut)
        for path, module in zip(layer.layer.paths, modules, strict=False):
            assert module is not None
            module.weight.mul_(worth[path.origin])
        layer.rescale_statistics(before)
        layer.theta.fill_(found.threshold)
        layer.beta.add_(found.bias)
        if layer.neuron.leak == "learned":
            layer.leak.zero_()  # where it goes, training decides
        worth[layer.layer.name] = found.amplitude
    network.readout.synapse.weight.mul_(worth[network.readout.layer.origin])


def found(
    source: AnnNetwork,
    images: NDArray[np.uint8],
    rule: str,
    timesteps: int,
    scale: float = 1.0,
    loss: Loss = "squared",
) -> list[Spikes]:
    """What each layer of `source` becomes by `rule` of `conversion`, on training `images`.

    Thresholds are multiplied by `scale`, and amplitudes with them.
    """
    chosen = []
    for layer, inputs in zip(source.layers, drives(source, images), strict=True):
        top = layer.theta.detach().item() if source.clipped else float(inputs.max(initial=0.0))
        spikes = choose(rule, inputs, max(top, 1e-2), timesteps, loss)
        threshold, amplitude = max(scale * spikes.threshold, 1e-2), scale * spikes.amplitude
        chosen.append(Spikes(threshold, max(amplitude, 1e-2), scale * spikes.bias))
    return chosen


@torch.no_grad()
def drives(source: AnnNetwork, images: NDArray[np.uint8]) -> list[NDArray[np.float64]]:
    """What the activation of each layer sees on at most 512 of the images, evenly spread.

    Flat; of layers with many neurons a sample of values.
    """
    was_training = source.training
    source.eval()
    chosen = np.asarray(evenly_spaced(images, _IMAGES), np.uint8)
    batches = list(sequential_batches(chosen, source.coder, source.device))
    seen: list[list[NDArray[np.floating]]] = [[] for _ in source.layers]
    for batch in batches:
        sent = {INPUT: source.rows(batch)}
        for kept, layer in zip(seen, source.ann_layers, strict=True):
            drive = layer.drive(*source.take_inputs(sent, layer.layer))
            kept.append(thinned(to_numpy(drive), SAMPLE // len(batches)))
            sent[layer.layer.name] = layer.activation(drive, layer)
    source.train(was_training)
    return [np.concatenate(kept).astype(np.float64) for kept in seen]
