"""Feature maps in torch's channels-last memory format, which the compiled loops here expect.

A tensor keeps its shape (rows, C, H, W); only its memory is ordered rows, H, W, C. Convolutions,
pools and neurons then read memory in one direction, and thresholds are the same vector of channels
at every pixel. `flat` gives a layer's neurons in that order.
"""

from __future__ import annotations

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """`x` (rows, C, H, W) with channels last in memory; other tensors unchanged."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def flat(x: Tensor) -> Tensor:
    """(rows, C, H, W) as (rows, H * W * C), without a copy where channels are last in memory."""
    return x.permute(0, 2, 3, 1).flatten(1) if x.ndim == 4 else x


def shaped(neurons: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse of `flat`: (rows, neurons) as (rows, *shape), channels last in memory.

    >>> x = torch.arange(12).reshape(1, 3, 2, 2)
    >>> flat(x).tolist()
    [[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]]
    >>> torch.equal(shaped(flat(x), (3, 2, 2)), x)
    True
    """
    if len(shape) == 1:
        return neurons
    channels, height, width = shape
    return neurons.reshape(-1, height, width, channels).permute(0, 3, 1, 2)


def per_neuron(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Values (C,) of the channels as values (neurons,) of the neurons, in the order of `flat`."""
    area = 1 if len(shape) == 1 else shape[1] * shape[2]
    return values.expand(area, len(values)).reshape(-1)
