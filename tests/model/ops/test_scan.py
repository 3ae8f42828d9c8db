"""The fused scan against the same rule written as a plain loop over autograd."""

# Through these also model.ops.threads.

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from spikewright.model.ops import surrogate
from spikewright.model.ops.scan import scan, scan_with_membranes
from spikewright.model.ops.scan_rule import ScanRule
from spikewright.model.ops.straight_through import floor_ste

Leaves = tuple[Tensor, Tensor, Tensor, Tensor]


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u: Tensor, name: str) -> Tensor:
        ctx.save_for_backward(u)
        ctx.name = name
        return (u >= 0).to(u.dtype)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        return grads[0] * torch.from_numpy(surrogate.slope(ctx.name, u.numpy())), None


class Clamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v: Tensor, lowest: float, highest: float) -> Tensor:
        ctx.save_for_backward((v >= lowest) & (v <= highest))
        return v.clamp(lowest, highest)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0] * ctx.saved_tensors[0], None, None


def plain(
    drive: Tensor, threshold: Tensor, bias: Tensor, leak_mul: Tensor, rule: ScanRule
) -> tuple[Tensor, Tensor]:
    """The rule of model.scan, one torch operation at a time."""
    v, spikes, membranes = torch.zeros_like(drive[0]), [], []
    for t in range(rule.timesteps):
        # the floor passes gradients, to v and to leak_mul
        v = v - floor_ste(v * leak_mul * 2.0**-rule.leak_shift)
        v = v + drive[0 if len(drive) == 1 else t] + bias
        spike = Spike.apply((v - threshold) / threshold, surrogate.NAMES[rule.surrogate])
        fired = spike.detach()
        v = v - fired * threshold if rule.subtract else v * (1 - fired)
        v = Clamp.apply(v, rule.lowest, rule.highest)
        spikes.append(spike)
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)


CASES = list(itertools.product((1, 5), (True, False), (0, 3, 8), range(5)))


def leaves(steps: int, leak: float, seed: int) -> Leaves:
    """Random integers in float64: drive, threshold, bias, leak_mul, that ask for gradients."""
    rng = np.random.default_rng(seed)
    drive = rng.integers(-30, 40, (steps, 7, 1500))
    values = (drive, rng.integers(1, 31, 1500), rng.integers(-4, 5, 1500), leak)
    a, b, c, d = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values)
    return a, b, c, d


@pytest.mark.parametrize(("steps", "subtract", "leak", "kind"), CASES)
def test_forward_and_gradients(steps: int, subtract: bool, leak: int, kind: int) -> None:
    rule = ScanRule(5, 3, subtract, -32, 31, kind)
    ours, theirs = leaves(steps, leak, 1), leaves(steps, leak, 1)
    weights = torch.from_numpy(np.random.default_rng(2).normal(size=(5, 7, 1500)))
    fused, (loop, states) = scan(*ours, rule), plain(*theirs, rule)
    assert torch.equal(fused, loop)
    assert 0.05 < float(fused.detach().mean()) < 0.95
    assert bool((states.detach() == rule.lowest).any())
    if subtract:
        assert bool((states.detach() == rule.highest).any())
    spikes, membranes = scan_with_membranes(*ours, rule)
    assert torch.equal(spikes, loop)
    assert torch.equal(membranes, states)
    (fused * weights).sum().backward()
    (loop * weights).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-9, atol=1e-9)


def test_threads_do_not_change_a_bit() -> None:
    rule, before, found = ScanRule(3, 3, True, -32, 31, 0), torch.get_num_threads(), []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        a, b, c, d = (v.detach().float().requires_grad_() for v in leaves(3, 2, 5))
        values = (a, b, c, d)
        scan(*values, rule).mul(1 / 3).sum().backward()
        found.append([v.grad for v in values])
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("triangle", {-1.5: 0, -1: 0, -0.25: 0.75, 0: 1, 0.5: 0.5, 1: 0}),
        ("rectangle", {-0.51: 0, -0.5: 1, 0: 1, 0.5: 1, 0.51: 0}),
        ("arctan", {0: 1, 1: 1 / (1 + np.pi**2), -1: 1 / (1 + np.pi**2)}),
        ("fast_sigmoid", {0: 1, 0.5: 0.25, -0.5: 0.25}),
        ("sigmoid", {0: 1, 1: 4 * np.exp(-4) / (1 + np.exp(-4)) ** 2}),
    ],
)
def test_surrogates_as_defined(name: str, points: dict[float, float]) -> None:
    got = surrogate.slope(name, np.array(list(points)))
    np.testing.assert_allclose(got, list(points.values()), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", surrogate.NAMES)
def test_surrogates_have_area_one(name: str) -> None:
    u = np.linspace(-2000, 2000, 4_000_001)
    assert float(surrogate.slope(name, u).sum() * 1e-3) == pytest.approx(1, abs=2e-3)
