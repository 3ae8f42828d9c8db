"""A rectifier with a trained ceiling: y = min(max(x, 0), mu).

Its ceiling becomes the threshold's yardstick when the network is converted, so it must be tight:
mu gets a gradient of 1 from every input above it (and such an input gets none), and nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor

INITIAL = 4.0
"""Where mu starts."""

_SMALLEST = 1e-2


def clipped_relu(x: Tensor, mu: Tensor) -> Tensor:
    """min(max(x, 0), mu) for a ceiling `mu` () that is trained, and held above 0.

    >>> mu = torch.tensor(2.0, requires_grad=True)
    >>> y = clipped_relu(torch.tensor([-1.0, 0.5, 2.0, 3.0, 9.0]), mu)
    >>> y.sum().backward()
    >>> y.tolist(), float(mu.grad)
    ([0.0, 0.5, 2.0, 2.0, 2.0], 2.0)
    """
    ceiling = mu.clamp(min=_SMALLEST)
    return torch.where(x > ceiling, ceiling, torch.relu(x))
