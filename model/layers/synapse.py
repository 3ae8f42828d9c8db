"""The weights of a path: Brevitas quantisers, used once per forward, and the drive they make.

Everything here is in the integer domain: `integers()` returns whole numbers in float tensors, and
their float scale beside them. Channels have a scale each, since it moves into thresholds; the
readout has one for the whole layer. Where two paths meet, `model.layers.shortcut` gives them a
common one.
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
    """`events` (rows, *source) behind the pool of the path."""
    if path.pool == 1:
        return events
    if path.maximum:
        return functional.max_pool2d(events, path.pool)
    return functional.avg_pool2d(events, path.pool, divisor_override=1)


class Synapse(nn.Module):
    """Pool and weights of one path.

    Members
    -------
    weight : Parameter, float, `layer.weight_shape`
    mask : uint8 buffer of the same shape; 0 where a weight is pruned
    keep_nonzero : bool; once pruned, no kept weight may quantise to 0, so that rows stay balanced
    rounded : bool; False leaves the weights float, as no network that is exported may have them
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
        """No drive of one step can be larger in magnitude."""
        return self.largest * self.layer.fan_in * self.layer.largest_input

    def integers(self) -> tuple[Tensor, Tensor]:
        """Whole weights (gradients pass to `weight`), and their scale, shape (out,) or ().

        Unless `rounded`, they are the float weights in the same units.
        """
        whole, scale = self._quantised()
        useful = scale if self.readout else scale.reshape(-1)
        useful = torch.where(useful < _EMPTY_SCALE, useful.max().clamp(min=_EMPTY_SCALE), useful)
        if not self.rounded:
            return self.weight / useful.reshape(-1, *[1] * (self.weight.ndim - 1)), useful
        return whole, useful

    def _quantised(self) -> tuple[Tensor, Tensor]:
        if self.weight.device.type == "cpu":
            whole, scale = weight_quantiser.quantise(self.weight, self.largest, self.readout)
            return whole, scale[0] if self.readout else scale
        found = self.quantised.quant_weight()  # type: ignore[operator] (untyped in brevitas)
        scale = found.scale.detach()
        # the quotient may miss its integer by one rounding
        return round_ste(found.value / scale), scale

    def drive(self, events: Tensor, weights: Tensor) -> Tensor:
        """Weighted sums (rows, *shape) for `events` (rows, *source), in the type of `weights`."""
        layer = self.layer
        events = pooled(layer, channels_last(events.to(weights.dtype)))
        if layer.kind == "conv":
            return conv2d(events, channels_last(weights), layer.stride, layer.padding)
        return functional.linear(events.flatten(1), weights)

    @property
    def largest(self) -> int:
        """The largest integer that a weight may become."""
        return 2 ** (self.layer.weight_bits - 1) - 1

    def own_scale(self) -> Tensor:
        """The scale of each channel, (out,), under which its largest weight is `largest`."""
        return self.weight.detach().abs().flatten(1).amax(1) / self.largest

    def apply_mask(self, shared: Tensor | None = None) -> None:
        """Set pruned weights to zero; to be called after every optimiser step.

        `shared` is the scale of each channel where another path has a say in it.
        """
        with torch.no_grad():
            self.weight.mul_(self.mask)
            if self.keep_nonzero and not bool(self.mask.all()):
                self._lift(shared)

    def _lift(self, shared: Tensor | None) -> None:
        """Move kept weights that would quantise to 0 just far enough to become 1 or -1."""
        size = self.weight.abs()
        axes = tuple(range(size.ndim)) if self.readout else tuple(range(1, size.ndim))
        # a little more than half a unit, whose rounding is not in doubt
        if shared is None:
            least = size.amax(axes, keepdim=True) * (0.51 / self.largest)
        else:
            least = shared.reshape(-1, *[1] * (size.ndim - 1)) * 0.51
        lifted = torch.copysign(least.expand_as(size), self.weight)
        self.weight.copy_(torch.where((self.mask != 0) & (size < least), lifted, self.weight))
