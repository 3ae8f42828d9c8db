"""A spiking network's significant widths, and the stage method that hands them on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikewright.model.architecture import INPUT
from spikewright.model.compression.pca import Moments, narrowed, significant
from spikewright.model.data.batches import in_order, spread
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.methods.base import Context, Method
from spikewright.model.runtime.device import host

_IMAGES = 1024


@torch.no_grad()
def moments(network: SpikingNetwork, images: NDArray[np.uint8]) -> dict[str, Moments]:
    """Of each hidden layer: moments of the drive, averaged over all steps, reset excluded.

    A channel's drive is counted in units of its threshold, in which it meets its neurons.
    """
    was_training = network.training
    network.eval()
    found = {layer.layer.name: Moments(layer.layer.shape[0]) for layer in network.layers}
    for batch in in_order(images, network.coder, network.device):
        sent = {INPUT: network.rows(batch)}
        for layer in network.spiking_layers:
            name = layer.layer.name
            events, *skip = network.arriving(sent, layer.layer)
            integers, drive = layer.integers(events, *skip)
            assert drive is not None
            mean = drive.reshape(-1, len(batch), *drive.shape[1:]).mean(dim=0)
            unit = integers.threshold.reshape(-1, *[1] * (mean.ndim - 2))
            found[name].add(host(mean / unit))
            sent[name] = layer(events, len(batch), *skip)
    network.train(was_training)
    return found


def widths(network: SpikingNetwork, images: NDArray[np.uint8], share: float) -> dict[str, int]:
    """How many channels each hidden layer needs to keep `share` of the variance on `images`."""
    return {
        name: significant(part.variances(), share)
        for name, part in moments(network, images).items()
    }


class SignificantWidths(Method):
    """Gives the recipe of later stages the significant widths of the chosen epoch.

    Those stages start fresh: what is found is a size, not weights.
    """

    def __init__(self, share: float) -> None:
        self.share = share

    def begin(self, context: Context) -> None:
        """Choose the images: at most 1024, evenly spread over the training part."""
        assert isinstance(context.network, SpikingNetwork)
        self.network, self.recipe = context.network, context.recipe
        self.images = np.asarray(spread(context.images, _IMAGES), np.uint8)

    def changes(self) -> dict[str, Any]:
        """The layers, spelt with their new widths."""
        found = widths(self.network, self.images, self.share)
        names = [layer.name for layer in self.recipe.architecture()]
        return {"topology": "none", "layers": narrowed(self.recipe.words(), names, found)}
