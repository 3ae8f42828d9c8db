"""Brevitas' weight quantiser, absolute-maximum scale and nearest integer, as one autograd function.

It computes what Brevitas' modules do in some twenty small operations each way. Forward, for every
channel (of the readout: for all weights together), with `top` the largest level::

    scale = max(|w|, 1e-10) / top
    whole = clamp(round to even(w / scale), -top, top)

Backward, g being the gradient of `whole`, passes straight through the rounding. Products and
quotients are those of Brevitas in its order, so that every bit is the same as on devices where
Brevitas itself is used:

    v = g / scale * scale                         the gradient of the value whole * scale
    d w = v / scale
    d scale = sum(g / scale * whole) + sum(-v * (w / scale / scale))
    d w of the largest |w| += d scale / top * sign(w)

If several weights of a channel are the largest, the first gets this gradient; in the readout they
share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.jit import entry

Array = NDArray[np.float32]

_LEAST = 1e-10  # Brevitas' smallest maximum


@entry
def _round(weights: Array, scale: Array, top: float, whole: Array) -> None:
    for row in range(weights.shape[0]):
        for n in range(weights.shape[1]):
            level = np.rint(weights[row, n] / scale[row])
            # a zero is never negative, as in Brevitas, which adds a zero point
            whole[row, n] = min(max(level, -top), top) + np.float32(0)


@entry
def _slopes(
    weights: Array, scale: Array, whole: Array, grad: Array, direct: Array, up: Array, down: Array
) -> None:
    for row in range(weights.shape[0]):
        unit = scale[row]
        for n in range(weights.shape[1]):
            inner = grad[row, n] / unit
            value = inner * unit
            direct[row, n] = value / unit
            up[row, n] = inner * whole[row, n]
            down[row, n] = -value * ((weights[row, n] / unit) / unit)


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, top: float, together: bool) -> tuple[Tensor, Tensor]:
        rows = weight.detach().reshape(1 if together else len(weight), -1)
        largest, at_largest = rows.abs().max(dim=1)
        scale = largest.clamp(min=_LEAST) / top
        whole = torch.empty_like(rows)
        _round(rows.numpy(), scale.numpy(), top, whole.numpy())
        ctx.save_for_backward(weight, scale, whole, at_largest)
        ctx.top = top
        ctx.mark_non_differentiable(scale)
        return whole.reshape(weight.shape), scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        weight, scale, whole, at_largest = ctx.saved_tensors
        rows, grad = weight.detach().reshape(whole.shape), grads[0]
        direct, up, down = (torch.empty_like(whole) for _ in range(3))
        flat = grad.reshape(whole.shape).contiguous()
        _slopes(*(t.numpy() for t in (rows, scale, whole, flat, direct, up, down)))
        slope = (_sums(up, grad) + _sums(down, grad))[:, None] / ctx.top
        if len(whole) == 1:
            tied = rows.abs() == rows.abs().max()
            direct += slope / tied.sum() * tied * rows.sgn()
        else:
            column = at_largest[:, None]
            direct.scatter_add_(1, column, slope * rows.gather(1, column).sgn())
        return direct.reshape(weight.shape), None, None


def _sums(rows: Tensor, like: Tensor) -> Tensor:
    """The sum of every row, added in the memory order of `like`."""
    if like.ndim == 4 and not like.is_contiguous() and len(rows) == len(like):
        kernels = rows.reshape(like.shape).contiguous(memory_format=torch.channels_last)
        return kernels.sum((1, 2, 3))
    return rows.sum(1)


def quantise(weight: Tensor, top: int, together: bool) -> tuple[Tensor, Tensor]:
    """Integer weights in float32, of the shape of `weight`, and their scale.

    Gradients pass to `weight`, also through the scale; the returned scale is a constant.

    Parameters
    ----------
    weight
        float32 (out, ...), on the CPU.
    top
        The largest level, 2^(bits - 1) - 1.
    together
        One scale (1,) for all weights, instead of one for each channel, (out,).
    """
    return _Whole.apply(weight, float(top), together)
