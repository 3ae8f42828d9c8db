"""Narrow networks, fewer steps, fewer bits, noise and Poisson spikes: method B in a few seconds."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, reference
from spikewright.golden.network import file
from spikewright.golden.network.trace import compare
from spikewright.model import data
from spikewright.model.experiments.noise import scores_under_noise
from spikewright.model.experiments.ptq import recalibrate, requantise, sweep_bits
from spikewright.model.export import export
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.methods import narrow
from spikewright.model.recipes import recipe
from spikewright.model.recipes.stages import Stage
from spikewright.model.training import stage_network
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, train
from spikewright.model.training.trainer import Trainer
from spikewright.stimulus import choose_stimulus

WIDE: dict[str, Any] = {
    "name": "wide",
    "data": "digits",
    "timesteps": 4,
    "layers": ["12C3", "P2", "16C3", "24", "10"],
    "quantization": {"weight_bits": 8},
    "neuron": {"membrane_bits": 16},
    "training": {"epochs": 6, "batch_size": 64, "learning_rate": 0.01, "threads": 1},
    "stages": [
        {"kind": "snn", "name": "wide", "narrow": 0.9},
        {"kind": "snn", "name": "slim", "start": "fresh"},
        {"kind": "snn", "name": "fewer", "timesteps": 2, "epochs": 3, "threshold_scale": 0.7},
    ],
}


@pytest.fixture(scope="module")
def trained() -> SpikingNetwork:
    """The wide network after six epochs."""
    content = {key: value for key, value in WIDE.items() if key != "stages"}
    trainer = Trainer(recipe.from_dict(content), data.load("digits"))
    for _ in range(6):
        trainer.one_epoch(lambda *_: None)
    assert isinstance(trainer.network, SpikingNetwork)
    return trainer.network.eval()


def test_the_drive_is_that_of_the_weights(trained: SpikingNetwork) -> None:
    """The first layer sees the same frame at every step: its mean drive is one convolution."""
    digits = data.load("digits")
    found = narrow.moments(trained, digits.train_x[:40])["conv1"]
    layer = trained.spiking_layers[0]
    integers, drive = layer.integers(torch.from_numpy(digits.train_x[:40].astype(np.float32)))
    assert drive is not None
    samples = drive.permute(0, 2, 3, 1).reshape(-1, 12) / integers.threshold
    expected = np.linalg.svd((samples - samples.mean(0)).detach().numpy(), compute_uv=False)
    assert found.count == 40 * 64
    assert found.variances() == pytest.approx(np.square(expected) / found.count, abs=1e-5)


def test_widths_rise_with_the_share(trained: SpikingNetwork) -> None:
    images = data.load("digits").train_x[:200]
    by_share = [narrow.widths(trained, images, share) for share in (0.5, 0.9, 0.99)]
    for name, most in (("conv1", 12), ("conv2", 16), ("fc3", 24)):
        found = [widths[name] for widths in by_share]
        assert 1 <= found[0] < found[1] <= found[2] <= most
    assert by_share[2]["fc3"] < 24


def test_a_slim_network_is_trained_anew_with_fewer_steps(tmp_path: Path) -> None:
    result = train(recipe.from_dict(WIDE), tmp_path)
    lines = json.loads((tmp_path / HISTORY_NAME).read_text())["summary"]["stages"]
    assert [line["name"] for line in lines] == ["wide", "slim", "fewer"]
    network = file.load(tmp_path / NETWORK_NAME)
    widths = [node.shape[0] for node in network.hidden]
    assert all(slim < wide for slim, wide in zip(widths, (12, 16, 24), strict=True))
    assert network.timesteps == 2
    assert result.test_accuracy > 0.8


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"kind": "ann", "narrow": 0.9}, {"kind": "snn", "start": "fresh"}],
         r"stages\[0\]: narrow is 0\.9, must be in a stage of kind snn"),
        ([{"kind": "snn", "narrow": 0.9}, {"kind": "snn"}],
         r"stages\[1\]: start is 'previous', must be 'fresh' after a stage with narrow"),
        ([{"kind": "snn", "narrow": 2}], r"stages\[0\]\.narrow is 2, must be a number"),
    ],
)  # fmt: skip
def test_mistakes(stages: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        recipe.from_dict({**WIDE, "stages": stages})


def test_thresholds_can_be_scaled_on_the_way_to_fewer_steps(trained: SpikingNetwork) -> None:
    stage = Stage("snn", timesteps=2, threshold_scale=0.5)
    network = stage_network.build(stage, trained.recipe.of_stage(stage))
    stage_network.inherit(network, trained, stage, data.load("digits").train_x)
    for old, new in zip(trained.layers, network.layers, strict=True):
        assert new.theta.item() == pytest.approx(0.5 * old.theta.item())


def test_a_stage_with_other_bits_starts_as_if_quantised(trained: SpikingNetwork) -> None:
    content = {**WIDE, "quantization": {"weight_bits": 4}, "stages": [{"kind": "snn"}]}
    staged = recipe.from_dict(content)
    (stage,) = staged.plan()
    network = stage_network.build(stage, staged.of_stage(stage))
    stage_network.inherit(network, trained, stage, data.load("digits").train_x)
    for wanted, found in zip(requantise(trained, 4).layers, network.layers, strict=True):
        assert torch.equal(found.mean, wanted.mean)
        assert torch.equal(found.var, wanted.var)
    digits = data.load("digits")
    assert evaluate(network, digits.test_x, digits.test_y).accuracy > 0.85


def test_thresholds_move_with_the_scale_of_the_weights(trained: SpikingNetwork) -> None:
    """From 8 to 4 bits the largest weight goes from 127 to 7, and every potential with it."""
    coarse = requantise(trained, 4)
    for old, new in zip(trained.spiking_layers, coarse.spiking_layers, strict=True):
        with torch.no_grad():
            fine, rough = old.integers()[0], new.integers()[0]
        ratio = rough.threshold / fine.threshold
        assert ratio.median().item() == pytest.approx(7 / 127, rel=0.15)
        assert (fine.bias * 7 / 127 - rough.bias).abs().max().item() <= 2
    assert export(coarse).weight_bits == 4
    images = data.load("digits").test_x[:8]
    assert compare(reference.run(export(coarse), images), coarse.trace(images)).first is None


def test_a_threshold_that_the_membranes_hold_down_stays_where_it_was(
    trained: SpikingNetwork,
) -> None:
    """Nine-bit membranes hold no threshold above 255; at fewer bits of the weights they would."""
    tight = copy.deepcopy(trained)
    for layer in tight.spiking_layers:
        layer.rule = dataclasses.replace(layer.rule, lowest=-256, highest=255)
    before = {name: value.clone() for name, value in tight.state_dict().items()}
    coarse = requantise(tight, 7)
    for old, new in zip(tight.spiking_layers, coarse.spiking_layers, strict=True):
        fine, rough = old.integers()[0], new.integers()[0]
        held = fine.threshold == 255
        assert (rough.threshold[held] - 255 * 63 / 127).abs().max().item() <= 1
        assert (fine.bias[held] * 63 / 127 - rough.bias[held]).abs().max().item() <= 2
    assert bool((tight.spiking_layers[0].integers()[0].threshold == 255).all())
    for name, value in tight.state_dict().items():  # which is only read
        assert torch.equal(value, before[name])


def test_a_released_layer_has_the_same_integers(trained: SpikingNetwork) -> None:
    tight = copy.deepcopy(trained)
    for layer in tight.spiking_layers:
        layer.rule = dataclasses.replace(layer.rule, lowest=-256, highest=255)
        before = layer.integers()[0]
        gamma = layer.gamma.detach().clone()
        layer.saturate_thresholds()
        after = layer.integers()[0]
        assert torch.equal(before.threshold, after.threshold)
        assert torch.equal(before.bias, after.bias)
        assert torch.equal(before.weights, after.weights)
        wanted = layer.normalised(layer.mean, layer.var)[0]
        assert wanted.max().item() == pytest.approx(255, rel=1e-5)  # nothing is held down now
    assert not torch.equal(gamma, layer.gamma)  # type: ignore[possibly-unbound]


def test_accuracy_over_bits(trained: SpikingNetwork) -> None:
    digits = data.load("digits")
    found = sweep_bits(trained, digits.test_x, digits.test_y)
    before = evaluate(trained, digits.test_x, digits.test_y).accuracy
    assert found[8].accuracy == before > 0.9
    assert found[6].accuracy > before - 0.03
    assert found[2].accuracy < before - 0.05
    same = requantise(requantise(trained, 4), 8)
    assert evaluate(same, digits.test_x, digits.test_y).accuracy == before  # the floats are kept


def test_statistics_are_measured_again_where_weights_are_rounded(trained: SpikingNetwork) -> None:
    digits = data.load("digits")
    coarse = requantise(trained, 3)
    before = coarse.layers[0].mean.clone()
    recalibrate(coarse, digits.train_x[:256])
    layer = coarse.layers[0]
    weights, _, _ = layer.weights()
    inputs = torch.from_numpy(digits.train_x[:256].astype(np.float32))
    drive = layer.deliver(weights, None, inputs, None)
    torch.testing.assert_close(layer.mean, drive.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-3)
    assert not torch.allclose(layer.mean, before)
    assert not coarse.training
    assert compare(
        reference.run(export(coarse), digits.test_x[:8]), coarse.trace(digits.test_x[:8])
    ).first is None  # fmt: skip
    plain = sweep_bits(trained, digits.test_x, digits.test_y, (8, 3))
    again = sweep_bits(trained, digits.test_x, digits.test_y, (8, 3), digits.train_x)
    assert again[8] == plain[8]  # its own bits: nothing was rounded anew
    assert again[3].accuracy != plain[3].accuracy


def test_noise_costs_accuracy(trained: SpikingNetwork) -> None:
    digits = data.load("digits")
    by_deviation = scores_under_noise(trained, digits.test_x, digits.test_y, (0.0, 0.1, 0.6), 0)
    found = [score.accuracy for score in by_deviation.values()]
    assert trained.coder.highest == 31
    assert found[0] == evaluate(trained, digits.test_x, digits.test_y).accuracy
    assert found[0] >= found[1] - 0.01
    assert found[0] - 0.2 > found[2]


def test_poisson_recipes_are_exact_and_reproducible(tmp_path: Path) -> None:
    content = {**WIDE, "coding": "poisson", "stages": [
        {"kind": "ann", "name": "dense", "epochs": 2},
        {"kind": "snn", "epochs": 3, "timesteps": 6},
    ]}  # fmt: skip
    result = train(recipe.from_dict(content), tmp_path)  # compares with the golden reference
    network = file.load(tmp_path / NETWORK_NAME)
    assert (network.input.coding, network.input.bits) == ("events", 1)
    assert network.meta["coding"] == "poisson"
    assert result.test_accuracy > 0.7
    again = train(recipe.from_dict(content), tmp_path)
    assert again.test_accuracy == result.test_accuracy
    chosen = choose_stimulus(network, "test")  # what every other command runs it on
    assert chosen.inputs.shape == (360, 6, 1, 8, 8)
    assert chosen.accuracy(engine.logits(network, chosen.inputs)) == result.test_accuracy


def test_events_are_not_coded_again() -> None:
    with pytest.raises(BadInput, match="coding is 'poisson', must be 'values' for the events"):
        recipe.from_dict({**WIDE, "data": "n-mnist", "coding": "poisson", "stages": []})
