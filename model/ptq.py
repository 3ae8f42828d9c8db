"""Quantisation after training: the same float weights on fewer or more levels.

The scale of a channel's weights changes with their bits. Statistics of the drive are counted in
weight units, and thresholds and biases follow from them, so that all must move together: a
threshold that stayed would mean another potential.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from golden.nodes import MAX_MEMBRANE_BITS
from model.evaluate import Score, evaluate
from model.spiking import SpikingNetwork
from model.tables import Quantization

BITS = (8, 7, 6, 5, 4, 3, 2)


@torch.no_grad()
def requantised(network: SpikingNetwork, bits: int) -> SpikingNetwork:
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
    found = SpikingNetwork(changed).to(network.device)
    found.load_state_dict(network.state_dict())
    for old, new in zip(network.layers, found.layers, strict=True):
        if new.neuron.batch_norm:
            ratio = old.weights()[2] / new.weights()[2]
            new.mean.mul_(ratio)
            new.var.mul_(ratio**2)
    return found.eval()


def sweep(
    network: SpikingNetwork,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    bits: Sequence[int] = BITS,
) -> dict[int, Score]:
    """The score at every number of bits, all from the same trained weights."""
    return {b: evaluate(requantised(network, b), images, labels) for b in bits}
