"""Synapses that keep every weight nonzero: in the quantiser, so that signs stay free to change."""

from __future__ import annotations

import pytest
import torch

from spikewright.model import architecture
from spikewright.model.layers import shortcut
from spikewright.model.layers.synapse import Synapse


def synapses(words: tuple[str, ...], seed: int = 0) -> list[Synapse]:
    """Random weights, of which a third is kept, some exactly 0."""
    generator = torch.Generator().manual_seed(seed)
    layers = architecture.parse("test", words, (3, 8, 8), 255, 255, (4,))
    found = [Synapse(path, 1.0, generator) for path in architecture.weighted(layers)]
    for synapse in found:
        synapse.keep_nonzero = True
        synapse.mask.copy_(torch.rand(synapse.mask.shape, generator=generator) < 0.3)
        synapse.apply_mask()
        with torch.no_grad():
            synapse.weight[synapse.weight.abs() < synapse.weight.std() / 20] = 0
    return found


def test_only_kept_weights_that_round_to_0_change() -> None:
    for synapse in synapses(("16C3", "24", "10")):
        before = synapse.weight.detach().clone()
        whole, scale = synapse.integers()
        synapse.keep_nonzero = False
        plain, same_scale = synapse.integers()
        assert torch.equal(scale, same_scale)
        assert torch.equal(whole != 0, synapse.mask != 0)
        lost = (synapse.mask != 0) & (plain == 0)
        assert bool(lost.any())
        assert torch.equal(whole[~lost], plain[~lost])
        assert torch.equal(whole[lost], torch.where(before[lost] < 0, -1.0, 1.0))
        assert torch.equal(synapse.weight, before)


def test_gradients_pass_as_if_nothing_were_changed() -> None:
    for synapse in synapses(("16C3", "24", "10"), seed=1):
        grads = []
        for keep in (True, False):
            synapse.keep_nonzero, synapse.weight.grad = keep, None
            whole, _ = synapse.integers()
            whole.backward(torch.randn(whole.shape, generator=torch.Generator().manual_seed(2)))
            assert synapse.weight.grad is not None
            grads.append(synapse.weight.grad.clone())
        assert torch.equal(*grads)


@pytest.mark.parametrize("rate", [0.001, 0.1])
def test_small_steps_carry_kept_weights_across_0(rate: float) -> None:
    """A step that is smaller than half a level must add up with the next one."""
    (synapse,) = synapses(("10",), seed=3)
    start, before = synapse.integers()[0].detach(), synapse.weight.detach().clone()
    largest = before.abs() == before.abs().max()  # it holds the scale
    wanted = torch.where(largest, start, -start.sign())
    optimizer = torch.optim.Adam([synapse.weight], lr=rate * float(before.abs().max()))
    for _ in range(int(4 / rate)):
        loss = (synapse.integers()[0] - wanted).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        synapse.apply_mask()
        with torch.no_grad():
            synapse.weight[largest] = before[largest]
    found = synapse.integers()[0].detach()
    assert torch.equal(found != 0, synapse.mask != 0)
    flipped = (found.sign() != start.sign()) & (synapse.mask != 0)
    assert float(flipped.sum() / synapse.mask.count_nonzero()) > 0.9


def test_before_it_is_pruned_a_weight_may_be_0() -> None:
    for synapse in synapses(("16C3", "24", "10"), seed=4):
        synapse.mask.fill_(1)
        assert bool((synapse.integers()[0] == 0).any())


def test_float_weights_are_left_alone() -> None:
    for synapse in synapses(("16C3", "24", "10"), seed=5):
        synapse.rounded = False
        whole, scale = synapse.integers()
        unit = scale.reshape(-1, *[1] * (whole.ndim - 1))
        assert torch.equal(whole, synapse.weight / unit)


def test_two_paths_of_one_scale_keep_theirs() -> None:
    first, second = synapses(("4C3", "6R3", "10"), seed=6)[2:4]
    assert first.layer.shape == second.layer.shape
    *both, _ = shortcut.integers(first, second)
    for whole, synapse in zip(both, (first, second), strict=True):
        assert torch.equal(whole != 0, synapse.mask != 0)
