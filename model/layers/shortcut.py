"""Two paths into one layer: they add in one membrane, so that each channel has one scale.

The scale of a channel is the larger of the two that its paths would have alone. Under it no weight
of either leaves its bits; the path that would have had the finer scale uses fewer of its levels.
Integer weights of both then mean the same in the membrane, as thresholds and biases demand.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikewright.model.architecture import Path
from spikewright.model.layers.synapse import Synapse, pooled
from spikewright.model.ops.straight_through import round_ste

_EMPTY_SCALE = 1e-8  # of a channel without weights on either path


class Gain(nn.Module):
    """An identity: every event reaches the neuron at its own place, times the channel's gain.

    Members
    -------
    weight : Parameter, float (C,); a gain is trained, but has no mask of its own
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.layer = path
        self.weight = nn.Parameter(torch.full(path.weight_shape, 1 / path.unit))

    @property
    def largest(self) -> int:
        """The largest integer that a gain may become."""
        return 2 ** (self.layer.weight_bits - 1) - 1

    @property
    def drive_bound(self) -> int:
        """No drive of one step can be larger in magnitude."""
        return self.largest * self.layer.largest_input

    def own_scale(self) -> Tensor:
        """The scale of each channel, (C,), under which its gain is `largest`."""
        return self.weight.detach().abs() / self.largest

    def drive(self, events: Tensor, weights: Tensor) -> Tensor:
        """`events` (rows, *source), pooled, times the whole gains `weights`, in their type."""
        return pooled(self.layer, events.to(weights.dtype)) * weights.reshape(-1, 1, 1)

    def follow(self, mask: Tensor) -> None:
        """Zero the gains of channels that a block with this `mask` (out, C, k, k) does not read."""
        with torch.no_grad():
            self.weight.mul_((mask != 0).any(dim=(0, 2, 3)))


def second_path(path: Path, gain: float, generator: torch.Generator) -> Synapse | Gain:
    """The module of a shortcut; a projection starts with random weights of size `gain`."""
    return Gain(path) if path.kind == "identity" else Synapse(path, gain, generator)


def common_scale(first: Synapse, second: Synapse | Gain) -> Tensor:
    """The scale of each channel, (out,)."""
    return torch.maximum(first.own_scale(), second.own_scale()).clamp(min=_EMPTY_SCALE)


def integers(first: Synapse, second: Synapse | Gain) -> tuple[Tensor, Tensor, Tensor]:
    """Whole weights of both paths (gradients pass to the float ones), and their common scale.

    Unless `first` is `rounded`, they are the float weights in the same units.
    """
    scale = common_scale(first, second)
    found = [
        part.weight / scale.reshape(-1, *[1] * (part.weight.ndim - 1)) for part in (first, second)
    ]
    if first.rounded:
        found = [round_ste(weights) for weights in found]
    return found[0], found[1], scale


def apply_masks(first: Synapse, second: Synapse | Gain) -> None:
    """Set pruned weights of both paths to zero; to be called after every optimiser step."""
    scale = common_scale(first, second)
    first.apply_mask(scale)
    if isinstance(second, Synapse):
        second.apply_mask(scale)
