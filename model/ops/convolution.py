"""Convolutions of integers, exact on every device.

On a GPU, cuDNN may choose Winograd or FFT, which transform their operands by fractions, so that
results of integers are not exactly integers. No setting of torch excludes them: both count as
deterministic. So the forward pass is a matrix product over the windows of the map: every product
and every partial sum is an integer below 2^24, which float32 represents, so the result is exact in
any order of addition. Gradients need not be integers; the library computes them.

On the CPU the library's direct convolution has the same property and is used as it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_ELEMENTS = 2**26
"""The most window values that are materialised at once: a quarter of a GiB in float32."""


def conv2d(events: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
    """`functional.conv2d` of `events` (rows, in, H, W) and `weights` (out, in, k, k), exactly."""
    if events.device.type == "cpu":
        return functional.conv2d(events, weights, stride=stride, padding=padding)
    return _Conv2d.apply(events, weights, stride, padding)


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, events: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(events, weights)
        ctx.stride, ctx.padding = stride, padding
        return by_matmul(events, weights, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        sides = [ctx.stride] * 2, [ctx.padding] * 2, [1, 1]
        wanted = [*ctx.needs_input_grad[:2], False]
        d_events, d_weights, _ = torch.ops.aten.convolution_backward(
            grads[0], *ctx.saved_tensors, None, *sides, False, [0, 0], 1, wanted
        )
        return d_events, d_weights, None, None


def by_matmul(events: Tensor, weights: Tensor, stride: int, padding: int) -> Tensor:
    """The same convolution as matrix products over blocks of rows; no gradients.

    The result (rows, out, H, W) has its channels last in memory.
    """
    out, _, kernel, _ = weights.shape
    matrix = weights.permute(2, 3, 1, 0).reshape(-1, out)
    padded = functional.pad(events, [padding] * 4)
    windows = padded.unfold(2, kernel, stride).unfold(3, kernel, stride)  # (rows, in, H, W, k, k)
    windows = windows.permute(0, 2, 3, 4, 5, 1)
    rows, height, width = windows.shape[:3]
    at_once = max(1, _ELEMENTS // (height * width * len(matrix)))
    blocks = [block.reshape(-1, len(matrix)) @ matrix for block in windows.split(at_once)]
    return torch.cat(blocks).reshape(rows, height, width, out).permute(0, 3, 1, 2)
