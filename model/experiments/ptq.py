"""Post-training quantisation: the same float weights on fewer or more levels.

The scale of a channel's weights changes with their bits. Statistics of the drive are in weight
units, and thresholds and biases are computed from them, so all of them must be rescaled together. A
threshold that was clamped to the membrane's range at the bits of training, and is not at fewer, is
set to the limit first. (Without batch norm a layer has one threshold for all channels, and such a
clamp is lifted.) Rounding errors change the drive: where images are given, the statistics are
recalibrated on them, without labels and without training.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from spikewright.golden.network.nodes import MAX_MEMBRANE_BITS
from spikewright.model.data.batches import evenly_spaced, sequential_batches
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.recipes.sections import Quantization
from spikewright.model.training.evaluate import Score, evaluate

BITS = (8, 7, 6, 5, 4, 3, 2)
SAMPLE = 1024


@torch.no_grad()
def requantise(network: SpikingNetwork, bits: int) -> SpikingNetwork:
    """A copy of `network` in eval mode whose weights have this many bits; gains keep theirs.

    Finer weights make larger integers of the same potential, so that membranes get as many bits
    more as weights do; with coarser weights membranes keep theirs.
    """
    recipe = network.recipe
    more = max(0, bits - min(recipe.quantization.weight_bits))
    neuron = dataclasses.replace(
        recipe.neuron, membrane_bits=min(recipe.neuron.membrane_bits + more, MAX_MEMBRANE_BITS)
    )
    changed = dataclasses.replace(recipe, quantization=Quantization((bits,)), neuron=neuron)
    source = copy.deepcopy(network)
    for layer in source.spiking_layers:
        if layer.neuron.batch_norm:
            layer.saturate_thresholds()
    quantised = SpikingNetwork(changed).to(network.device)
    quantised.load_state_dict(source.state_dict())
    for old, new in zip(source.layers, quantised.layers, strict=True):
        new.rescale_statistics(old.weights()[2])
    return quantised.eval()


@torch.no_grad()
def recalibrate(network: SpikingNetwork, images: NDArray[np.uint8]) -> None:
    """Recomputes batch norm's running statistics as their means over the batches of `images`.

    Nothing else changes. Each layer gets spikes of layers that are normalised by the same batch.
    """
    network.train()
    network.freeze(False)
    for count, batch in enumerate(
        sequential_batches(images, network.coder, network.device), start=1
    ):
        for layer in network.layers:
            layer.momentum = 1 / count
        network(batch)
    network.eval()


def sweep_bits(
    network: SpikingNetwork,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    bits: Sequence[int] = BITS,
    training_images: NDArray[np.uint8] | None = None,
) -> dict[int, Score]:
    """The score at every number of weight bits, from the same trained weights.

    With `training_images`, batch norm is recalibrated on 1,024 of them, evenly spaced, where the
    bits are not those of the network.
    """
    scores = {}
    for count in bits:
        quantised = requantise(network, count)
        if training_images is not None and {*network.recipe.quantization.weight_bits} != {count}:
            recalibrate(quantised, np.asarray(evenly_spaced(training_images, SAMPLE), np.uint8))
        scores[count] = evaluate(quantised, images, labels)
    return scores
