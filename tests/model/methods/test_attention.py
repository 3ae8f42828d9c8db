"""Attention transfer and distillation: formulas by hand, a teacher that never changes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.layers.teacher import Teacher
from spikewright.model.methods.attention import (
    AttentionTransfer,
    attention_map,
    compared,
    distance,
    per_image,
)
from spikewright.model.methods.base import Batch
from spikewright.model.methods.distill import divergence
from spikewright.model.recipes import recipe
from spikewright.model.training.trainer import Inheritance, Trainer

TAUGHT: dict[str, Any] = {
    "name": "taught",
    "data": "digits",
    "timesteps": 2,
    "layers": ["4C3", "6C3", "P2", "5C3", "12", "10"],
    "training": {"epochs": 1, "batch_size": 128, "learning_rate": 0.02, "threads": 1},
    "stages": [{"kind": "ann"}, {"kind": "snn", "start": "fresh", "distill": "both"}],
}


def test_map_by_hand() -> None:
    # energies (mean of squares over channels): (1 + 9) / 2 = 5 and (4 + 0) / 2 = 2
    sent = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])
    expected = torch.tensor([[5.0, 2.0]]) / math.sqrt(29)
    assert torch.allclose(attention_map(sent), expected)
    assert torch.equal(attention_map(torch.zeros(1, 2, 1, 2)), torch.zeros(1, 2))
    assert torch.allclose(attention_map(7 * sent), expected)


def test_distance_by_hand() -> None:
    one = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 0.0]]]])
    other = torch.tensor([[[[0.0, 3.0]]], [[[2.0, 0.0]]]], requires_grad=True)
    gap = distance(one, other)
    assert float(gap.detach()) == pytest.approx(math.sqrt(2) / 2)  # one image of two differs
    gap.backward()
    assert other.grad is not None
    assert bool(other.grad.isfinite().all())
    assert not bool(other.grad[1].any())  # equal maps: no slope, and no division by 0


def test_last_convolution_of_every_size_is_compared() -> None:
    layers = recipe.from_dict(TAUGHT).architecture()[:-1]
    assert [layer.name for layer in layers] == ["conv1", "conv2", "conv3", "fc4"]
    assert compared(layers) == [1, 2]
    assert compared(layers[:1]) == [0]
    assert compared(layers[3:]) == []


def test_spikes_count_by_their_rate() -> None:
    spikes = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 1.0]]], [[[1.0, 0.0]]], [[[0.0, 1.0]]]])
    # two steps of two images: rates (1, 0) and (0.5, 1)
    assert per_image(spikes, 2).tolist() == [[[[1.0, 0.0]]], [[[0.5, 1.0]]]]


def test_divergence_by_hand() -> None:
    teacher, student = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    p = math.exp(1) / (math.exp(1) + 1)
    expected = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    assert float(divergence(teacher, student, 2.0)) == pytest.approx(4 * expected, rel=1e-5)
    assert float(divergence(teacher, teacher, 2.0)) == pytest.approx(0, abs=1e-6)


def taught(**keys: Any) -> Trainer:
    staged = recipe.from_dict(TAUGHT)
    stage = staged.plan()[1]
    for key, value in keys.items():
        object.__setattr__(stage, key, value)
    teaching = staged.plan()[0]
    before = Trainer(staged.of_stage(teaching), data.load("digits"), teaching)
    before.one_epoch(lambda *_: None)
    inherited = Inheritance(None, Teacher(before.network))
    return Trainer(staged.of_stage(stage), data.load("digits"), stage, inherited)


def test_loss_is_half_the_weighted_sum_over_layers() -> None:
    trainer = taught()
    (method,) = (m for m in trainer.methods if isinstance(m, AttentionTransfer))
    method.weight = 3.0
    images = torch.from_numpy(trainer.images[:8]).float()
    sent: list[torch.Tensor] = []
    logits, factor = trainer.network.logits_and_scale(images, sent)
    found = method.loss(Batch(0, images, torch.zeros(8), logits * factor, sent))
    _, answers = method.teacher.answer(images)
    expected = sum(float(distance(answers[n], per_image(sent[n], 8)).detach()) for n in (1, 2))
    assert found is not None
    assert float(found.detach()) == pytest.approx(1.5 * expected, rel=1e-5)
    assert found.requires_grad


def test_teacher_never_changes_and_answers_once() -> None:
    trainer = taught()
    teacher = trainer.inherited.teacher
    assert teacher is not None
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    trainer.one_epoch(lambda *_: None)
    for name, value in teacher.network.state_dict().items():
        assert torch.equal(before[name], value)
    assert not any(p.requires_grad for p in teacher.network.parameters())
    images = torch.from_numpy(trainer.images[:4]).float()
    assert teacher.answer(images) is teacher.answer(images)
    assert teacher.answer(images.clone()) is not teacher.answer(images)


@pytest.mark.parametrize("distill", ["attention", "logits"])
def test_students_come_closer(distill: str) -> None:
    def gap(weight: float) -> float:
        trainer = taught(distill=distill, attention_weight=weight, logits_weight=weight)
        trainer.one_epoch(lambda *_: None)
        trainer.network.eval()
        teacher = trainer.inherited.teacher
        assert teacher is not None
        images = torch.from_numpy(trainer.validation[0]).float()
        sent: list[torch.Tensor] = []
        with torch.no_grad():
            logits, factor = trainer.network.logits_and_scale(images, sent)
            answer, taught_sent = teacher.answer(images)
            if distill == "logits":
                return float(divergence(answer, logits * factor, 4.0))
            return sum(
                float(distance(taught_sent[n], per_image(sent[n], len(images)))) for n in (1, 2)
            )

    assert gap(30.0) < 0.95 * gap(0.0)


def test_a_stage_without_a_teacher_is_refused() -> None:
    stages = [{"kind": "snn"}, {"kind": "snn", "distill": "logits"}]
    with pytest.raises(BadInput, match=r"distill is 'logits', must be after a stage of kind ann"):
        recipe.from_dict({**TAUGHT, "stages": stages})


def test_scaled_logits_of_a_teacher_are_those_of_its_loss() -> None:
    staged = recipe.from_dict(TAUGHT)
    network = AnnNetwork(staged.of_stage(staged.plan()[0]))
    images = torch.from_numpy(data.load("digits").test_x[:4]).float()
    logits, factor = network.eval().logits_and_scale(images)
    answer, sent = Teacher(network).answer(images)
    assert torch.equal(answer, (logits * factor).detach())
    assert [tuple(s.shape[1:]) for s in sent] == [(4, 8, 8), (6, 8, 8), (5, 4, 4), (12,)]
    assert float(functional.cross_entropy(answer, torch.zeros(4, dtype=torch.int64))) < 10
