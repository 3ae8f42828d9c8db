"""Devices by name, and a device that is not the CPU: everything that trains must run on it."""

from __future__ import annotations

import importlib.util
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from spikewright.golden.errors import BadInput
from spikewright.model.experiments import ptq
from spikewright.model.recipes import recipe
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.runtime import device
from spikewright.model.training import checkpoint, stage_network
from spikewright.model.training.run import Run
from spikewright.model.training.train import finish, train


def quiet(*_: Any) -> None:
    """Reports nothing."""


@pytest.fixture(scope="module")
def far() -> ModuleType:
    """The module of the far device."""
    spec = importlib.util.spec_from_file_location("far", Path(__file__).with_name("far.py"))
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def place(far: ModuleType) -> Iterator[torch.device]:
    with far.far_device() as found:
        yield found


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "count", "local", "wanted"),
    [
        ("cpu", 0, None, "cpu"), ("cpu", 2, 1, "cpu"), ("auto", 0, None, "cpu"),
        ("auto", 2, None, "cuda:0"), ("auto", 2, 1, "cuda:1"), ("cuda", 2, None, "cuda:0"),
        ("cuda:1", 2, None, "cuda:1"), ("cuda", 4, 3, "cuda:3"), ("auto", 0, 1, "cpu"),
    ],
)  # fmt: skip
def test_devices_by_name(
    name: str, count: int, local: int | None, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, count)
    assert device.select_device(name, local) == torch.device(wanted)


@pytest.mark.parametrize(
    ("name", "count", "local", "message"),
    [
        ("gpu", 1, None, "device is 'gpu', must be cpu, cuda, cuda:N or auto"),
        ("cuda:", 1, None, "must be cpu, cuda, cuda:N or auto"),
        ("cuda", 0, None, "device is 'cuda', must be cpu or auto: torch finds no GPU here"),
        ("cuda:2", 2, None, "device is 'cuda:2', must be cuda:0 to cuda:1"),
        ("cuda:0", 2, 0, "must be 'cuda' where several processes run"),
        ("cuda", 2, 2, "processes on this machine is 3 or more, must be at most 2"),
    ],
)
def test_devices_that_are_refused(
    name: str, count: int, local: int | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(BadInput, match=message) as caught:
        device.select_device(name, local)
    assert "\n" not in str(caught.value)


def test_nothing_is_made_for_a_device_that_is_not_there(
    tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 0)
    with pytest.raises(BadInput, match="torch finds no GPU"):
        train(tiny, tmp_path / "out", device="cuda")
    assert not (tmp_path / "out").exists()


def test_exact_settings_of_a_gpu_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    backend = torch.backends.cudnn
    before = backend.deterministic, backend.benchmark, backend.allow_tf32
    with device.exact_on(device.CPU):
        assert before == (backend.deterministic, backend.benchmark, backend.allow_tf32)
        assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    with device.exact_on(torch.device("cuda", 0)):
        assert (backend.deterministic, backend.benchmark, backend.allow_tf32) == (
            True, False, False,
        )  # fmt: skip
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert before == (backend.deterministic, backend.benchmark, backend.allow_tf32)


def test_states_come_to_the_cpu_as_they_are(place: torch.device) -> None:
    values = OrderedDict(a=torch.arange(3).to(place), b=[torch.ones(2), "text"])
    values.mark = 7
    found = device.to_cpu(values)
    assert type(found) is OrderedDict
    assert found.mark == 7
    assert found["a"].device == device.CPU
    assert found["a"].tolist() == [0, 1, 2]
    assert values["a"].device == place
    assert found["b"][1] == "text"


def test_the_far_device_is_strict(place: torch.device) -> None:
    x = torch.arange(4.0).to(place)
    with pytest.raises(RuntimeError, match="numpy"):
        x.numpy()
    with pytest.raises(RuntimeError, match="two devices"):
        x + torch.ones(4)
    assert (2 * x).sum().item() == 12
    np.testing.assert_array_equal(device.to_numpy(x), np.arange(4))


LEARNED = {"leak": "learned", "surrogate": "arctan", "reset": "zero"}
SMALL = {"epochs": 2, "batch_size": 256, "learning_rate": 0.02, "images": 512, "calibration": 32}
RECIPES: dict[str, dict[str, Any]] = {
    "one stage": {"layers": ["4C3", "P2", "4R3", "6R3s2", "10"], "neuron": LEARNED,
                  "pruning": {"density": 0.5}},
    "attention": {"layers": ["4C3", "M2", "4C3", "10"],
                  "pruning": {"density": 0.4, "allocation": "erk"}, "stages": [
        {"kind": "ann", "name": "meta"},
        {"kind": "ann", "start": "fresh", "sparse": "momentum", "distill": "both",
         "teacher": "meta"},
        {"kind": "snn", "train": "weights"},
    ]},
    "conversion": {"layers": ["4C3", "P2", "12", "10"], "neuron": {"batch_norm": False}, "stages": [
        {"kind": "ann", "activation": "clip"},
        {"kind": "snn", "convert": "scaled", "quantize": "admm"},
    ]},
    "width": {"layers": ["6C3", "P2", "12", "10"], "coding": "poisson", "stages": [
        {"kind": "snn", "narrow": 0.9, "epochs": 1},
        {"kind": "snn", "start": "fresh", "sparse": "admm"},
    ]},
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_train_on_another_device(name: str, place: torch.device, tmp_path: Path) -> None:
    """To the end: trained, exported, equal to golden, scored; with the first loss of the CPU."""
    training = {**SMALL, "dropout": 0.1, "spike_penalty": 0.01}
    options = {"name": "far", "data": "digits", "timesteps": 2, "training": training}
    chosen = recipe.from_dict({**options, **RECIPES[name]})
    run = Run(chosen, device=place)
    while not run.finished:
        run.one_epoch(quiet)
    result = finish(run, tmp_path)
    assert result.summary["test_images"] == 360
    here = Run(chosen)
    here.one_epoch(quiet)
    assert here.history[0]["loss"] == pytest.approx(run.history[0]["loss"], rel=1e-3)
    assert not any(tensor.is_cpu for tensor in run.trainer.network.state_dict().values())
    scores = ptq.sweep_bits(run.chosen(), *run.trainer.validation, bits=(4, 2))
    assert scores[4].accuracy == run.trainer.history[run.trainer.best.epoch - 1][
        "validation_accuracy"
    ]  # fmt: skip


@pytest.mark.parametrize("there_first", [True, False])
def test_checkpoints_go_on_on_another_device(
    there_first: bool, tiny: Recipe, place: torch.device, tmp_path: Path
) -> None:
    order = (place, device.CPU) if there_first else (device.CPU, place)
    first, second = (Run(tiny, device=where) for where in order)
    first.one_epoch(quiet)
    first.one_epoch(quiet)
    checkpoint.save(tmp_path, tiny, first.state())
    state = checkpoint.load(tmp_path, tiny)
    assert state is not None
    second.restore(state, tmp_path)
    assert second.trainer.epoch == 2
    for run in (first, second):
        run.one_epoch(quiet)
    for name, value in first.trainer.network.state_dict().items():
        torch.testing.assert_close(
            value.cpu(), second.trainer.network.state_dict()[name].cpu(), rtol=1e-4, atol=1e-5
        )
    assert second.history[-1]["loss"] == pytest.approx(first.history[-1]["loss"], rel=1e-4)


def test_networks_know_their_device(tiny: Recipe, place: torch.device) -> None:
    network = stage_network.build(tiny.plan()[0], tiny)
    assert network.device == device.CPU
    assert network.to(place).device == place
