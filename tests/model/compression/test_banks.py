"""Bank-balanced pruning: slices by hand; equal counts in every bank after each step, at export."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.compression.banks import bank_masks, least_weights
from spikewright.model.export import export
from spikewright.model.recipes import recipe
from spikewright.model.recipes.sections import ALLOCATIONS
from spikewright.model.training.trainer import Trainer

BANKED: dict[str, Any] = {
    "name": "banked",
    "data": "digits",
    "timesteps": 2,
    "layers": ["8C3", "P2", "12", "10"],
    "pruning": {"density": 0.5, "structure": "bank", "banks": [4, 4, 2]},
    "training": {"epochs": 3, "batch_size": 128, "learning_rate": 0.02, "threads": 1},
}


def counts(kept: np.ndarray, banks: int) -> np.ndarray:
    """(row, bank): how many weights each bank keeps of each row."""
    rows = kept.reshape(*kept.shape[:2], -1).sum(axis=2)  # (out, in)
    return np.stack([rows[bank::banks].sum(axis=0) for bank in range(banks)], axis=1)


def balanced(kept: np.ndarray, banks: int) -> bool:
    found = counts(kept, banks)
    return bool((found == found[:, :1]).all())


def test_slices_by_hand() -> None:
    # channels 0, 2 are bank 0, channels 1, 3 bank 1; columns are rows of the hardware
    weights = np.array([[9.0, 1.0], [1.0, 2.0], [8.0, -3.0], [-5.0, 0.5]])
    # row 0: slices (9, -5), (8, 1); row 1: (-3, 2), (1, 0.5)
    one = [[True, False], [False, True], [False, True], [True, False]]
    assert bank_masks([weights], 0.5, "global", [2])[0].tolist() == one
    two = [[True, False], [True, True], [True, True], [True, False]]  # mean 4.5 beats 0.75
    assert bank_masks([weights], 0.75, "global", [2])[0].tolist() == two
    assert bank_masks([weights], 0.99, "uniform", [2])[0].tolist() == two  # a slice is 2 of 8
    assert bank_masks([weights], 1, "erk", [2])[0].all()


def test_every_row_keeps_its_first_slice() -> None:
    weights = np.array([[9.0, 0.1], [9.0, 0.1], [8.0, 0.1], [8.0, 0.1]])
    mask = bank_masks([weights], 0.5, "lamp", [2])[0]
    assert mask.sum(axis=0).tolist() == [2, 2]


def test_taps_of_a_convolution_are_one_row() -> None:
    weights = np.zeros((2, 1, 3, 3))
    weights[0, 0] = np.arange(9).reshape(3, 3) + 1
    weights[1, 0, 1, 1] = 4
    mask = bank_masks([weights], 3 / 18, "global", [2])[0]
    assert mask[0, 0, 2, 2]
    assert mask[1, 0, 1, 1]
    assert mask.sum() == 2


def test_smaller_slices_of_other_layers_fill_what_is_left() -> None:
    # slices of 2 in the first layer, of 1 in the second: 2 + 2 + 1 must stay, 2 more are best,
    # and of the 8 that may stay 1 is left, which only the second layer can use
    weights = [np.full((4, 2), 5.0), np.ones((2, 1))]
    assert [int(m.sum()) for m in bank_masks(weights, 0.8, "global", [2, 1])] == [6, 2]


@given(st.data())
def test_any_layers(draw: st.DataObject) -> None:
    rng = np.random.default_rng(draw.draw(st.integers(0, 2**32 - 1)))
    allocation = draw.draw(st.sampled_from(ALLOCATIONS))
    layers, banks = [], []
    for _ in range(draw.draw(st.integers(1, 3))):
        out, rows = draw.draw(st.integers(1, 20)), draw.draw(st.integers(1, 12))
        shape = (out, rows, 3, 3) if draw.draw(st.booleans()) else (out, rows)
        layers.append(rng.normal(size=shape) * rng.choice([0.1, 1, 10]))
        banks.append(draw.draw(st.integers(1, out)))
    density = draw.draw(st.floats(0.05, 1))
    try:
        masks = bank_masks(layers, density, allocation, banks)
    except BadInput:
        return
    kept, total = sum(int(m.sum()) for m in masks), sum(w.size for w in layers)
    assert kept <= density * total + 1e-6
    for weights, mask, count in zip(layers, masks, banks, strict=True):
        assert balanced(mask, count)
        per_row = counts(mask, count)[:, 0]
        assert (per_row >= 1).all()
        assert int(mask.sum()) >= least_weights(weights.shape, count)
    if allocation in ("lamp", "global"):
        # nothing more would fit: no layer has a whole slice left that is as small as the rest
        open_sizes = [
            count for w, m, count in zip(layers, masks, banks, strict=True)
            if (counts(m, count)[:, 0] < w.shape[0] // count * (w[0, 0].size)).any()
        ]  # fmt: skip
        assert all(np.floor(density * total + 1e-9) - kept < size for size in open_sizes)


@pytest.mark.parametrize(
    ("density", "allocation", "banks", "message"),
    [
        (0.5, "lamp", [32, 2], "banks of layer '0' is 32, must be at most its 16 channels"),
        (0.1, "lamp", [8, 8], "density is 0.1, must be at least 0.6, which leaves every row"),
        (0.1, "uniform", [4, 4], "banks of layer '0' is 4, must be at most 1, as its rows of 16"),
        (0.1, "uniform", [1, 1], "banks of layer '1' is 1, must be joined by a higher density"),
    ],
)
def test_refusals(density: float, allocation: str, banks: list[int], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        bank_masks([np.ones((16, 20)), np.ones((8, 10))], density, allocation, banks)


@pytest.mark.parametrize(
    ("pruning", "message"),
    [
        ({"banks": [4, 4]}, r"mine: pruning.banks is \[4, 4\], must be 1 number or one for each"),
        ({"banks": 16}, r"mine: pruning: banks of layer 'conv1' is 16, must be at most its 8 chan"),
        ({"banks": 4, "density": 0.05}, r"mine: pruning: density is 0.05, must be at least 0\.\d+"),
        ({"structure": "block"}, r"pruning.structure is 'block', must be one of none, bank"),
        ({"banks": 0}, r"pruning.banks is 0, must be a whole number within 1..64"),
    ],
)
def test_recipes_are_refused_before_training(pruning: dict[str, Any], message: str) -> None:
    content = {**BANKED, "pruning": {**BANKED["pruning"], **pruning}}
    with pytest.raises(BadInput, match=message):
        recipe.from_dict(content, "mine")


def test_exact_after_every_step_and_at_export() -> None:
    trainer = Trainer(recipe.from_dict(BANKED), data.load("digits"))
    network = trainer.network
    network.train()
    banks, previous = (4, 4, 2), None
    for step in range(trainer.steps):
        pixels = trainer.images[step % 5 * 64 : step % 5 * 64 + 64]
        trainer.one_step(step, torch.from_numpy(pixels.astype(np.float32)), torch.arange(64) % 10)
        masks = [s.mask.numpy() != 0 for s in network.synapses()]
        if previous is not None:
            assert all((new <= old).all() for new, old in zip(masks, previous, strict=True))
        previous = [mask.copy() for mask in masks]
        if all(mask.all() for mask in masks):
            continue
        for synapse, mask, count in zip(network.synapses(), masks, banks, strict=True):
            assert balanced(mask, count)
            integers = synapse.integers()[0].detach().numpy()
            assert ((integers != 0) == mask).all()
    assert previous is not None
    kept = sum(int(mask.sum()) for mask in previous)
    total = sum(mask.size for mask in previous)
    assert 0.5 * total - max(banks) < kept <= 0.5 * total
    exported = export(network)
    assert exported.density == kept / total
    for edge, mask, count in zip(exported.edges, previous, banks, strict=True):
        assert edge.synapse is not None
        weight = edge.synapse.weight
        assert ((weight != 0) == mask).all()
        assert balanced(weight != 0, count)
