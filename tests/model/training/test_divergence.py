"""Numbers that are not finite end training: which step, which layer, and what is left."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spikewright.golden.errors import CheckFailed
from spikewright.model import data
from spikewright.model.methods.base import Batch, Method
from spikewright.model.recipes import recipe
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training import checkpoint, divergence
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, Progress, train
from spikewright.model.training.trainer import Trainer

CHAIN: dict[str, Any] = {
    "name": "chain",
    "data": "digits",
    "timesteps": 2,
    "layers": ["4C3", "4R3", "P2", "12", "10"],
    "training": {"epochs": 2, "batch_size": 128, "threads": 1},
}


def trainer(kind: str, **changes: Any) -> Trainer:
    staged = recipe.from_dict({**CHAIN, "stages": [{"kind": kind}, {"kind": "snn"}], **changes})
    stage = staged.plan()[0]
    return Trainer(staged.of_stage(stage), data.load("digits"), stage)


def step(run: Trainer, number: int = 0) -> float:
    images = torch.from_numpy(run.images[:32].astype("float32"))
    return run.one_step(number, images, torch.from_numpy(run.labels[:32]))


def poisoned(patch: pytest.MonkeyPatch, at: int, name: str, behind: bool = False) -> None:
    """A weight becomes no number before step `at`, or behind it."""
    one_step = Trainer.one_step

    def poison(run: Trainer, step: int, images: Tensor, labels: Tensor) -> float:
        loss = one_step(run, step, images, labels) if behind else 0.0
        if step == at:
            run.network.state_dict()[name].view(-1)[0] = math.nan
        return loss if behind else one_step(run, step, images, labels)

    patch.setattr(Trainer, "one_step", poison)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "found"),
    [
        (
            "hidden.0.synapse.quantised.weight",
            "weights, statistics, drive, output of layer 'conv1'",
        ),
        ("hidden.1.beta", "bias, output of layer 'res2'"),
        (
            "hidden.2.shortcut.weight",
            "weights of the shortcut, statistics, drive, output of layer 'res3'",
        ),
        ("hidden.3.gamma", "gain of batch norm, output of layer 'fc4'"),
        ("readout.synapse.quantised.weight", "weights, drive, output of layer 'readout'"),
    ],
)
def test_the_first_layer_is_named(name: str, found: str, value: float) -> None:
    run = trainer("ann")
    run.network.train()
    run.network.state_dict()[name].view(-1)[0] = value
    weights = [p.detach().clone() for p in run.network.parameters()]
    with pytest.raises(CheckFailed, match="step 1 of 20: the loss is nan, first not") as caught:
        step(run)
    assert f"first not finite: {found};" in str(caught.value)
    for before, after in zip(weights, run.network.parameters(), strict=True):
        assert torch.equal(before, after) or not divergence.finite(before)  # no step was taken
    first, _, layer = found.partition(" of layer ")
    assert divergence.bad_parameters(run.network).startswith(first.split(",")[0])
    assert divergence.bad_parameters(run.network).endswith(f" of layer {layer}")


def test_a_gradient_is_named_with_the_weights_that_it_spoilt() -> None:
    run = trainer("ann")
    run.network.train()
    step(run)
    weight = run.network.layers[1].synapse.weight
    handle = weight.register_hook(lambda gradient: gradient * math.nan)
    step(run, 1)  # its loss was finite
    handle.remove()
    with pytest.raises(CheckFailed, match="step 3 of 20: the loss is nan") as caught:
        step(run, 2)
    assert (
        "first not finite: weights, statistics, gradient of weights, drive, output of layer 'res2';"
        in str(caught.value)
    )


def test_a_term_of_a_method() -> None:
    class Endless(Method):
        def loss(self, batch: Batch) -> Tensor:
            return torch.tensor(math.inf)

    run = trainer("snn")
    run.methods.append(Endless())
    message = "the loss is inf, first not finite: no layer, but the loss itself;"
    with pytest.raises(CheckFailed, match=message):
        step(run)


def test_spikes_hide_it_until_the_epoch_ends() -> None:
    run = trainer("snn")
    run.network.layers[1].synapse.weight.data.view(-1)[0] = math.nan
    name = "recipe 'chain': stage 'snn1', epoch 1, step (10|1) of 20: "
    with pytest.raises(CheckFailed, match=name) as caught:
        run.one_epoch(lambda *_: None)
    assert "of layer '" in str(caught.value)
    assert run.history == []
    assert run.best.weights is None


@pytest.mark.parametrize(
    ("behind", "at", "where"),
    [(False, 13, "epoch 2, step 14 of 40: "), (True, 19, "epoch 2, step 20 of 40: not finite")],
)
def test_the_last_good_checkpoint_stays(
    tiny: Recipe, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    behind: bool, at: int, where: str,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        poisoned(patch, at, "readout.synapse.quantised.weight", behind)
        with pytest.raises(CheckFailed, match=where) as caught:
            train(tiny, tmp_path)
    assert caught.value.exit_code == 1
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("recipe 'tiny': stage 'snn1', epoch 2")
    assert "layer 'readout'" in message
    assert "train in another folder with a learning_rate below 0.02" in message
    assert message.endswith(f"{tmp_path / checkpoint.NAME} still holds epoch 1 of 4")
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]
    steps: list[Progress] = []
    train(tiny, tmp_path, progress=steps.append)
    assert steps[0].epoch == 2
    for name in (NETWORK_NAME, HISTORY_NAME):
        assert (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes()


def test_in_the_first_epoch_nothing_is_left(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, 3, "readout.synapse.quantised.weight")
    with pytest.raises(CheckFailed, match=r"epoch 1, step 4 of 40: .*; no epoch was over$"):
        train(tiny, tmp_path)
    assert not list(tmp_path.iterdir())


def test_it_diverges_by_itself(tmp_path: Path) -> None:
    """Many layers without batch norm, and weights of 1 behind one step: 10^38 is soon reached."""
    deep = {
        "name": "deep",
        "data": "digits",
        "timesteps": 1,
        "layers": ["256"] * 24 + ["10"],
        "neuron": {"batch_norm": False},
        "training": {"epochs": 1, "batch_size": 128, "threads": 1},
        "stages": [
            {"kind": "ann", "learning_rate": 1e-5},
            {"kind": "ann", "name": "fast", "learning_rate": 1.0, "epochs": 3},
            {"kind": "snn"},
        ],
    }
    for _ in range(2):  # the second time it goes on from the checkpoint, to the same end
        with pytest.raises(CheckFailed, match="stage 'fast', epoch 1, step 2 of 30: ") as caught:
            train(recipe.from_dict(deep), tmp_path)
        assert "the loss is nan, first not finite: drive, output of layer '" in str(caught.value)
        assert "learning_rate below 1;" in str(caught.value)
        assert str(caught.value).endswith("still holds epoch 1 of 5")
