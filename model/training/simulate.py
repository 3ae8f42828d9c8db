"""A converted network in floating point, step by step: what conversion alone can reach.

Neither weights nor thresholds are rounded and no membrane is clamped. `model.layers.spiking`
computes the same network in the integers that are exported; the difference between the two is
quantisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.network.labels import check_labels
from spikewright.model.architecture import INPUT
from spikewright.model.compression.conversion import Spikes
from spikewright.model.data.batches import sequential_batches
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.runtime.device import to_numpy


@dataclass(frozen=True)
class Simulated:
    """`accuracy` 0..1, and spikes per neuron per step of each layer."""

    accuracy: float
    spike_rate: dict[str, float]


def fire(drive: Tensor, spikes: Spikes) -> Tensor:
    """What neurons send, (timesteps, ...) of 0 or the amplitude, for their drive at each step.

    >>> fire(torch.tensor([0.6, 0.6, 0.6]), Spikes(1.0, 2.0)).tolist()
    [0.0, 2.0, 0.0]
    """
    membrane, sent = torch.zeros_like(drive[0]), torch.empty_like(drive)
    for step, input in enumerate(drive):
        membrane = membrane + input + spikes.bias
        fired = (membrane >= spikes.threshold).to(drive.dtype)
        membrane = membrane - spikes.threshold * fired
        sent[step] = spikes.amplitude * fired
    return sent


@torch.no_grad()
def logits(
    source: AnnNetwork, spikes: Sequence[Spikes], images: Tensor, timesteps: int
) -> tuple[Tensor, list[float]]:
    """Mean logits (batch, classes) of `source` with spiking neurons, and each spike rate."""
    batch = len(images)
    frames = source.rows(images)
    sent = {INPUT: frames.expand(timesteps, *frames.shape).flatten(0, 1)}
    rates: list[float] = []
    for layer, rule in zip(source.ann_layers, spikes, strict=True):
        drive = layer.drive(*source.take_inputs(sent, layer.layer))
        output = fire(drive.unflatten(0, (timesteps, batch)), rule)
        rates.append(float(output.count_nonzero()) / output.numel())
        sent[layer.layer.name] = output.flatten(0, 1)
    (last,) = source.take_inputs(sent, source.readout.layer)
    membranes, unit = source.readout(last.unflatten(0, (timesteps, batch)).mean(dim=0), batch)
    return membranes[-1] * unit, rates


def simulate(
    source: AnnNetwork, spikes: Sequence[Spikes], images: NDArray[np.uint8],
    labels: NDArray[np.int64], timesteps: int,
) -> Simulated:  # fmt: skip
    """The score of `source` with spiking neurons on `images` (N, C, H, W).

    Raises
    ------
    BadInput
        If the labels are not one class for each image.
    """
    labels = check_labels(labels, len(images), len(source.readout.beta))
    was_training = source.training
    source.eval()
    names = [layer.layer.name for layer in source.layers]
    right, start, totals = 0, 0, np.zeros(len(names))
    for batch in sequential_batches(images, source.coder, source.device):
        found, rates = logits(source, spikes, batch, timesteps)
        right += int((to_numpy(found).argmax(axis=1) == labels[start : start + len(batch)]).sum())
        start += len(batch)
        totals += np.array(rates) * len(batch)
    source.train(was_training)
    count = max(1, len(images))
    return Simulated(right / count, dict(zip(names, (totals / count).tolist(), strict=True)))
