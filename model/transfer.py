"""From an ANN's layers to spiking ones: thresholds, and what a spike of each layer is worth.

A spike of layer l stands for an activation a_l (its amplitude), and is sent when the membrane has
gained V_l (its threshold). Events stay 0 or 1: a_l moves into the weights of the next layer. There

    with batch norm     mean = mean / a_(l-1),  var = var / a_(l-1)^2    theta = V_l
    without             weight = weight a_(l-1)                          theta = V_l

since the drive of the spiking layer is that of the ANN divided by the amplitude of its input, and
whole weights do not see a factor that all weights of a channel share. The readout's weights are
multiplied, so that its logits keep their scale. The input is an activation already: a_0 = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.ann import AnnNetwork
from model.batches import in_order
from model.spiking import SpikingNetwork
from model.stages import Stage

PERCENTILE = 99.7
"""Of the positive drives of a layer."""

_IMAGES = 512


@torch.no_grad()
def adopt(
    network: SpikingNetwork, thresholds: Sequence[float], amplitudes: Sequence[float]
) -> None:
    """Give `network`, which holds the state of an ANN, thresholds V_l and amplitudes a_l."""
    worth = 1.0
    for layer, threshold, amplitude in zip(network.layers, thresholds, amplitudes, strict=True):
        if layer.neuron.batch_norm:
            layer.mean.div_(worth)
            layer.var.div_(worth**2)
        else:
            layer.synapse.weight.mul_(worth)
        layer.theta.fill_(threshold)
        if layer.neuron.leak == "learned":
            layer.leak.zero_()  # where it goes, training decides
        worth = amplitude
    network.readout.synapse.weight.mul_(worth)


def by_percentile(
    network: SpikingNetwork, source: AnnNetwork, stage: Stage, images: NDArray[np.uint8]
) -> None:
    """Thresholds at the 99.7 percentile of each layer's positive drive times `threshold_scale`.

    Amplitudes are the same: what lies above a threshold is clipped at one spike per step.
    """
    thresholds = [
        max(stage.threshold_scale * float(np.percentile(drive[drive > 0], PERCENTILE)), 1e-2)
        if (drive > 0).any()
        else 1.0
        for drive in drives(source, images)
    ]
    adopt(network, thresholds, thresholds)


@torch.no_grad()
def drives(source: AnnNetwork, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """What the activation of each layer sees on at most 512 of the images, evenly spread, flat."""
    was_training = source.training
    source.eval()
    count = min(_IMAGES, len(images))
    found: list[list[Tensor]] = [[] for _ in source.layers]
    for batch in in_order(images[np.arange(count) * len(images) // max(count, 1)]):
        events = source.rows(batch)
        for kept, layer in zip(found, source.ann_layers, strict=True):
            drive = layer.drive(events)
            kept.append(drive.flatten())
            events = layer.activation(drive, layer)
    source.train(was_training)
    return [torch.cat(kept).numpy() for kept in found]
