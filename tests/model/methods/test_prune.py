"""Pruning: formulas by hand, budgets that are never exceeded, masks that survive every step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikewright.model import data
from spikewright.model.compression.magnitude import erk_densities, lamp_scores, magnitude_masks
from spikewright.model.data import augment, batches
from spikewright.model.export import export
from spikewright.model.methods.prune import Pruner, target_density
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.sections import ALLOCATIONS, Pruning
from spikewright.model.training.trainer import Trainer


def test_lamp_by_hand() -> None:
    scores = lamp_scores(np.array([[3.0, -1.0], [0.0, 2.0]]))
    np.testing.assert_allclose(scores, [[1, 1 / 14], [0, 4 / 13]], rtol=1e-12)


def test_lamp_of_equal_weights_adds_up_by_order() -> None:
    np.testing.assert_allclose(
        lamp_scores(np.array([1.0, 1.0, 1.0])), [1 / 3, 1 / 2, 1], rtol=1e-12
    )


def test_lamp_keeps_the_largest_of_every_layer() -> None:
    weights = [np.array([1e-6, 1e-7]), np.linspace(1, 2, 98)]
    masks = magnitude_masks(weights, 0.02, "lamp")
    assert [m.sum() for m in masks] == [1, 1]
    assert masks[0].tolist() == [True, False]


def test_erk_by_hand() -> None:
    # raw scores (4+4)/16 = 1/2 and (16+16)/256 = 1/8; 0.25 * 272 = 68 = f * (8 + 32), f = 1.7
    assert erk_densities([(4, 4), (16, 16)], 0.25) == pytest.approx([0.85, 0.2125])
    # f = 0.5 * 272 / 40 = 3.4 would give 1.7 in the first: kept whole, (136 - 16) / 32 / 8 remain
    assert erk_densities([(4, 4), (16, 16)], 0.5) == pytest.approx([1.0, 120 / 256])
    # a convolution counts its kernel sides
    raw = (8 + 4 + 3 + 3) / (8 * 4 * 9)
    assert erk_densities([(8, 4, 3, 3)], 0.3) == pytest.approx([0.3])
    conv, flat = erk_densities([(8, 4, 3, 3), (50, 60)], 0.1)
    assert conv / flat == pytest.approx(raw / (110 / 3000))


def test_global_and_uniform_by_hand() -> None:
    weights = [np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, -40, 50, 60])]
    assert [m.tolist() for m in magnitude_masks(weights, 0.3, "global")] == [
        [False] * 4,
        [False] * 3 + [True] * 3,
    ]
    assert [int(m.sum()) for m in magnitude_masks(weights, 0.5, "uniform")] == [2, 3]
    assert magnitude_masks(weights, 0.5, "uniform")[0].tolist() == [False, False, True, True]


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("density", [0.013, 0.1, 0.37, 1.0])
def test_budget_is_never_exceeded(allocation: str, density: float) -> None:
    rng = np.random.default_rng(0)
    weights = [
        rng.normal(size=s) * w
        for s, w in (((16, 1, 3, 3), 1), ((32, 16, 3, 3), 0.1), ((10, 512), 5))
    ]
    masks = magnitude_masks(weights, density, allocation)
    kept, total = sum(int(m.sum()) for m in masks), sum(w.size for w in weights)
    assert kept <= density * total
    assert kept >= density * total - 3
    ties = magnitude_masks([np.ones((4, 5)), np.ones(30)], density, allocation)
    assert sum(int(m.sum()) for m in ties) <= density * 50


def test_cubic_schedule() -> None:
    pruning = Pruning(0.2, begin=0.2, end=0.6)
    assert target_density(pruning, 0.19) == 1
    assert target_density(pruning, 0.4) == pytest.approx(0.2 + 0.8 / 8)
    assert target_density(pruning, 0.6) == target_density(pruning, 1) == 0.2


def test_mask_survives_every_step(tiny: Recipe) -> None:
    trainer = Trainer(tiny, data.load("digits"))
    trainer.network.train()
    (pruner,) = (method for method in trainer.methods if isinstance(method, Pruner))
    targets, previous = [], None
    for step in range(trainer.steps):
        pixels = trainer.images[step % 5 * 64 : step % 5 * 64 + 64]
        due = step in pruner.due
        trainer.one_step(step, torch.from_numpy(pixels.astype(np.float32)), torch.arange(64) % 10)
        masks = [s.mask.clone() for s in trainer.network.synapses()]
        for synapse, mask in zip(trainer.network.synapses(), masks, strict=True):
            assert not bool(synapse.weight[mask == 0].any())
            integers, _ = synapse.integers()
            assert not bool(integers[mask == 0].any())
        if previous is not None:
            assert all(bool((new <= old).all()) for new, old in zip(masks, previous, strict=True))
            changed = any(
                not torch.equal(new, old) for new, old in zip(masks, previous, strict=True)
            )
            assert due or not changed
        previous = masks
        kept = sum(int(m.sum()) for m in masks) / sum(m.numel() for m in masks)
        targets.append(kept)
    assert targets[0] == 1
    assert 0.45 < targets[-1] <= 0.5
    moments = trainer.optimizer.state_dict()["state"]
    assert moments  # Adam kept its momentum: the mask had to be applied after it
    assert export(trainer.network).density <= 0.5


def test_shifts() -> None:
    image = np.arange(1, 10, dtype=np.uint8).reshape(1, 1, 3, 3)
    moved = augment.shifted(np.repeat(image, 3, 0), np.array([[0, 0], [1, 0], [-1, -1]]), 1)
    assert (moved[0] == image[0]).all()
    assert moved[1, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert moved[2, 0].tolist() == [[5, 6, 0], [8, 9, 0], [0, 0, 0]]


def test_validation_is_no_part_of_training() -> None:
    chosen, held = batches.split(1437, 0.1, 3)
    assert len(held) == 144
    assert sorted([*chosen, *held]) == list(range(1437))
    assert (batches.split(1437, 0.1, 3)[1] == held).all()
    assert (batches.split(1437, 0.1, 4)[1] != held).any()
