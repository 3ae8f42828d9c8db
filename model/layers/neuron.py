"""Neuron layers with float parameters, and the integers (`golden.network.nodes`) they export.

With batch norm (gamma, beta; mean mu and deviation sigma of the drive, in weight units) the
normalised current gamma (I - mu) / sigma + beta against the threshold theta is, times
sigma / |gamma|, the same as the integer drive I against

    threshold = round(theta sigma / |gamma|),   bias = round(beta sigma / |gamma| - mu)

where a negative gamma first flips the weights of its channel, and mu with them. Without batch norm
the scale s of the channel's weights takes this role: threshold = round(theta / s),
bias = round(beta / s). Rounding is floor(x + 0.5). Where a shortcut joins, sigma and mu are those
of the summed drive, and both paths share one scale. The statistics are those of the batch until
`frozen` is set, then the running ones, which the exported network contains.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikewright.model.architecture import Layer
from spikewright.model.layers import shortcut
from spikewright.model.layers.synapse import Synapse
from spikewright.model.ops import channels_last
from spikewright.model.ops.batch_statistics import moments
from spikewright.model.ops.scan import scan, scan_with_membranes
from spikewright.model.ops.scan_rule import ScanRule
from spikewright.model.ops.straight_through import clamp_ste, exact_dtype, round_ste
from spikewright.model.recipes.sections import SURROGATES, Neuron
from spikewright.model.runtime import distributed

_EPSILON = 1e-3
_SMALLEST_GAMMA = 1e-3
_SMALLEST_THETA = 1e-2
_MOMENTUM = 0.05


@dataclass(frozen=True)
class Integers:
    """The integers of a layer, held in float tensors that carry gradients.

    Attributes
    ----------
    weights
        (out, in) or (out, in, k, k).
    threshold, bias
        (out,), one for each channel.
    leak_mul
        (): the membrane loses floor(v leak_mul / 2^leak_shift) per step.
    shortcut
        The weights of the second path, where there is one: (out, in, 1, 1), or the gains (out,).
    """

    weights: Tensor
    threshold: Tensor
    bias: Tensor
    leak_mul: Tensor
    shortcut: Tensor | None = None


def _flipped(weights: Tensor, sign: Tensor) -> Tensor:
    """`weights` (out, ...) times the sign (out,) of their channel."""
    return weights * sign.reshape(-1, *[1] * (weights.ndim - 1))


class NeuronLayer(nn.Module):
    """Synapses and the parameters of their neurons: base of spiking layers and of ANN layers.

    Rows are images of a batch or, time step by time step, T batches of them; C is the number of
    output channels.

    Members
    -------
    layer : Layer, shapes and paths; neuron : Neuron, the recipe's table
    synapse : Synapse, the weights of the path
    shortcut : Synapse or Gain of a second path into the same neurons, or None
    theta : Parameter (), the trained threshold of the layer, before batch norm is folded
    beta : Parameter (C,), the bias; gamma : Parameter (C,), only with batch norm
    leak : Parameter () where the leak is learned, else buffer (): the fraction lost per step
    mean, var : buffers (C,), running statistics of the drive in unflipped weight units; only with
        batch norm
    momentum : float, the weight of a batch in the running statistics
    frozen : bool; True normalises by `mean` and `var` in training as well, and stops updating them
    """

    mean: Tensor
    var: Tensor
    leak: Tensor

    def __init__(self, layer: Layer, neuron: Neuron, generator: torch.Generator) -> None:
        super().__init__()
        self.layer, self.neuron, self.frozen = layer, neuron, False
        self.momentum = _MOMENTUM
        gain = 1.0 if neuron.batch_norm else 6**0.5
        self.synapse = Synapse(layer, gain, generator)
        self.shortcut = layer.shortcut and shortcut.second_path(layer.shortcut, gain, generator)
        channels = layer.shape[0]
        self.theta = nn.Parameter(torch.tensor(1.0))
        self.beta = nn.Parameter(torch.zeros(channels))
        if neuron.batch_norm:
            self.gamma = nn.Parameter(torch.ones(channels))
            self.register_buffer("mean", torch.zeros(channels))
            self.register_buffer("var", torch.ones(channels))
        if neuron.leak == "learned":
            self.leak = nn.Parameter(torch.tensor(0.125))
        else:
            self.register_buffer(
                "leak", torch.tensor(0.0 if neuron.leak == "none" else float(neuron.leak))
            )

    def statistics(self, drive: Tensor, sign: Tensor) -> tuple[Tensor, Tensor]:
        """The mean and variance (C,) that normalise `drive` (rows, *shape).

        In training they are those of the batch, over all processes, and the running statistics
        follow them; in eval mode, or `frozen`, they are the running ones. `sign` (C,) is -1 where
        the weights of a channel were flipped, else 1.
        """
        if not self.training or self.frozen:
            return self.mean * sign, self.var
        mean, var = moments(drive)
        if distributed.world_size() > 1:
            mean, var = distributed.sync_statistics(mean, var)
        with torch.no_grad():
            self.mean.lerp_((mean * sign).to(self.mean.dtype), self.momentum)
            self.var.lerp_(var.to(self.var.dtype), self.momentum)
        return mean.to(torch.float32), var.to(torch.float32)

    def deviation(self, var: Tensor) -> Tensor:
        """The standard deviation (C,) of a variance (C,), never 0."""
        return torch.sqrt(var + _EPSILON)

    def weights(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """Integer weights of the path and of the shortcut or None, and their common scale (C,)."""
        if self.shortcut is None:
            weights, scale = self.synapse.integers()
            return weights, None, scale
        return shortcut.integers(self.synapse, self.shortcut)

    @torch.no_grad()
    def rescale_statistics(self, before: Tensor) -> None:
        """Converts `mean` and `var` from units of the scale `before` (C,) to those of the weights.

        To be called after the weights changed, so that the normalised drive stays the same.
        """
        if self.neuron.batch_norm:
            ratio = before / self.weights()[2]
            self.mean.mul_(ratio)
            self.var.mul_(ratio.square())

    def deliver(
        self, weights: Tensor, second: Tensor | None, events: Tensor, skip: Tensor | None
    ) -> Tensor:
        """The drive (rows, *shape) of `events` and, through the shortcut, of `skip`.

        `weights` and `second` are the integer weights of the two paths, events (rows, *source).
        """
        drive = self.synapse.drive(events, weights)
        if self.shortcut is None:
            return drive
        assert second is not None
        assert skip is not None
        return drive + self.shortcut.drive(skip, second)

    def project(self) -> None:
        """Zeroes pruned weights and clamps the leak to 0..1; call it after every optimiser step."""
        self.synapse.apply_mask()
        if isinstance(self.shortcut, Synapse):
            self.shortcut.apply_mask()
        with torch.no_grad():
            self.leak.clamp_(0, 1)


class SpikingLayer(NeuronLayer):
    """A layer of LIF neurons with their synapses, trained in the integers that it exports.

    The forward pass: integer weights, drive (a convolution or matrix product over all time steps at
    once), thresholds and biases with batch norm folded in, and the scan over time
    (`model.ops.scan`), whose backward pass uses the recipe's surrogate gradient.

    Members, besides those of `NeuronLayer`
    ---------------------------------------
    timesteps : T; rule : ScanRule, the constants of the scan
    bias_limit : int, the largest magnitude of an integer bias
    dtype : torch.float32 where every intermediate integer stays below 2^24, else torch.float64
    """

    def __init__(
        self, layer: Layer, neuron: Neuron, timesteps: int, generator: torch.Generator
    ) -> None:
        super().__init__(layer, neuron, generator)
        self.timesteps = timesteps
        top = 2 ** (neuron.membrane_bits - 1)
        self.rule = ScanRule(
            timesteps, neuron.leak_shift, neuron.reset == "subtract", -top, top - 1,
            SURROGATES.index(neuron.surrogate),
        )  # fmt: skip
        bound = self.synapse.drive_bound + (self.shortcut.drive_bound if self.shortcut else 0)
        self.bias_limit = bound + 2 * top
        largest = max(bound + self.bias_limit + top, top << neuron.leak_shift)
        self.dtype = exact_dtype(largest)

    def integers(
        self, events: Tensor | None = None, skip: Tensor | None = None
    ) -> tuple[Integers, Tensor | None]:
        """The integers of the layer, and the drive (rows, *shape) of `events` if given.

        `events` and `skip` are (rows, *source) of the path and of the shortcut. Both results come
        from one call, since in training the thresholds depend on the statistics of the drive.
        """
        weights, second, scale = self.weights()
        sign = None
        if self.neuron.batch_norm:
            sign = torch.where(self.gamma.detach() < 0, -1.0, 1.0)
            weights = _flipped(weights, sign)
            second = None if second is None else _flipped(second, sign)
        weights = weights.to(self.dtype)
        second = None if second is None else second.to(self.dtype)
        drive = None if events is None else self.deliver(weights, second, events, skip)
        if sign is None:
            unit = scale / self.layer.unit
            return self._whole(weights, second, self._theta() / unit, self.beta / unit), drive
        if drive is None:
            mean, var = self.mean * sign, self.var
        else:
            mean, var = self.statistics(drive, sign)
        return self._whole(weights, second, *self.normalised(mean, var)), drive

    def normalised(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Threshold and bias (C,) before rounding, for statistics (C,) of the flipped drive."""
        ratio = self.deviation(var) / self.gamma.abs().clamp(min=_SMALLEST_GAMMA)
        return self._theta() * ratio, self.beta * ratio - mean

    @torch.no_grad()
    def saturate_thresholds(self) -> None:
        """Moves thresholds that are clamped to the membrane's range to the limit of that range.

        Scaling gamma and beta of a channel by one factor divides its threshold and leaves its bias.
        The integers stay the same, and follow when the weights get another scale.
        """
        sign = torch.where(self.gamma < 0, -1.0, 1.0)
        wanted, _ = self.normalised(self.mean * sign, self.var)
        beyond = (wanted / self.rule.highest).clamp(min=1)
        self.gamma.copy_(sign * self.gamma.abs().clamp(min=_SMALLEST_GAMMA) * beyond)
        self.beta.mul_(beyond)

    def _theta(self) -> Tensor:
        return self.theta.clamp(min=_SMALLEST_THETA)

    def _whole(
        self, weights: Tensor, second: Tensor | None, threshold: Tensor, bias: Tensor
    ) -> Integers:
        leak_mul = round_ste(clamp_ste(self.leak, 0, 1) * 2**self.neuron.leak_shift)
        return Integers(
            weights,
            clamp_ste(round_ste(threshold), 1, self.rule.highest).to(self.dtype),
            clamp_ste(round_ste(bias), -self.bias_limit, self.bias_limit).to(self.dtype),
            leak_mul.to(self.dtype),
            second,
        )

    def _scan_arguments(
        self, events: Tensor, batch: int, skip: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Drive (T or 1, batch, neurons), threshold and bias (neurons,), leak_mul ()."""
        integers, drive = self.integers(events, skip)
        assert drive is not None
        rows = channels_last.flat(drive)
        threshold, bias = (
            channels_last.per_neuron(values, self.layer.shape)
            for values in (integers.threshold, integers.bias)
        )
        return rows.reshape(-1, batch, rows.shape[1]), threshold, bias, integers.leak_mul

    def forward(self, events: Tensor, batch: int, skip: Tensor | None = None) -> Tensor:
        """Spikes 0/1, (T * batch, *shape), step by step.

        Parameters
        ----------
        events
            (T * batch, *source), or (batch, *source) of a frame that drives every step.
        skip
            The same of the shortcut, where the layer has one.
        """
        spikes = scan(*self._scan_arguments(events, batch, skip), self.rule)
        return channels_last.shaped(spikes.flatten(0, 1), self.layer.shape)

    def record(
        self, events: Tensor, batch: int, skip: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, but with membranes at the end of every step, and without gradients.

        Both results are (T * batch, *shape).
        """
        states = scan_with_membranes(*self._scan_arguments(events, batch, skip), self.rule)
        spikes, membranes = (
            channels_last.shaped(state.flatten(0, 1), self.layer.shape) for state in states
        )
        return spikes, membranes
