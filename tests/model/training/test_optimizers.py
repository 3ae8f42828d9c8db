"""Optimisers by hand: schedules, rates by kind of parameter, decoupled decay, label smoothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from spikewright.model import data
from spikewright.model.recipes import recipe
from spikewright.model.recipes.sections import Training
from spikewright.model.training import optimizers
from spikewright.model.training.trainer import Trainer

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": "digits",
    "timesteps": 2,
    "layers": ["4C3", "P2", "10"],
    "neuron": {"leak": "learned"},
    "stages": [{"kind": "snn"}],
}


def trainer(**training: Any) -> Trainer:
    table = {"epochs": 1, "batch_size": 64, "images": 200, "threads": 1, **training}
    return Trainer(recipe.from_dict({**TINY, "training": table}), data.load("digits"))


def one_step(found: Trainer, step: int = 3) -> float:
    images = torch.from_numpy(found.images[:64].astype(np.float32))
    return found.one_step(step, images, torch.from_numpy(found.labels[:64]))


def values(found: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in found.network.named_parameters()}


@pytest.mark.parametrize(
    ("schedule", "final", "middle", "last"),
    [("cosine", 0.0, 0.5, 0.0), ("linear", 0.0, 0.5, 0.0), ("linear", 0.2, 0.6, 0.2),
     ("cosine", 0.1, 0.55, 0.1), ("constant", 0.0, 1.0, 1.0)],
)  # fmt: skip
def test_schedules(schedule: str, final: float, middle: float, last: float) -> None:
    training = Training(
        epochs=1, learning_rate=2.0, warmup=0.2, schedule=schedule, final_rate=final
    )
    rate = [optimizers.learning_rate(training, step, 100) for step in range(101)]
    assert rate[0] == 2 / 20
    assert rate[9] == pytest.approx(1.0)
    assert rate[20] == 2.0
    assert rate[60] == pytest.approx(2 * middle)
    assert rate[100] == pytest.approx(2 * last)
    if schedule == "cosine" and not final:
        assert rate[40] == pytest.approx(2 * 0.5 * (1 + math.cos(math.pi / 4)))
    if schedule == "linear" and not final:
        assert rate[40] == pytest.approx(1.5)


def test_each_kind_has_its_rate() -> None:
    rates = {"bias_rate": 0.0, "gain_rate": 0.5, "threshold_rate": 2.0, "leak_rate": 0.25}
    found = trainer(learning_rate=0.01, warmup=0, schedule="constant", **rates)
    before = values(found)
    one_step(found)
    share = {"beta": 0.0, "gamma": 0.5, "theta": 2.0, "leak": 0.25, "weight": 1.0}
    kinds = set()
    for name, value in values(found).items():
        kind = name.rpartition(".")[2]
        kinds.add(kind)
        moved = (value - before[name]).abs()
        # the first step of Adam is as long as its rate
        assert float(moved.max()) == pytest.approx(0.01 * share[kind], rel=1e-3), name
    assert kinds == set(share)


def test_parameters_of_one_rate_are_one_group() -> None:
    assert len(trainer().optimizer.param_groups) == 1
    assert len(trainer(weight_decay=0.1, bias_rate=3.0).optimizer.param_groups) == 3


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_decay_is_decoupled_and_of_weights_alone(kind: str) -> None:
    """It takes its share before the step, and the gradient and its moments never see it."""
    table = {"optimizer": kind, "learning_rate": 0.02, "warmup": 0, "schedule": "constant"}
    plain, decayed = trainer(**table), trainer(**table, weight_decay=0.5)
    start = values(plain)
    for found in (plain, decayed):
        one_step(found)
    for name, value in values(plain).items():
        change = values(decayed)[name] - value
        if name.endswith("weight"):
            assert torch.allclose(change, -0.02 * 0.5 * start[name], atol=1e-6)
            assert bool(change.any())
        else:
            assert not bool(change.any()), name


def test_adam_with_decay_is_adamw() -> None:
    weight = nn.Parameter(torch.linspace(-1, 1, 7))
    other = nn.Parameter(weight.detach().clone())
    network = nn.Module()
    network.register_parameter("weight", weight)
    training = Training(epochs=1, weight_decay=0.1, learning_rate=0.05)
    ours = optimizers.build(network, training)
    theirs = torch.optim.AdamW([other], lr=0.05, weight_decay=0.1)
    for _ in range(5):
        for each, optimizer in ((weight, ours), (other, theirs)):
            optimizer.zero_grad()
            (each.square() * torch.arange(7)).sum().backward()
            if optimizer is ours:
                optimizers.shrink_weights(ours)
            optimizer.step()
    assert torch.equal(weight, other)


def test_sgd_is_that_of_nesterov() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    network = nn.Module()
    network.register_parameter("weight", weight)
    training = Training(epochs=1, optimizer="sgd", momentum=0.8, learning_rate=0.1)
    optimizer = optimizers.build(network, training)
    place, speed = 2.0, 0.0
    for _ in range(4):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
        slope = 2 * place
        speed = 0.8 * speed + slope
        place -= 0.1 * (slope + 0.8 * speed)
        assert weight.item() == pytest.approx(place, rel=1e-4)


def test_label_smoothing_is_of_the_training_loss() -> None:
    plain, smooth = one_step(trainer()), one_step(trainer(label_smoothing=0.2))
    assert plain != smooth
    logits, labels = torch.randn(4, 10), torch.arange(4)
    target = functional.one_hot(labels, 10) * 0.8 + 0.2 / 10
    by_hand = -(target * logits.log_softmax(1)).sum(1).mean()
    assert torch.allclose(functional.cross_entropy(logits, labels, label_smoothing=0.2), by_hand)


@pytest.mark.parametrize("way", ["momentum", "gradual", "admm"])
def test_methods_work_with_sgd(way: str) -> None:
    table = {"epochs": 3, "batch_size": 64, "images": 300, "threads": 1, "optimizer": "sgd",
             "learning_rate": 0.2, "weight_decay": 0.001, "average": "lookahead"}  # fmt: skip
    stages = [{"kind": "snn", "sparse": way, "weights": "float" if way == "admm" else "quantized"},
              {"kind": "snn", "epochs": 1}]  # fmt: skip
    whole = recipe.from_dict(
        {
            **TINY,
            "pruning": {"density": 0.3, "allocation": "erk"},
            "training": table,
            "stages": stages,
        }
    )
    (first, _) = whole.plan()
    found = Trainer(whole.of_stage(first), data.load("digits"), first)
    for _ in range(3):
        found.one_epoch(lambda *_: None)
    assert found.network.density() <= 0.3 if way != "admm" else True
    assert found.history[-1]["validation_accuracy"] > 0.2
