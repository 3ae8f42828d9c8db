"""The fused scan of a LIF layer over all time steps, as one autograd function.

Forward, per neuron and step (the definition in `golden.network.nodes`, integers held in floats)::

    v     = v - floor(v * leak_mul / 2^leak_shift) + drive + bias
    fired = v >= threshold
    v     = v - threshold (subtract) or 0 (zero), if fired
    v     = clamp(v, lowest, highest)

Backward, from the last step to the first. `g` is the gradient of the membrane that leaves a step,
`s` of the spike, w the membrane before the compare, u = (w - threshold) / threshold, h the
surrogate. `fired` inside the reset counts as a constant (detached), floors pass gradients:

1. g = g if the unclamped membrane lay within [lowest, highest], both limits included, else 0
2. subtract: d threshold -= g * fired;       zero: g = 0 if fired
3. g += s * h(u) / threshold;                d threshold -= s * h(u) / threshold * (u + 1)
4. d drive = g;  d bias += g;                d leak_mul -= g * v / 2^leak_shift (v before the leak)
5. g = g * (1 - leak_mul / 2^leak_shift)

Only the drive is saved for the backward pass, which recomputes membranes block by block. The batch
is cut into a fixed number of slices whose sums are added in a fixed order: results do not depend on
the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.jit import entry
from spikewright.model.ops import scan_torch
from spikewright.model.ops.scan_rule import ScanRule
from spikewright.model.ops.surrogate import fill_slope
from spikewright.model.ops.threads import SLICES, for_each_slice

Array = NDArray[np.floating]

_BLOCK = 1024


@entry
def _forward(
    drive: Array, threshold: Array, bias: Array, leak_mul: float, inverse: float, subtract: bool,
    lowest: float, highest: float, keep: bool, spikes: Array, membranes: Array,
    start: int, stop: int,
) -> None:  # fmt: skip
    steps, _, neurons = spikes.shape
    fixed = drive.shape[0] == 1
    zero = lowest - lowest
    one = inverse / inverse
    held = one if subtract else zero
    v = np.zeros(neurons, drive.dtype)
    for b in range(start, stop):
        v[:] = 0
        for t in range(steps):
            row = drive[0 if fixed else t, b]
            out = spikes[t, b]
            if leak_mul != 0:
                for n in range(neurons):
                    v[n] -= np.floor(v[n] * leak_mul * inverse)
            for n in range(neurons):
                w = v[n] + row[n] + bias[n]
                fired = w >= threshold[n]
                out[n] = one if fired else zero
                after = (w - threshold[n]) * held if fired else w
                v[n] = min(max(after, lowest), highest)
            if keep:
                membranes[t, b] = v


@entry
def _backward(
    drive: Array, threshold: Array, bias: Array, leak_mul: float, inverse: float, subtract: bool,
    lowest: float, highest: float, kind: int, per: Array, grad: Array, d_drive: Array,
    d_threshold: Array, d_bias: Array, d_leak: Array, index: int, start: int, stop: int,
) -> None:  # fmt: skip
    # Simple loops over few arrays of one type and no branches on data: so they become vector code.
    # Numbers like 1 and 0 are made from the arrays' type, since a literal would widen to float64.
    steps, _, neurons = grad.shape
    fixed = drive.shape[0] == 1
    real = drive.dtype
    before = np.zeros((steps + 1, _BLOCK), real)  # the membrane that enters each step
    peak = np.zeros((steps, _BLOCK), real)  # and before its compare
    g, u, h, lost = (
        np.zeros(_BLOCK, real), np.zeros(_BLOCK, real), np.zeros(_BLOCK, real),
        np.zeros(_BLOCK, real),
    )  # fmt: skip
    zero = lowest - lowest
    one = inverse / inverse
    decay = one - leak_mul * inverse
    held = one if subtract else zero
    for b in range(start, stop):
        for first in range(0, neurons, _BLOCK):
            size = min(_BLOCK, neurons - first)
            th, unit = threshold[first : first + size], per[first : first + size]
            offset = bias[first : first + size]
            dth = d_threshold[index, first : first + size]
            db = d_bias[index, first : first + size]
            for t in range(steps):
                row = drive[0 if fixed else t, b, first : first + size]
                enters, leaves, w = before[t], before[t + 1], peak[t]
                if leak_mul != 0:
                    for n in range(size):
                        w[n] = enters[n] - np.floor(enters[n] * leak_mul * inverse)
                        w[n] += row[n] + offset[n]
                else:
                    for n in range(size):
                        w[n] = enters[n] + row[n] + offset[n]
                for n in range(size):
                    after = (w[n] - th[n]) * held if w[n] >= th[n] else w[n]
                    leaves[n] = min(max(after, lowest), highest)
            g[:] = zero
            for t in range(steps - 1, -1, -1):
                out = d_drive[0 if fixed else t, b, first : first + size]
                spike = grad[t, b, first : first + size]
                w, leaves = peak[t], before[t + 1]
                for n in range(size):
                    u[n] = (w[n] - th[n]) * unit[n]
                fill_slope(kind, u, h, size)
                for n in range(size):
                    h[n] = spike[n] * h[n] * unit[n]
                for n in range(size):
                    after = (w[n] - th[n]) * held if w[n] >= th[n] else w[n]
                    past = g[n]  # read on every path: else a branch, and no vector code
                    passed = past if after == leaves[n] else zero  # it was not clamped
                    g[n] = passed * held if w[n] >= th[n] else passed
                for n in range(size):
                    lost[n] = g[n] if w[n] >= th[n] else zero
                for n in range(size):
                    dth[n] -= h[n] * (u[n] + one) + lost[n]
                for n in range(size):
                    g[n] += h[n]
                    db[n] += g[n]
                if fixed:
                    for n in range(size):
                        out[n] += g[n]
                else:
                    for n in range(size):
                        out[n] = g[n]
                if d_leak.shape[1] == 2:
                    for n in range(size):
                        d_leak[index, 0] -= g[n] * before[t, n] * inverse
                if leak_mul != 0:
                    for n in range(size):
                        g[n] *= decay


def _plain(tensor: Tensor) -> Array:
    return tensor.detach().contiguous().numpy()


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
    ) -> Tensor:
        ctx.rule = rule
        ctx.save_for_backward(drive, threshold, bias, leak_mul)
        return _compute_spikes(drive, threshold, bias, leak_mul, rule, None)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        drive, threshold, bias, leak_mul = ctx.saved_tensors
        rule: ScanRule = ctx.rule
        real = _plain(drive).dtype.type
        grad = _plain(grads[0].to(drive.dtype))
        # a single step of drive accumulates the gradients of all steps; else each is written once
        d_drive = (np.zeros if len(drive) == 1 else np.empty)(tuple(drive.shape), real)
        sums = (np.zeros((SLICES, drive.shape[2]), real), np.zeros((SLICES, drive.shape[2]), real))
        d_leak = np.zeros((SLICES, 2 if ctx.needs_input_grad[3] else 1))
        arrays = (_plain(drive), _plain(threshold), _plain(bias))
        constants = (*_constants(rule, leak_mul, real), rule.surrogate, 1 / arrays[1])
        into = (grad, d_drive, *sums, d_leak)

        def work(index: int, start: int, stop: int) -> None:
            _backward(*arrays, *constants, *into, index, start, stop)

        for_each_slice(grad.shape[1], work)
        d_threshold, d_bias = (torch.from_numpy(total.sum(axis=0)) for total in sums)
        leak = (
            torch.as_tensor(d_leak[:, 0].sum(), dtype=leak_mul.dtype)
            if ctx.needs_input_grad[3]
            else None
        )
        return torch.from_numpy(d_drive), d_threshold, d_bias, leak, None


def _constants(
    rule: ScanRule, leak_mul: Tensor, real: type
) -> tuple[float, float, bool, float, float]:
    inverse = 2.0**-rule.leak_shift
    limits = real(rule.lowest), real(rule.highest)
    return real(leak_mul.item()), real(inverse), rule.subtract, *limits


def _compute_spikes(
    drive: Tensor,
    threshold: Tensor,
    bias: Tensor,
    leak_mul: Tensor,
    rule: ScanRule,
    membranes: Tensor | None,
) -> Tensor:
    _, batch, neurons = drive.shape
    spikes = torch.empty((rule.timesteps, batch, neurons), dtype=drive.dtype)
    kept = spikes if membranes is None else membranes
    arrays = _plain(drive), _plain(threshold), _plain(bias)
    out, record = spikes.numpy(), kept.numpy()
    constants = _constants(rule, leak_mul, arrays[0].dtype.type)

    def work(index: int, start: int, stop: int) -> None:
        _forward(*arrays, *constants, membranes is not None, out, record, start, stop)

    for_each_slice(batch, work)
    return spikes


def scan(
    drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
) -> Tensor:
    """Spikes 0/1 (T, batch, neurons) of a layer of LIF neurons; differentiable.

    Parameters
    ----------
    drive
        (T, batch, neurons), or (1, batch, neurons) where the same drive enters at every step.
    threshold, bias
        (neurons,).
    leak_mul
        ().
    rule
        The constants.

    All tensors have one dtype, float32 or float64, and hold integers that it represents exactly.
    """
    if drive.device.type != "cpu":
        return scan_torch.scan(drive, threshold, bias, leak_mul, rule)
    return _Scan.apply(drive, threshold, bias, leak_mul, rule)


def scan_with_membranes(
    drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
) -> tuple[Tensor, Tensor]:
    """As `scan`, without gradients: spikes and membranes at the end of each step.

    Both are (T, batch, neurons).
    """
    if drive.device.type != "cpu":
        return scan_torch.scan_with_membranes(drive, threshold, bias, leak_mul, rule)
    membranes = torch.empty((rule.timesteps, *drive.shape[1:]), dtype=drive.dtype)
    return _compute_spikes(drive, threshold, bias, leak_mul, rule, membranes), membranes
