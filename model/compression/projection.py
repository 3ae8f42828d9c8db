"""Euclidean projections of weights for ADMM: on few nonzero weights, or on few levels.

Sparsity: the `count` largest magnitudes of a layer stay. It is a count, not a percentile: with many
zeros a percentile can be 0 and prune nothing.

Levels: the weights of a channel (of the readout: of the layer) become alpha Q, with integers Q
within +-(2^(bits-1) - 1) that minimise || V - alpha Q ||^2, by alternating from the widest grid on:

    Q = round(V / alpha),   alpha = V.Q / Q.Q

The largest |Q| must be the highest level. Then the network's quantiser, which maps the largest
weight to its highest level, finds the same Q and alpha.
"""

from __future__ import annotations

import torch
from torch import Tensor

TURNS = 5


def largest_mask(values: Tensor, count: int) -> Tensor:
    """The mask of the `count` largest magnitudes; of equal ones the later stays.

    >>> largest_mask(torch.tensor([0.0, -3.0, 1.0, 0.0]), 3).tolist()
    [False, True, True, True]
    """
    order = torch.sort(values.abs().flatten(), stable=True).indices
    mask = torch.zeros(values.numel(), dtype=torch.bool, device=values.device)
    mask[order[values.numel() - count :]] = True
    return mask.reshape(values.shape)


def project_to_levels(values: Tensor, bits: int, per_channel: bool) -> Tensor:
    """The nearest alpha Q, with an alpha for each channel (the first axis), or for all values.

    >>> project_to_levels(torch.tensor([[1.0, 0.5, 0.0, -1.5]]), 2, True).tolist()
    [[1.25, 0.0, 0.0, -1.25]]
    """
    rows = values.reshape(len(values) if per_channel else 1, -1).to(torch.float64)
    return torch.stack([_row(row, bits) for row in rows]).reshape(values.shape).to(values.dtype)


def _row(values: Tensor, bits: int) -> Tensor:
    top = 2 ** (bits - 1) - 1
    best = values.new_zeros(values.shape)
    error = float("inf")
    alpha = values.abs().max() / top
    for _ in range(TURNS + 1):
        if alpha <= 0:
            break
        levels = torch.floor(values / alpha + 0.5).clamp(-top, top)
        alpha = (values * levels).sum() / levels.square().sum()
        candidate = alpha * levels
        gap = float((values - candidate).square().sum())
        if gap < error and int(levels.abs().max()) == top:
            best, error = candidate, gap
    return best
