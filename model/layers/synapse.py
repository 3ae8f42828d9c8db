"""Synapses: quantised weights (Brevitas), and the drive of the events that pass them.

`integers()` returns integer weights in float tensors, and their float scale. Each channel has its
own scale, which thresholds absorb; the readout has one for the whole layer. Where two paths join,
`model.layers.shortcut` gives them a common scale.
"""

from __future__ import annotations

import math

import brevitas.nn as qnn
import torch
from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat
from torch import Tensor, nn
from torch.nn import functional

from spikewright.model.architecture import Layer, Path
from spikewright.model.ops import weight_quantiser
from spikewright.model.ops.channels_last import channels_last
from spikewright.model.ops.convolution import conv2d
from spikewright.model.ops.straight_through import round_ste

_EMPTY_SCALE = 1e-8  # a channel without weights has a scale of nearly zero


def pooled(path: Path, events: Tensor) -> Tensor:
    """`events` (rows, *source) after the pool of the path, (rows, *path.pooled)."""
    if path.pool == 1:
        return events
    if path.maximum:
        return functional.max_pool2d(events, path.pool)
    return functional.avg_pool2d(events, path.pool, divisor_override=1)


class Synapse(nn.Module):
    """Pool and weights of one path into a layer.

    Members
    -------
    layer : Path, its shapes and weight bits
    quantised : Brevitas' QuantConv2d or QuantLinear, without bias
    weight : Parameter of `quantised`, float, `layer.weight_shape`: (out, in, k, k) or (out, in)
    mask : buffer, uint8, the same shape; 0 where a weight is pruned
    keep_nonzero : bool; True: once pruned, no kept weight is rounded to 0, so that rows keep their
        number of weights
    rounded : bool; False computes with float weights, which cannot be exported
    """

    mask: Tensor

    def __init__(self, layer: Path, gain: float, generator: torch.Generator) -> None:
        super().__init__()
        self.layer, self.keep_nonzero, self.rounded = layer, False, True
        self.readout = isinstance(layer, Layer) and layer.readout
        quant = Int8WeightPerTensorFloat if self.readout else Int8WeightPerChannelFloat
        out, into = layer.weight_shape[:2]
        options = {"bias": False, "weight_quant": quant, "weight_bit_width": layer.weight_bits}
        if layer.kind == "conv":
            self.quantised: nn.Module = qnn.QuantConv2d(
                into, out, layer.kernel, layer.stride, padding=layer.padding, **options
            )
        else:
            self.quantised = qnn.QuantLinear(into, out, **options)
        bound = gain / math.sqrt(layer.fan_in)
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
        self.register_buffer("mask", torch.ones(layer.weight_shape, dtype=torch.uint8))

    @property
    def weight(self) -> nn.Parameter:
        """The float weights that are trained."""
        return self.quantised.weight  # type: ignore[return-value] (untyped in brevitas)

    @property
    def drive_bound(self) -> int:
        """An upper bound of the magnitude of a neuron's drive in one step, in integer units."""
        return self.largest * self.layer.fan_in * self.layer.largest_input

    def integers(self) -> tuple[Tensor, Tensor]:
        """Integer weights of the shape of `weight`, and their scale, (out,) or () of a readout.

        Gradients pass to `weight`, straight through the rounding; the returned scale is a constant.
        Unless `rounded`, the weights are the float ones divided by the scale.
        """
        whole, scale = self._quantised()
        useful = scale if self.readout else scale.reshape(-1)
        useful = torch.where(useful < _EMPTY_SCALE, useful.max().clamp(min=_EMPTY_SCALE), useful)
        if not self.rounded:
            return self.weight / useful.reshape(-1, *[1] * (self.weight.ndim - 1)), useful
        return self._without_zeros(whole), useful

    def _quantised(self) -> tuple[Tensor, Tensor]:
        if self.weight.device.type == "cpu":
            whole, scale = weight_quantiser.quantise(self.weight, self.largest, self.readout)
            return whole, scale[0] if self.readout else scale
        quant = self.quantised.quant_weight()  # type: ignore[operator] (untyped in brevitas)
        scale = quant.scale.detach()
        # the quotient may differ from its integer by one rounding error
        return round_ste(quant.value / scale), scale

    def rounding(self, weights: Tensor) -> Tensor:
        """The integer weights of float `weights` in units of a scale that another path shares."""
        return self._without_zeros(round_ste(weights))

    def _without_zeros(self, whole: Tensor) -> Tensor:
        """Integer weights `whole`, where every kept weight that is rounded to 0 becomes 1 or -1.

        Its sign is that of the float weight, which stays as it is: training may carry it across 0.
        Gradients pass as if nothing were changed.
        """
        if not self.keep_nonzero or bool(self.mask.all()):
            return whole
        lost = (self.mask != 0) & (whole.detach() == 0)
        return whole + lost * torch.copysign(torch.ones_like(self.weight), self.weight).detach()

    def drive(self, events: Tensor, weights: Tensor) -> Tensor:
        """The drive (rows, *shape) of `events` (rows, *source), in the dtype of `weights`."""
        layer = self.layer
        events = pooled(layer, channels_last(events.to(weights.dtype)))
        if layer.kind == "conv":
            return conv2d(events, channels_last(weights), layer.stride, layer.padding)
        return functional.linear(events.flatten(1), weights)

    @property
    def largest(self) -> int:
        """The largest integer weight, 2^(bits - 1) - 1."""
        return 2 ** (self.layer.weight_bits - 1) - 1

    def own_scale(self) -> Tensor:
        """The scale (out,) by which the largest weight of each channel becomes `largest`."""
        return self.weight.detach().abs().flatten(1).amax(1) / self.largest

    def apply_mask(self) -> None:
        """Zeroes pruned weights; call it after every optimiser step."""
        with torch.no_grad():
            self.weight.mul_(self.mask)
