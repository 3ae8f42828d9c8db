"""The weights of a layer: Brevitas quantisers, used once per forward, and the drive they make.

Everything here is in the integer domain: `integers()` returns whole numbers in float tensors, and
their float scale beside them. Channels have a scale each, since it moves into thresholds; the
readout has one for the whole layer.
"""

from __future__ import annotations

import math

import brevitas.nn as qnn
import torch
from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat
from torch import Tensor, nn
from torch.nn import functional

from model.architecture import Layer
from model.ste import round_ste

_EMPTY_SCALE = 1e-8  # a channel without weights has a scale of nearly zero


class Synapse(nn.Module):
    """Pool and weights of one layer.

    Members
    -------
    weight : Parameter, float, `layer.weight_shape`
    mask : uint8 buffer of the same shape; 0 where a weight is pruned
    whole : bool; once pruned, no kept weight may quantise to 0, so that rows stay balanced
    rounded : bool; False leaves the weights float, as no network that is exported may have them
    """

    mask: Tensor

    def __init__(self, layer: Layer, gain: float, generator: torch.Generator) -> None:
        super().__init__()
        self.layer, self.whole, self.rounded = layer, False, True
        quant = Int8WeightPerTensorFloat if layer.readout else Int8WeightPerChannelFloat
        out, into = layer.weight_shape[:2]
        options = {"bias": False, "weight_quant": quant, "weight_bit_width": layer.weight_bits}
        if layer.kind == "conv":
            self.quantised: nn.Module = qnn.QuantConv2d(
                into, out, layer.kernel, padding=layer.padding, **options
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
        """No drive of one step can be larger in magnitude."""
        layer = self.layer
        return (2 ** (layer.weight_bits - 1) - 1) * layer.fan_in * layer.largest_input

    def integers(self) -> tuple[Tensor, Tensor]:
        """Whole weights (gradients pass to `weight`), and their scale, shape (out,) or ().

        Unless `rounded`, they are the float weights in the same units.
        """
        quantised = self.quantised.quant_weight()  # type: ignore[operator] (untyped in brevitas)
        scale = quantised.scale.detach()
        useful = scale if scale.ndim == 0 else scale.reshape(-1)
        useful = torch.where(useful < _EMPTY_SCALE, useful.max().clamp(min=_EMPTY_SCALE), useful)
        if not self.rounded:
            return self.weight / useful.reshape(-1, *[1] * (self.weight.ndim - 1)), useful
        # the quotient may miss its integer by one rounding
        return round_ste(quantised.value / scale), useful

    def drive(self, events: Tensor, weights: Tensor) -> Tensor:
        """Weighted sums (rows, *shape) for `events` (rows, *source), in the type of `weights`."""
        layer = self.layer
        events = events.to(weights.dtype)
        if layer.pool > 1:
            events = functional.avg_pool2d(events, layer.pool, divisor_override=1)
        if layer.kind == "conv":
            return functional.conv2d(events, weights, padding=layer.padding)
        return functional.linear(events.flatten(1), weights)

    def apply_mask(self) -> None:
        """Set pruned weights to zero; to be called after every optimiser step."""
        with torch.no_grad():
            self.weight.mul_(self.mask)
            if self.whole and not bool(self.mask.all()):
                self._lift()

    def _lift(self) -> None:
        """Move kept weights that would quantise to 0 just far enough to become 1 or -1."""
        size = self.weight.abs()
        axes = tuple(range(size.ndim)) if self.layer.readout else tuple(range(1, size.ndim))
        largest = 2 ** (self.layer.weight_bits - 1) - 1
        # a little more than half a unit, whose rounding is not in doubt
        least = size.amax(axes, keepdim=True) * (0.51 / largest)
        lifted = torch.copysign(least.expand_as(size), self.weight)
        self.weight.copy_(torch.where((self.mask != 0) & (size < least), lifted, self.weight))
