"""Rounding with straight-through gradients (Bengio et al., 2013), and dtypes that hold integers."""

from __future__ import annotations

import torch
from torch import Tensor

_FLOAT32_INTEGERS = 2**24  # float32 holds every integer up to here


def exact_dtype(largest: int) -> torch.dtype:
    """The float type for integers whose magnitude is at most `largest`: float32, or float64.

    >>> exact_dtype(1000), exact_dtype(2**24)
    (torch.float32, torch.float64)
    """
    return torch.float32 if largest < _FLOAT32_INTEGERS else torch.float64


def floor_ste(x: Tensor) -> Tensor:
    """Floor of x; the gradient passes unchanged."""
    return exact_ste(x, torch.floor(x.detach()))


def round_ste(x: Tensor) -> Tensor:
    """floor(x + 0.5), the only rounding rule (halves go up); the gradient passes unchanged.

    >>> round_ste(torch.tensor([-1.5, -0.5, 0.5, 1.4])).tolist()
    [-1.0, 0.0, 1.0, 1.0]
    """
    return exact_ste(x, torch.floor(x.detach() + 0.5))


def clamp_ste(x: Tensor, lowest: float, highest: float) -> Tensor:
    """Clamp x to [lowest, highest]; the gradient passes unchanged, also outside."""
    return exact_ste(x, x.detach().clamp(lowest, highest))


def exact_ste(x: Tensor, value: Tensor) -> Tensor:
    """Exactly `value` forward, the gradient of `x` backward.

    Not written as x + (value - x): that sum may round.
    """
    return _Replace.apply(x, value)


class _Replace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, value: Tensor) -> Tensor:  # noqa: ANN001 (untyped in torch)
        return value.clone()

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN001 (untyped in torch)
        return grads[0], None
