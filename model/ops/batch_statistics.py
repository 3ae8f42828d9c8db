"""Mean and variance of a layer's drive over batch, steps and pixels, in one pass each way.

Drives of rounded weights are integers, so that float64 sums are exact below 2^53, in any order of
addition. Backward, with N samples of each channel:

    d drive = d mean / N + 2 (drive - mean) / N * d var
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.jit import entry
from spikewright.model.ops import channels_last
from spikewright.model.ops.threads import SLICES, for_each_slice

Array = NDArray[np.floating]


@entry
def _sums(x: Array, total: Array, squares: Array, start: int, stop: int) -> None:
    for row in range(start, stop):
        for c in range(x.shape[1]):
            value = np.float64(x[row, c])
            total[c] += value
            squares[c] += value * value


@entry
def _line(
    x: Array, mean: Array, offset: Array, slope: Array, out: Array, start: int, stop: int
) -> None:
    for row in range(start, stop):
        for c in range(x.shape[1]):
            out[row, c] = offset[c] + slope[c] * (x[row, c] - mean[c])


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, samples: Tensor) -> tuple[Tensor, Tensor]:
        x = samples.detach().numpy()
        total, squares = (np.zeros((SLICES, x.shape[1])) for _ in range(2))

        def work(index: int, start: int, stop: int) -> None:
            _sums(x, total[index], squares[index], start, stop)

        for_each_slice(len(x), work)
        mean = total.sum(axis=0) / len(x)
        var = np.maximum(squares.sum(axis=0) / len(x) - mean * mean, 0)
        ctx.save_for_backward(samples)
        ctx.mean = mean
        return torch.from_numpy(mean), torch.from_numpy(var)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        x = ctx.saved_tensors[0].detach().numpy()
        d_mean, d_var = (grad.numpy() / len(x) for grad in grads)
        out = np.empty_like(x)
        mean, offset, slope = (v.astype(x.dtype) for v in (ctx.mean, d_mean, 2 * d_var))
        for_each_slice(
            len(x), lambda _, start, stop: _line(x, mean, offset, slope, out, start, stop)
        )
        return torch.from_numpy(out)


def moments(drive: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,), float64, of `drive` (rows, C) or (rows, C, H, W); differentiable.

    The variance is the biased one: the sum of squares is divided by N.
    """
    if drive.device.type != "cpu":
        var, mean = torch.var_mean(drive, (0, *range(2, drive.ndim)), correction=0)
        return mean.to(torch.float64), var.to(torch.float64)
    channels = drive.shape[1]
    return _Moments.apply(channels_last.flat(drive).reshape(-1, channels).contiguous())
