"""Conversion of whole networks: what is folded, floats and integers, the collapse at T = 2."""

# Through these also model.ops.clipped_relu.

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikewright.golden.models import reference
from spikewright.golden.network.trace import compare
from spikewright.model import data
from spikewright.model.compression.conversion import RULES, Spikes
from spikewright.model.export import export
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.recipes import recipe
from spikewright.model.recipes.stages import Stage
from spikewright.model.training import stage_network, transfer
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.run import Run
from spikewright.model.training.simulate import simulate
from spikewright.model.training.train import HISTORY_NAME, train

DEEP: dict[str, Any] = {
    "name": "deep",
    "data": "digits",
    "timesteps": 2,
    "layers": ["8C3", "8C3", "M2", "8R3", "24", "10"],
    "neuron": {"surrogate": "rectangle", "membrane_bits": 16},
    "quantization": {"weight_bits": 8},
    "training": {"epochs": 8, "batch_size": 64, "learning_rate": 0.01, "shift": 1, "threads": 1},
    "stages": [
        {"kind": "ann", "name": "dense", "activation": "clip"},
        {"kind": "snn", "convert": "scaled", "epochs": 6, "learning_rate": 0.01,
         "training": {"freeze": 0.0}},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def dense() -> AnnNetwork:
    """A trained ANN with clipped activations and a residual block."""
    run = Run(recipe.from_dict(DEEP))
    for _ in range(8):
        run.one_epoch(lambda *_: None)
    network = run.trainer.network
    assert isinstance(network, AnnNetwork)
    return network


def converted(dense: AnnNetwork, spikes: list[Spikes], timesteps: int) -> SpikingNetwork:
    stage = Stage("snn", timesteps=timesteps)
    network = stage_network.build(stage, recipe.from_dict(DEEP).of_stage(stage))
    assert isinstance(network, SpikingNetwork)
    network.load_state_dict(dense.state_dict())
    transfer.adopt(network, spikes)
    return network


def test_the_clip_is_trained(dense: AnnNetwork) -> None:
    ceilings = [layer.theta.item() for layer in dense.layers]
    assert all(0.5 < mu < 4.5 for mu in ceilings)
    assert all(mu != 4.0 for mu in ceilings)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_integers_follow_the_floats(batch_norm: bool) -> None:
    """Both compute one network: spike by spike, but for neurons that rounding decides."""
    content = {**DEEP, "neuron": {"membrane_bits": 20, "batch_norm": batch_norm}}
    whole = recipe.from_dict(content)
    ann = stage_network.build(whole.plan()[0], whole.of_stage(whole.plan()[0]))
    assert isinstance(ann, AnnNetwork)
    digits = data.load("digits")
    ann.train()
    images = torch.from_numpy(digits.train_x[:256].astype(np.float32))
    ann(images)
    rng = np.random.default_rng(0)
    spikes = [Spikes(*rng.uniform(0.3, 0.9, 2), rng.uniform(-0.1, 0.1)) for _ in ann.layers]
    spiking = SpikingNetwork(whole.of_stage(whole.plan()[1]))
    spiking.load_state_dict(ann.state_dict())
    transfer.adopt(spiking, spikes)
    floats = simulate(ann, spikes, digits.test_x, digits.test_y, 2).spike_rate
    whole_numbers = evaluate(spiking, digits.test_x, digits.test_y).sent
    assert list(floats) == list(whole_numbers)
    for name, rate in floats.items():
        assert whole_numbers[name] == pytest.approx(rate, abs=0.03)
    assert max(floats.values()) > 0.05


def test_scaling_is_what_makes_two_steps_work(dense: AnnNetwork) -> None:
    digits = data.load("digits")
    images, labels = digits.test_x, digits.test_y
    score = evaluate(dense, images, labels).accuracy
    accuracy = {}
    for rule in RULES:
        spikes = transfer.found(dense, digits.train_x, rule, 2)
        accuracy[rule] = simulate(dense, spikes, images, labels, 2).accuracy
    assert score > 0.9
    assert accuracy["scaled"] > accuracy["clip"] + 0.1
    assert accuracy["scaled"] > accuracy["maximum"] + 0.2
    many = transfer.found(dense, digits.train_x, "clip", 64)
    assert simulate(dense, many, images, labels, 64).accuracy > score - 0.08


def test_a_converted_network_is_exported_exactly(dense: AnnNetwork) -> None:
    digits = data.load("digits")
    spikes = transfer.found(dense, digits.train_x, "scaled", 3)
    network = converted(dense, spikes, 3)
    result = compare(
        reference.run(export(network), digits.test_x[:12]), network.trace(digits.test_x[:12])
    )
    assert result.first is None
    floats = simulate(dense, spikes, digits.test_x, digits.test_y, 3).accuracy
    assert evaluate(network, digits.test_x, digits.test_y).accuracy > floats - 0.08


def test_a_run_converts_and_fine_tunes(tmp_path: Path) -> None:
    dense, spiking = DEEP["stages"]
    short = {**DEEP, "stages": [{**dense, "epochs": 4}, {**spiking, "epochs": 3}]}
    result = train(recipe.from_dict(short), tmp_path)
    stages = json.loads((tmp_path / HISTORY_NAME).read_text())["summary"]["stages"]
    assert [line["kind"] for line in stages] == ["ann", "snn"]
    assert "converted_accuracy" not in stages[0]
    before = stages[1]["converted_float_accuracy"], stages[1]["converted_accuracy"]
    assert 0.2 < min(before) <= max(before) < stages[1]["validation_accuracy"]
    assert result.network.timesteps == 2
    assert result.test_accuracy > 0.8
