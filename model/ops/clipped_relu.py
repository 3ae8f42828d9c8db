"""A ReLU with a trained ceiling: y = min(max(x, 0), mu), as in PACT (Choi et al., 2018).

Conversion to a spiking network derives the threshold from mu. mu gets a gradient of 1 from every
input above it, and no other; such an input gets none.
"""

from __future__ import annotations

import torch
from torch import Tensor

INITIAL = 4.0
"""The initial value of mu."""

_SMALLEST = 1e-2


def clipped_relu(x: Tensor, mu: Tensor) -> Tensor:
    """min(max(x, 0), mu) of any shape, for a trained ceiling `mu` (), which is clamped above 0.

    >>> mu = torch.tensor(2.0, requires_grad=True)
    >>> y = clipped_relu(torch.tensor([-1.0, 0.5, 2.0, 3.0, 9.0]), mu)
    >>> y.sum().backward()
    >>> y.tolist(), float(mu.grad)
    ([0.0, 0.5, 2.0, 2.0, 2.0], 2.0)
    """
    ceiling = mu.clamp(min=_SMALLEST)
    return torch.where(x > ceiling, ceiling, torch.relu(x))
