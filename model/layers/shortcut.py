"""Shortcuts: a second path into a layer, which shares one scale per channel with the first.

Both paths add into the same membrane, so that an integer weight must mean the same in both. The
scale of a channel is the larger of the two that its paths would have alone: no weight exceeds its
bits, and the path with the finer scale of its own uses fewer of its levels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikewright.model.architecture import Path
from spikewright.model.layers.synapse import Synapse, pooled
from spikewright.model.ops.straight_through import round_ste

_EMPTY_SCALE = 1e-8  # of a channel whose weights are zero on both paths


class Gain(nn.Module):
    """An identity shortcut: every event reaches the neuron at its own position, times a gain.

    Members
    -------
    layer : Path, its shapes
    weight : Parameter (C,), the gain of each channel; it is trained, and has no mask of its own
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.layer = path
        self.weight = nn.Parameter(torch.full(path.weight_shape, 1 / path.unit))

    @property
    def largest(self) -> int:
        """The largest integer gain, 2^(bits - 1) - 1."""
        return 2 ** (self.layer.weight_bits - 1) - 1

    @property
    def drive_bound(self) -> int:
        """An upper bound of the magnitude of the drive in one step, in integer units."""
        return self.largest * self.layer.largest_input

    def own_scale(self) -> Tensor:
        """The scale (C,) by which the gain of each channel becomes `largest`."""
        return self.weight.detach().abs() / self.largest

    def rounding(self, weights: Tensor) -> Tensor:
        """The integer gains of float `weights` (C,) in units of the scale."""
        return round_ste(weights)

    def drive(self, events: Tensor, weights: Tensor) -> Tensor:
        """The drive (rows, *shape) of `events` (rows, *source), in the dtype of `weights` (C,)."""
        return pooled(self.layer, events.to(weights.dtype)) * weights.reshape(-1, 1, 1)

    def follow(self, mask: Tensor) -> None:
        """Zeroes the gains of channels that `mask` (out, C, k, k) of the block prunes entirely."""
        with torch.no_grad():
            self.weight.mul_((mask != 0).any(dim=(0, 2, 3)))


def second_path(path: Path, gain: float, generator: torch.Generator) -> Synapse | Gain:
    """The module of a shortcut: gains, or a projection with random weights of size `gain`."""
    return Gain(path) if path.kind == "identity" else Synapse(path, gain, generator)


def common_scale(first: Synapse, second: Synapse | Gain) -> Tensor:
    """The scale (out,) that both paths share."""
    return torch.maximum(first.own_scale(), second.own_scale()).clamp(min=_EMPTY_SCALE)


def integers(first: Synapse, second: Synapse | Gain) -> tuple[Tensor, Tensor, Tensor]:
    """Integer weights of both paths, of the shapes of their `weight`, and their scale (out,).

    Gradients pass to the float weights, straight through the rounding. Unless `first` is `rounded`,
    the weights are the float ones divided by the scale.
    """
    scale = common_scale(first, second)
    weights = [
        path.weight / scale.reshape(-1, *[1] * (path.weight.ndim - 1)) for path in (first, second)
    ]
    if first.rounded:
        weights = [first.rounding(weights[0]), second.rounding(weights[1])]
    return weights[0], weights[1], scale
