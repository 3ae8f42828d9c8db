"""Quantisation after training: the same float weights on fewer or more levels.

The scale of a channel's weights changes with their bits. Statistics of the drive are counted in
weight units, and thresholds and biases follow from them, so that all must move together: a
threshold that stayed would mean another potential. So would one that the width of the membranes
held down at the bits of training, and holds no more at fewer. (Without batch norm a layer has one
threshold for all channels, and what was held down there is let go.) What rounding adds to the drive
is not in the statistics: so they are measured again where images are given, without labels and
without a step of training.
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
    """A copy of `network` in eval mode, all of whose weights have so many bits; gains keep theirs.

    Finer weights make larger integers of the same potential, so that membranes get as many more
    bits as weights do; with coarser weights they stay.
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
    found = SpikingNetwork(changed).to(network.device)
    found.load_state_dict(source.state_dict())
    for old, new in zip(source.layers, found.layers, strict=True):
        new.rescale_statistics(old.weights()[2])
    return found.eval()


@torch.no_grad()
def recalibrate(network: SpikingNetwork, images: NDArray[np.uint8]) -> None:
    """Give batch norm the mean of the statistics of `images`, batch by batch; nothing else changes.

    Each layer sees the spikes of layers that are normalised by the same batch.
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
    """The score at every number of bits, all from the same trained weights.

    With `training_images`, statistics are measured again on 1,024 of them, evenly spread, wherever
    the bits are not those of the network.
    """
    scores = {}
    for count in bits:
        found = requantise(network, count)
        if training_images is not None and {*network.recipe.quantization.weight_bits} != {count}:
            recalibrate(found, np.asarray(evenly_spaced(training_images, SAMPLE), np.uint8))
        scores[count] = evaluate(found, images, labels)
    return scores
