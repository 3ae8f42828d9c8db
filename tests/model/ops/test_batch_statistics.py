"""Batch statistics in one pass, and maps with channels last, against plain torch."""

from __future__ import annotations

import pytest
import torch

from spikewright.model.ops import channels_last
from spikewright.model.ops.batch_statistics import moments
from spikewright.model.runtime.memory import keep_freed_memory

SHAPES = [(64, 5), (6, 3, 4, 5), (1, 7, 1, 1), (9, 16, 8, 8)]


def drive(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-900, 1000, shape, generator=generator).to(torch.float32)


def plain(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    samples = x.to(torch.float64).reshape(*x.shape[:2], -1)
    var, mean = torch.var_mean(samples, dim=(0, 2), correction=0)
    return mean, var


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("last", [True, False])
def test_values_and_gradients(shape: tuple[int, ...], last: bool) -> None:
    ours, theirs = drive(shape).requires_grad_(), drive(shape).requires_grad_()
    weights = torch.randn(2, shape[1], dtype=torch.float64)
    found, wanted = moments(channels_last.channels_last(ours) if last else ours), plain(theirs)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-9)
    for values in (found, wanted):
        sum((w * v).sum() for w, v in zip(weights, values, strict=True)).backward()
    assert ours.grad is not None
    assert float(ours.grad.abs().max()) > 0
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5)


def test_sums_of_whole_numbers_do_not_depend_on_threads_or_order() -> None:
    x, before, found = drive((64, 6, 7, 7)), torch.get_num_threads(), []
    for threads, rows in ((1, x), (2, x), (4, x.flip(0)), (1, x.flip(3))):
        torch.set_num_threads(threads)
        found.append(moments(rows))
    torch.set_num_threads(before)
    for mean, var in found[1:]:
        assert torch.equal(mean, found[0][0])
        assert torch.equal(var, found[0][1])


def test_a_constant_channel_has_no_variance_and_no_negative_one() -> None:
    mean, var = moments(torch.full((5, 2, 3, 3), 0.1))
    assert float(mean[0]) == pytest.approx(0.1)
    assert 0 <= float(var.min()) <= 1e-15


@pytest.mark.parametrize("shape", [(3, 4, 5), (7,)])
def test_planes_there_and_back(shape: tuple[int, ...]) -> None:
    x = drive((2, *shape))
    assert torch.equal(channels_last.shaped(channels_last.flat(x), shape), x)
    values = torch.arange(shape[0], dtype=torch.float32)
    each = channels_last.shaped(channels_last.per_neuron(values, shape)[None], shape)
    assert all(bool((each[0, c] == c).all()) for c in range(shape[0]))


def test_flat_of_channels_last_is_a_view() -> None:
    x = channels_last.channels_last(drive((2, 3, 4, 5)))
    assert channels_last.flat(x).data_ptr() == x.data_ptr()


def test_freed_memory_is_kept_on_linux() -> None:
    assert keep_freed_memory()
