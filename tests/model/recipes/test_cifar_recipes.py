"""The recipes for CIFAR-10: one batch through every stage at a sixteenth of their width."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikewright.golden.models import reference
from spikewright.golden.network.trace import compare
from spikewright.model.data import DataSet
from spikewright.model.export import export
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.layers.teacher import Teacher
from spikewright.model.recipes import recipe, stages
from spikewright.model.training.trainer import Inheritance, Trainer

CIFAR = [name for name in recipe.names() if name.startswith("cifar-")]
SMALL = {"width": 0.0625, "training.epochs": 1, "training.batch_size": 8, "training.warmup": 0}
HALF = {"cifar-attention": {"pruning.density": 0.5}}  # of 36 weights, 3 % would be one


def colours() -> DataSet:
    """Twenty random images in the format of CIFAR-10."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 3, 32, 32)).astype(np.uint8)
    labels = rng.integers(0, 10, 24)
    parts = images[:20], labels[:20], images[20:], labels[20:]
    return DataSet("cifar-10", *parts, 10, 8, "direct")


def test_all_named_networks_have_a_recipe() -> None:
    nets = ["resnet12", "resnet20", "vgg11", "vgg16", "vgg9"]
    assert CIFAR == ["cifar-attention", *(f"cifar-{net}" for net in nets)]
    for name in CIFAR:
        whole = recipe.load(name)
        word = name.removeprefix("cifar-")
        assert whole.topology == ("vgg16" if word == "attention" else word)
        assert whole.architecture()[0].shape == (64, 32, 32)


@pytest.mark.parametrize("name", CIFAR)
def test_one_batch_of_every_stage(name: str) -> None:
    whole, dataset = recipe.load(name, SMALL | HALF.get(name, {})), colours()
    networks: dict[str, LayeredNetwork] = {}
    for place, stage in enumerate(whole.plan()):
        part = whole.of_stage(stage, {"training": {"epochs": 1}})
        before, guide = stages.source(whole.plan(), place), stages.teacher(whole.plan(), place)
        source = networks[before.name] if before else None
        teacher = Teacher(networks[guide.name]) if guide else None
        trainer = Trainer(part, dataset, stage, Inheritance(source, teacher))
        for layer in trainer.network.layers:
            layer.momentum = 1.0  # the statistics of one batch are all there are
        images, labels = dataset.train_x[:8], dataset.train_y[:8]
        start = {key: value.clone() for key, value in trainer.network.state_dict().items()}
        loss = trainer.one_step(0, *tensors(images, labels))
        assert 0 < loss < 50
        after = trainer.network.state_dict()
        moved = [key for key in start if "weight" in key and not (start[key] == after[key]).all()]
        assert len(moved) >= 0.9 * sum("weight" in key for key in start)
        trainer.network(tensors(images, labels)[0])  # and those of its new weights
        networks[stage.name] = trainer.network
    last = trainer.network  # type: ignore[possibly-unbound] (no recipe is without stages)
    assert isinstance(last, SpikingNetwork)
    actual = last.trace(dataset.test_x)
    assert compare(reference.run(export(last), dataset.test_x), actual).first is None


def tensors(images: np.ndarray, labels: np.ndarray):
    return torch.from_numpy(images.astype(np.float32)), torch.from_numpy(labels)
