"""The scan of `model.ops.scan` in torch operations, for devices without its compiled loops.

The docstring of `model.ops.scan` defines the rule, forward and backward; here every step is a few
elementwise operations over the whole batch. Only the drive is saved for the backward pass, which
recomputes the membranes, for as many rows of the batch at a time as `_ELEMENTS` allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from spikewright.model.ops.scan_rule import ScanRule

_ELEMENTS = 2**25
"""The most membranes, over all steps, in the backward pass (twice: on entry, at compare)."""


def _triangle(u: Tensor) -> Tensor:
    return (1 - u.abs()).clamp(min=0)


def _rectangle(u: Tensor) -> Tensor:
    return (u.abs() <= 0.5).to(u.dtype)


def _arctan(u: Tensor) -> Tensor:
    return 1 / (1 + (math.pi * u).square())


def _fast_sigmoid(u: Tensor) -> Tensor:
    return 1 / (1 + 2 * u.abs()).square()


def _sigmoid(u: Tensor) -> Tensor:
    s = torch.sigmoid(4 * u)
    return 4 * s * (1 - s)


SLOPES: tuple[Callable[[Tensor], Tensor], ...] = (
    _triangle, _rectangle, _arctan, _fast_sigmoid, _sigmoid,
)  # fmt: skip
"""h(u) of every surrogate, in the order of `model.ops.surrogate.NAMES`."""


def scan(
    drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
) -> Tensor:
    """As `model.ops.scan.scan`."""
    return _Scan.apply(drive, threshold, bias, leak_mul, rule)


@torch.no_grad()
def scan_with_membranes(
    drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
) -> tuple[Tensor, Tensor]:
    """As `model.ops.scan.scan_with_membranes`."""
    spikes = drive.new_empty((rule.timesteps, *drive.shape[1:]))
    membranes = torch.empty_like(spikes)
    for t, (_, w) in enumerate(_compares(drive, threshold, bias, leak_mul, rule)):
        spikes[t] = w >= threshold
        membranes[t] = _reset(w, threshold, rule).clamp(rule.lowest, rule.highest)
    return spikes, membranes


def _reset(w: Tensor, threshold: Tensor, rule: ScanRule) -> Tensor:
    """The membrane after the reset, before the clamp."""
    return torch.where(w >= threshold, w - threshold if rule.subtract else 0.0, w)


def _compares(
    drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
) -> Iterator[tuple[Tensor, Tensor]]:
    """For every step: the membranes (batch, neurons) on entry, and those that are compared."""
    inverse = 2.0**-rule.leak_shift
    v = torch.zeros_like(drive[0])
    for t in range(rule.timesteps):
        w = v - torch.floor(v * leak_mul * inverse)
        w = w + drive[0 if len(drive) == 1 else t] + bias
        yield v, w
        v = _reset(w, threshold, rule).clamp(rule.lowest, rule.highest)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
    ) -> Tensor:
        ctx.rule = rule
        ctx.save_for_backward(drive, threshold, bias, leak_mul)
        spikes = drive.new_empty((rule.timesteps, *drive.shape[1:]))
        for t, (_, w) in enumerate(_compares(drive, threshold, bias, leak_mul, rule)):
            spikes[t] = w >= threshold
        return spikes

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        drive, threshold, bias, leak_mul = ctx.saved_tensors
        rule: ScanRule = ctx.rule
        sums = _Sums(threshold, ctx.needs_input_grad[3])
        d_drive = torch.zeros_like(drive)
        rows = max(1, _ELEMENTS // (rule.timesteps * drive.shape[2]))
        blocks = (tensor.split(rows, dim=1) for tensor in (drive, grads[0], d_drive))
        for block, grad, out in zip(*blocks, strict=True):
            _backward((block, threshold, bias, leak_mul), rule, grad, out, sums)
        leak = None if sums.leak is None else sums.leak.to(leak_mul.dtype)
        return d_drive, sums.threshold, sums.bias, leak, None


class _Sums:
    """Gradients (neurons,) of threshold and bias, and of `leak_mul` in float64, if needed."""

    def __init__(self, threshold: Tensor, leak: bool) -> None:
        self.threshold = torch.zeros_like(threshold)
        self.bias = torch.zeros_like(threshold)
        self.leak = threshold.new_zeros((), dtype=torch.float64) if leak else None


def _backward(
    inputs: tuple[Tensor, Tensor, Tensor, Tensor], rule: ScanRule, grad: Tensor, d_drive: Tensor,
    sums: _Sums,
) -> None:  # fmt: skip
    """Fills `d_drive` and adds to `sums` for a block of rows; steps as numbered in `scan`."""
    _, threshold, _, leak_mul = inputs
    inverse = 2.0**-rule.leak_shift
    past = list(_compares(*inputs, rule))
    g = torch.zeros_like(past[0][0])
    for t in reversed(range(rule.timesteps)):
        before, w = past.pop()
        after = _reset(w, threshold, rule)
        g = g.masked_fill((after < rule.lowest) | (after > rule.highest), 0)  # 1
        fired = w >= threshold
        if rule.subtract:  # 2
            sums.threshold -= (g * fired).sum(dim=0)
        else:
            g = g.masked_fill(fired, 0)
        u = (w - threshold) / threshold
        rise = grad[t] * SLOPES[rule.surrogate](u) / threshold
        g = g + rise  # 3
        sums.threshold -= (rise * (u + 1)).sum(dim=0)
        d_drive[0 if len(d_drive) == 1 else t] += g  # 4
        sums.bias += g.sum(dim=0)
        if sums.leak is not None:
            sums.leak -= (g * before * inverse).sum(dtype=torch.float64)
        g = g * (1 - leak_mul * inverse)  # 5
