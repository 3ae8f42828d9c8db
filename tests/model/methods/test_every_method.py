"""Every method alone and together: what is exported answers every test image as torch does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikewright.golden.errors import CheckFailed
from spikewright.golden.models import engine
from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.model import data
from spikewright.model.data.coding import Coder
from spikewright.model.equality import check_logits
from spikewright.model.recipes import recipe
from spikewright.model.training import train as training
from spikewright.model.training.train import train

TINY: dict[str, Any] = {
    "name": "every",
    "data": "digits",
    "timesteps": 2,
    "layers": ["8C3", "P2", "16", "10"],
    "pruning": {"density": 0.4, "allocation": "erk"},
    "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.02, "images": 500,
                 "calibration": 8, "threads": 1},
}  # fmt: skip
DIGITS = Path(__file__).parents[3] / "examples/networks/digits.safetensors"
ANN, SNN = {"kind": "ann", "epochs": 1}, {"kind": "snn"}


def sparse(way: str, **pruning: Any) -> dict[str, Any]:
    return {"stages": [{**SNN, "sparse": way}], "pruning": {**TINY["pruning"], **pruning}}


RECIPES: dict[str, dict[str, Any]] = {
    "gradual": sparse("gradual", allocation="lamp"),
    "banks": sparse("gradual", structure="bank", banks=2),
    "magnitude": {"stages": [{**SNN, "epochs": 1}, {**SNN, "sparse": "magnitude"}]},
    "random": sparse("random"),
    "momentum, weights": sparse("momentum", nonzero=True),
    "momentum, channels": sparse("momentum", structure="channel"),
    "ADMM, weights then levels": {
        "stages": [
            {**SNN, "weights": "float", "sparse": "admm"},
            {**SNN, "quantize": "admm", "admm": {"share": 0.2}},
        ],
    },
    "attention and distillation": {
        "neuron": {"leak": "learned"},
        "stages": [
            ANN,
            {**ANN, "start": "fresh", "sparse": "momentum", "distill": "both"},
            {**SNN, "threshold_scale": 0.3},
        ],
    },
    "conversion": {
        "neuron": {"batch_norm": False},
        "stages": [{**ANN, "activation": "clip"}, {**SNN, "convert": "scaled"}],
    },
    "narrow, then fewer steps": {
        "timesteps": 4,
        "stages": [
            {**SNN, "narrow": 0.9},
            {**SNN, "start": "fresh"},
            {**SNN, "timesteps": 2, "threshold_scale": 0.7, "train": "weights"},
        ],
    },
    "residual blocks": {
        **sparse("momentum", structure="channel"),
        "layers": ["4C3", "4R3", "M2", "8R3s2", "10"],
        "neuron": {"reset": "zero", "leak": 0.2},
    },
    "a topology": {"layers": [], "topology": "vgg5", "width": 0.05},
    "Poisson spikes": {"coding": "poisson", "stages": [ANN, SNN]},
    "SGD, from identities to their average": {
        "training": {
            **TINY["training"],
            "optimizer": "sgd",
            "learning_rate": 0.2,
            "weight_decay": 0.002,
            "schedule": "linear",
            "final_rate": 0.05,
            "label_smoothing": 0.1,
            "bias_rate": 4,
            "init": "whitening",
            "average": "lookahead",
            "shift": 1,
            "border": "reflect",
            "flip": "alternating",
        },
    },
    "an average that is exported": {"training": {**TINY["training"], "average": "ema"}},
    "dropout and penalty": {
        "training": {**TINY["training"], "dropout": 0.2, "spike_penalty": 0.1, "flip": True},
    },
}


@pytest.mark.parametrize("case", RECIPES)
def test_every_image_is_answered_alike(tmp_path: Path, case: str) -> None:
    result = train(recipe.from_dict({**TINY, **RECIPES[case]}), tmp_path)
    digits, network = data.load("digits"), file.load(result.network_path)
    coder = recipe.from_dict({**TINY, **RECIPES[case]}).coder()
    coder = dataclasses.replace(coder, timesteps=network.timesteps)
    inputs = coder.integers(digits.test_x, np.arange(len(digits.test_x)))
    logits = engine.logits(network, inputs)
    assert float((logits.argmax(axis=1) == digits.test_y).mean()) == result.test_accuracy
    assert result.summary["golden_images"] == result.summary["test_images"] == 360
    assert len(np.unique(logits, axis=0)) > 36  # it tells images apart: there is what to compare
    assert any(rate > 0 for rate in result.summary["spike_rate"].values())


def tampered(network: Network) -> Network:
    """One weight of the readout another by one."""
    *edges, last = network.edges
    *before, linear = last.operations
    assert isinstance(linear, Linear | Conv2d)
    weight = linear.weight.copy()
    weight[3, 5] += 1 if weight[3, 5] < 3 else -1
    operations = (*before, dataclasses.replace(linear, weight=weight))
    return dataclasses.replace(network, edges=(*edges, Edge(last.source, last.target, operations)))


def test_a_tampered_export_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = training.export
    monkeypatch.setattr(training, "export", lambda network: tampered(export(network)))
    monkeypatch.setattr(training, "check_trace", lambda *_: None)  # as if 16 images had not met it
    with pytest.raises(CheckFailed, match="torch and golden engine differ in") as caught:
        train(recipe.from_dict({**TINY, "layers": ["P2", "10"]}), tmp_path)
    assert " of 360 test images: first image " in str(caught.value)
    assert "class 3: torch " in str(caught.value)
    assert not (tmp_path / training.NETWORK_NAME).exists()


def test_the_first_difference_is_named() -> None:
    network, images = file.load(DIGITS), data.load("digits").test_x
    logits = engine.logits(network, images).astype(np.float32)
    assert check_logits(network, Coder(), images, [logits[:100], logits[100:]]) == 360
    wrong = logits.copy()
    wrong[300, 7] += 0.5
    wrong[301, :2] = np.nan
    with pytest.raises(CheckFailed) as caught:
        check_logits(network, Coder(), images, [wrong])
    assert str(caught.value) == (
        "torch and golden engine differ in 3 logits of 2 of 360 test images: first image 300, "
        f"class 7: torch {wrong[300, 7]:.10g}, golden {logits[300, 7]:.10g}"
    )
    with pytest.raises(CheckFailed, match="torch gave logits of 100 of 360 images"):
        check_logits(network, Coder(), images, [logits[:100]])
