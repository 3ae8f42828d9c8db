"""The output layer of a network: integrators whose last membranes are the logits."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from spikewright.model.architecture import Layer
from spikewright.model.layers.synapse import Synapse
from spikewright.model.ops.straight_through import clamp_ste, exact_dtype, round_ste


def running_sum(steps: Tensor) -> Tensor:
    """The cumulative sum (steps, ...) over steps; deterministic on a GPU, where cumsum is not."""
    if steps.device.type == "cpu":
        return torch.cumsum(steps, dim=0)
    return torch.stack(list(itertools.accumulate(steps.unbind())))


class ReadoutLayer(nn.Module):
    """The output layer: integrators without leak or threshold; their last membranes are the logits.

    Members
    -------
    layer : Layer; timesteps : T
    synapse : Synapse, whose weights share one scale
    beta : Parameter (classes,), the bias, added in every step
    bias_limit : int, the largest magnitude of an integer bias
    dtype : torch.float32 where every intermediate integer stays below 2^24, else torch.float64
    """

    def __init__(self, layer: Layer, timesteps: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer, self.timesteps = layer, timesteps
        self.synapse = Synapse(layer, 1.0, generator)
        self.beta = nn.Parameter(torch.zeros(layer.shape[0]))
        self.bias_limit = self.synapse.drive_bound
        largest = timesteps * (self.synapse.drive_bound + self.bias_limit)
        self.dtype = exact_dtype(largest)

    def integers(self) -> tuple[Tensor, Tensor, Tensor]:
        """Integer weights (classes, in) and bias (classes,), and the scale () of the logits."""
        weights, scale = self.synapse.integers()
        unit = scale / self.layer.unit
        bias = clamp_ste(round_ste(self.beta / unit), -self.bias_limit, self.bias_limit)
        return weights.to(self.dtype), bias.to(self.dtype), unit

    def forward(self, events: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Integer membranes (T, batch, classes), of which the last are the logits, and their scale.

        `events` are (T * batch, *source), or (batch, *source) of a frame that drives every step.
        """
        weights, bias, unit = self.integers()
        drive = self.synapse.drive(events, weights).reshape(-1, batch, *self.layer.shape)
        drive = drive.expand(self.timesteps, *drive.shape[1:])
        return running_sum(drive + bias), unit

    def project(self) -> None:
        """As `NeuronLayer.project`."""
        self.synapse.apply_mask()
