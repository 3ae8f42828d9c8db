"""The scan in torch operations against the compiled one: the same rule, so the same numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from spikewright.model.ops import scan_torch, surrogate
from spikewright.model.ops.scan import scan, scan_with_membranes
from spikewright.model.ops.scan_rule import ScanRule

CASES = list(itertools.product((1, 5), (True, False), (0, 3, 8), range(5)))
BATCH, NEURONS = 7, 300


def leaves(steps: int, leak: int, real: torch.dtype, positive_power: bool = False) -> list[Tensor]:
    """Whole drive, threshold, bias, leak_mul: large enough to meet both limits of the clamp."""
    rng = np.random.default_rng(3)
    threshold = 2 ** rng.integers(0, 4, NEURONS) if positive_power else rng.integers(1, 31, NEURONS)
    values = (
        rng.integers(-30, 45, (steps, BATCH, NEURONS)), threshold, rng.integers(-4, 5, NEURONS),
        leak,
    )  # fmt: skip
    return [torch.tensor(value, dtype=real, requires_grad=True) for value in values]


def gradients(run, inputs: list[Tensor], rule: ScanRule, weights: Tensor) -> list[Tensor]:
    (run(*inputs, rule) * weights.to(inputs[0].dtype)).sum().backward()
    found = [value.grad for value in inputs]
    assert all(grad is not None for grad in found)
    return found


@pytest.mark.parametrize(("steps", "subtract", "leak", "kind"), CASES)
@pytest.mark.parametrize("real", [torch.float32, torch.float64])
def test_equal_to_the_compiled_scan(
    steps: int, subtract: bool, leak: int, kind: int, real: torch.dtype
) -> None:
    rule = ScanRule(5, 3, subtract, -32, 31, kind)
    ours, theirs = leaves(steps, leak, real), leaves(steps, leak, real)
    assert torch.equal(scan_torch.scan(*ours, rule), scan(*theirs, rule))
    spikes, membranes = scan_torch.scan_with_membranes(*ours, rule)
    wanted = scan_with_membranes(*theirs, rule)
    assert torch.equal(spikes, wanted[0])
    assert torch.equal(membranes, wanted[1])
    assert 0.05 < float(spikes.mean()) < 0.95
    assert bool((membranes == rule.lowest).any())
    assert bool((membranes == rule.highest).any()) == subtract
    weights = torch.from_numpy(np.random.default_rng(2).normal(size=spikes.shape))
    rounding = 1e-9 if real == torch.float64 else 2e-5
    for a, b in zip(
        gradients(scan_torch.scan, ours, rule, weights), gradients(scan, theirs, rule, weights),
        strict=True,
    ):  # fmt: skip
        assert a.dtype == b.dtype == real
        torch.testing.assert_close(a, b, rtol=rounding, atol=rounding * float(b.abs().max()))


@pytest.mark.parametrize(("steps", "subtract"), list(itertools.product((1, 5), (True, False))))
def test_gradients_are_equal_where_no_sum_rounds(steps: int, subtract: bool) -> None:
    """Thresholds that are powers of two, a surrogate of 0 and 1, whole gradients, half a leak."""
    rule = ScanRule(5, 3, subtract, -32, 31, surrogate.NAMES.index("rectangle"))
    weights = torch.from_numpy(np.random.default_rng(2).integers(-2, 3, (5, BATCH, NEURONS)))
    ours, theirs = (leaves(steps, 4, torch.float32, positive_power=True) for _ in range(2))
    found = gradients(scan_torch.scan, ours, rule, weights)
    for a, b in zip(found, gradients(scan, theirs, rule, weights), strict=True):
        assert torch.equal(a, b)
        assert float(b.abs().sum()) > 0


def test_parts_of_the_batch_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = ScanRule(5, 3, True, -32, 31, 0)
    weights = torch.from_numpy(np.random.default_rng(2).normal(size=(5, BATCH, NEURONS)))
    whole = gradients(scan_torch.scan, leaves(5, 3, torch.float64), rule, weights)
    monkeypatch.setattr(scan_torch, "_ELEMENTS", 2 * 5 * NEURONS)  # two rows at a time
    parts = gradients(scan_torch.scan, leaves(5, 3, torch.float64), rule, weights)
    assert torch.equal(whole[0], parts[0])
    for a, b in zip(whole[1:], parts[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", surrogate.NAMES)
def test_surrogates_are_the_same(name: str) -> None:
    u = np.concatenate([np.linspace(-3, 3, 601), [-0.5, 0.5, -1.0, 1.0]])
    found = scan_torch.SLOPES[surrogate.NAMES.index(name)](torch.from_numpy(u))
    np.testing.assert_allclose(found.numpy(), surrogate.slope(name, u), rtol=1e-12, atol=1e-15)
    assert len(scan_torch.SLOPES) == len(surrogate.NAMES)
