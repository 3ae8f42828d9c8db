"""Accuracy, loss and spike rates of a network in eval mode, as it is exported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from spikewright.golden.network.labels import check_labels
from spikewright.model.data.batches import sequential_batches
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.runtime.device import to_numpy


@dataclass(frozen=True)
class Score:
    """`accuracy` 0..1, mean `loss`, and the mean of what each hidden layer sends.

    Of a spiking network that is its spikes per neuron and step.
    """

    accuracy: float
    loss: float
    sent: dict[str, float]


@torch.no_grad()
def evaluate(
    network: LayeredNetwork, images: NDArray[np.uint8], labels: NDArray[np.int64],
    collected: list[NDArray[np.floating]] | None = None,
) -> Score:  # fmt: skip
    """The score on `images` (N, [T,] C, H, W); ties between logits go to the lowest class.

    The logits (n, classes) of each batch are appended to `collected` where one is given.

    Raises
    ------
    BadInput
        If the labels are not one class for each image.
    """
    labels = check_labels(labels, len(images), len(network.readout.beta))
    was_training = network.training
    network.eval()
    right, loss, start = 0, 0.0, 0
    names = [layer.layer.name for layer in network.layers]
    totals = dict.fromkeys(names, 0.0)
    for batch in sequential_batches(images, network.coder, network.device):
        sent: list[Tensor] = []
        logits, factor = network.logits_and_scale(batch, sent)
        if collected is not None:
            collected.append(to_numpy(logits))
        truth = torch.from_numpy(labels[start : start + len(batch)]).to(network.device)
        start += len(batch)
        right += int((to_numpy(logits).argmax(axis=1) == to_numpy(truth)).sum())
        loss += float(functional.cross_entropy(logits * factor, truth, reduction="sum"))
        for name, fired in zip(names, sent, strict=True):
            totals[name] += float(fired.mean()) * len(batch)
    network.train(was_training)
    count = max(1, len(images))
    return Score(
        right / count, loss / count, {name: total / count for name, total in totals.items()}
    )
