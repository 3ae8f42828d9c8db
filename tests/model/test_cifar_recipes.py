"""The recipes for CIFAR-10: one batch through every stage at a sixteenth of their width."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from golden import reference
from golden.trace import compare
from model import recipe
from model.data import DataSet
from model.export import export
from model.spiking import SpikingNetwork
from model.trainer import Inheritance, Trainer

CIFAR = [name for name in recipe.names() if name.startswith("cifar-")]
SMALL = {"width": 0.0625, "training.epochs": 1, "training.batch_size": 8, "training.warmup": 0}


def colours() -> DataSet:
    """Twenty random images in the format of CIFAR-10."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, 10, 24)
    parts = images[:20], labels[:20], images[20:], labels[20:]
    return DataSet("cifar-10", *parts, 10, 8, "direct")


def test_all_named_networks_have_a_recipe() -> None:
    assert CIFAR == ["cifar-resnet12", "cifar-resnet20", "cifar-vgg11", "cifar-vgg16", "cifar-vgg9"]
    for name in CIFAR:
        whole = recipe.load(name)
        assert whole.topology == name.removeprefix("cifar-")
        assert whole.architecture()[0].shape == (64, 32, 32)


@pytest.mark.parametrize("name", CIFAR)
def test_one_batch_of_every_stage(name: str) -> None:
    whole, dataset = recipe.load(name, SMALL), colours()
    source = None
    for stage in whole.plan():
        part = whole.of_stage(stage, {"training": {"epochs": 1}})
        trainer = Trainer(part, dataset, stage, Inheritance(source))
        images, labels = dataset.train_x[:8], dataset.train_y[:8]
        before = {key: value.clone() for key, value in trainer.network.state_dict().items()}
        loss = trainer.one_step(0, *tensors(images, labels))
        assert 0 < loss < 50
        after = trainer.network.state_dict()
        moved = [key for key in before if "weight" in key and not (before[key] == after[key]).all()]
        assert len(moved) >= 0.9 * sum("weight" in key for key in before)
        source = trainer.network
    assert isinstance(source, SpikingNetwork)
    actual = source.trace(dataset.test_x)
    assert compare(reference.run(export(source), dataset.test_x), actual).first is None


def tensors(images: np.ndarray, labels: np.ndarray):
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels)
