"""Convolutions as matrix products: whole numbers stay whole, gradients are those of the library."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from spikewright.model.ops import convolution
from spikewright.model.ops.convolution import by_matmul, conv2d

CASES = list(itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (False, True)))


def operands(kernel: int, last: bool, real: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Whole numbers of up to 8 bits: sums of up to 2^22."""
    generator = torch.Generator().manual_seed(kernel)
    events = torch.randint(0, 256, (5, 3, 9, 8), generator=generator).to(real)
    weights = torch.randint(-127, 128, (4, 3, kernel, kernel), generator=generator).to(real)
    form = torch.channels_last if last else torch.contiguous_format
    return events.contiguous(memory_format=form), weights.contiguous(memory_format=form)


@pytest.mark.parametrize(("kernel", "stride", "padding", "last"), CASES)
def test_equal_to_the_library(kernel: int, stride: int, padding: int, last: bool) -> None:
    events, weights = operands(kernel, last)
    found = by_matmul(events, weights, stride, padding)
    wanted = functional.conv2d(events.double(), weights.double(), stride=stride, padding=padding)
    assert torch.equal(found.double(), wanted)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(conv2d(events, weights, stride, padding), found)


def test_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    events, weights = operands(3, True)
    whole = by_matmul(events, weights, 1, 1)
    monkeypatch.setattr(convolution, "_ELEMENTS", 2 * 27 * 72)  # two of five
    assert torch.equal(by_matmul(events, weights, 1, 1), whole)


def test_gradients() -> None:
    events, weights = (x.requires_grad_() for x in operands(3, False, torch.float64))
    assert torch.autograd.gradcheck(
        lambda a, b: convolution._Conv2d.apply(a, b, 2, 1), (events[:1, :, :4, :4], weights)
    )


def test_only_the_wanted_gradients() -> None:
    events, weights = operands(3, False)
    weights.requires_grad_()
    convolution._Conv2d.apply(events, weights, 1, 1).sum().backward()
    assert events.grad is None
    wanted = torch.autograd.grad(functional.conv2d(events, weights, padding=1).sum(), weights)[0]
    torch.testing.assert_close(weights.grad, wanted)
