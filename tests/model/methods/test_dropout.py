"""Dropout: one mask for all steps of an image, reproducible, absent from what is exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikewright.model import data
from spikewright.model.methods.dropout import Dropout, dropped
from spikewright.model.recipes import recipe
from spikewright.model.training.train import NETWORK_NAME, train
from spikewright.model.training.trainer import Trainer

OPTIONS: dict[str, Any] = {
    "name": "x",
    "data": "digits",
    "timesteps": 3,
    "layers": ["8C3", "P2", "16", "10"],
    "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01, "dropout": 0.25},
}


def test_a_mask_holds_over_time_and_differs_between_images() -> None:
    sent = torch.ones(4 * 50, 6, 5, 5)
    found = dropped(sent, 50, 0.25, torch.Generator().manual_seed(0)).reshape(4, 50, 6, 5, 5)
    assert all(torch.equal(found[0], found[step]) for step in range(1, 4))
    assert not torch.equal(found[0, 0], found[0, 1])
    assert torch.equal(found.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert abs(found.mean().item() - 1) < 0.02


def test_steps_draw_anew_and_the_same_again() -> None:
    trainer = Trainer(recipe.from_dict(OPTIONS), data.load("digits"))
    (method,) = (m for m in trainer.methods if isinstance(m, Dropout))
    network, images = trainer.network, torch.from_numpy(trainer.images[:8].astype(np.float32))
    network.train()
    network.freeze()  # so that nothing else changes between two passes
    found = []
    for step in (3, 3, 4):
        method.before_step(step)
        found.append(network(images))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    network.eval()
    assert torch.equal(network(images), network(images))
    without = recipe.from_dict({**OPTIONS, "training": {"epochs": 2}})
    other = Trainer(without, data.load("digits")).network.eval()
    assert torch.equal(network(images), other(images))


def test_a_run_with_dropout_is_exact_and_byte_identical(tmp_path: Path) -> None:
    for name in "ab":
        train(recipe.from_dict(OPTIONS), tmp_path / name)  # compares with the golden reference
    first, second = ((tmp_path / name / NETWORK_NAME).read_bytes() for name in "ab")
    assert first == second
