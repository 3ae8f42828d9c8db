"""Maps with their channels last in memory, which is how all compiled loops here walk them.

A tensor keeps its shape (rows, C, H, W); only its memory is ordered rows, H, W, C. Convolutions,
pools and the neurons of a layer then read memory in one direction, and a channel's threshold is the
same vector at every pixel. A plane is one row of such a tensor, flat: its neurons in that order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """The same values, channels last in memory; tensors without maps as they are."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def flat(x: Tensor) -> Tensor:
    """(rows, C, H, W) as (rows, H * W * C), without a copy where channels are last in memory."""
    return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x


def shaped(planes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse of `flat`: (rows, neurons) as (rows, *shape), channels last in memory.

    >>> x = torch.arange(12).reshape(1, 3, 2, 2)
    >>> flat(x).tolist()
    [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    >>> torch.equal(shaped(flat(x), (3, 2, 2)), x)
    True
    """
    if len(shape) == 1:
        return planes
    channels, height, width = shape
    return planes.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def per_neuron(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """One value for each channel, (C,), as one for each neuron of a plane."""
    area = 1 if len(shape) == 1 else shape[1] * shape[2]
    return values.expand(area, len(values)).reshape(-1)
