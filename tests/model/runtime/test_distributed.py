"""Two processes with gloo: they compute what one process computes, and stay equal or say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributed import TCPStore

from spikewright.model import data
from spikewright.model.data import batches
from spikewright.model.data.augment import Augmentation
from spikewright.model.methods import dropout
from spikewright.model.ops.batch_statistics import moments
from spikewright.model.recipes import recipe
from spikewright.model.runtime import distributed, torchrun
from spikewright.model.training.trainer import Trainer

ROOT = Path(__file__).parents[3]
DEADLINE_S = 600

PIECES = """
import json, sys, torch
from spikewright.golden.errors import SpikewrightError
from spikewright.model import data
from spikewright.model.data import batches
from spikewright.model.methods import dropout
from spikewright.model.recipes import recipe
from spikewright.model.runtime import device, distributed
from spikewright.model.ops.batch_statistics import moments
from spikewright.model.training.run import Run
from spikewright.model.training.train import exact_settings
from spikewright.model.training.trainer import Trainer

tiny, folder = recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2]
found = {}

def line(call):
    try:
        call()
    except SpikewrightError as error:
        return type(error).__name__ + ": " + str(error)

with distributed.process_group(device.CPU), exact_settings(1):
    place = distributed.rank(), distributed.world_size()
    trainer = Trainer(tiny, data.load("digits"))
    source = batches.epoch_batches(
        trainer.images, trainer.labels, 128, tiny.training.augmentation, 0, 0, shard=place)
    images, labels = next(source)
    found["images"], found["loss"] = len(images), trainer.one_step(0, images, labels)
    found["gradients"] = {n: p.grad for n, p in trainer.network.named_parameters()
                          if p.grad is not None}
    found["state"] = {n: v.clone() for n, v in trainer.network.state_dict().items()}

    drive = torch.randn((12, 3, 2, 2), generator=torch.Generator().manual_seed(5)) + 1000
    drive = drive[distributed.shard(12)].clone().requires_grad_()
    mean, var = distributed.sync_statistics(*moments(drive))
    found["mean"], found["var"] = mean.detach(), var.detach()
    weights = torch.arange(1.0, 4.0)
    ((mean * weights).sum() + (var * weights).sum() * 3).backward()
    found["d_drive"] = drive.grad

    found["kept"] = dropout.dropped(
        torch.ones(6, 5), 3, 0.5, torch.Generator().manual_seed(7))
    found["decided"] = distributed.broadcast(place[0] == 0), distributed.broadcast(place[0] == 1)

    odd = json.loads(sys.argv[1])
    odd["training"]["batch_size"] = 127
    found["odd"] = line(lambda: Run(recipe.from_dict(odd)))
    found["equal"] = line(trainer.require_equal)
    if place[0] == 1:
        trainer.network.readout.synapse.mask.view(-1)[0] ^= 1
    found["other mask"] = line(trainer.require_equal)
torch.save(found, f"{folder}/{place[0]}.pt")
"""

TWICE = """
import json, sys
from spikewright.golden.network.file import fingerprint
from spikewright.model.recipes import recipe
from spikewright.model.training.train import train

tiny = recipe.from_dict(json.loads(sys.argv[1]))
for name in ("first", "second"):
    result = train(tiny, f"{sys.argv[2]}/{name}")
    found = fingerprint(result.network), result.history, result.test_accuracy
    print(json.dumps(found), flush=True)
"""

STOPPED = """
import json, sys
from spikewright.model.recipes import recipe
from spikewright.model.runtime import torchrun
from spikewright.model.training.train import train

def stop(at):
    assert torchrun.rank() == 0
    if at.step >= 13:
        raise KeyboardInterrupt

train(recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2] + "/stopped", progress=stop)
"""


def together(script: str, content: dict[str, Any], folder: Path) -> list[tuple[int, str, str]]:
    """Exit code and both outputs of each of two processes, as torchrun would start them."""
    # The store is here, as it is in torchrun: a free port that is only looked up can be lost again.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    started = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port),
               "TORCHELASTIC_USE_AGENT_STORE": "True"}  # fmt: skip
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **started}
    command = [sys.executable, "-W", "error", "-c", script, json.dumps(content), str(folder)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [
        subprocess.Popen(
            command, env={**settings, "RANK": rank, "LOCAL_RANK": rank}, cwd=folder, **pipes
        )
        for rank in "01"
    ]
    try:
        outputs = [process.communicate(timeout=DEADLINE_S) for process in running]
    finally:
        for process in running:
            process.kill()
    return [(p.returncode, *output) for p, output in zip(running, outputs, strict=True)]


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    """Two epochs of ten steps, with every kind of randomness."""
    return {
        "name": "tiny", "data": "digits", "timesteps": 2, "layers": ["4C3", "P2", "4R3", "10"],
        "pruning": {"density": 0.5},
        "training": {"epochs": 2, "batch_size": 128, "learning_rate": 0.02, "shift": 1,
                     "dropout": 0.2, "spike_penalty": 0.1},
    }  # fmt: skip


@pytest.fixture(scope="module")
def parts(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("parts")
    for code, _, errors in together(PIECES, content, folder):
        assert code == 0, errors
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def alone(content: dict[str, Any]) -> Trainer:
    """One process after the first step of the same training."""
    tiny = recipe.from_dict(content)
    trainer = Trainer(tiny, data.load("digits"))
    rule = tiny.training.augmentation
    images, labels = next(batches.epoch_batches(trainer.images, trainer.labels, 128, rule, 0, 0))
    trainer.converted["loss"] = trainer.one_step(0, images, labels)
    return trainer


def test_each_process_takes_its_slice(parts: list[Any]) -> None:
    assert [part["images"] for part in parts] == [64, 64]
    numbers = np.arange(24)
    images = numbers.astype(np.uint8).reshape(24, 1, 1, 1)

    def seen(part: tuple[int, int]) -> list[list[int]]:
        source = batches.epoch_batches(images, numbers, 12, Augmentation(), 3, 4, shard=part)
        return [labels.tolist() for _, labels in source]

    whole = seen((0, 1))
    slices = [seen((place, 3)) for place in range(3)]
    assert [[*a, *b, *c] for a, b, c in zip(*slices, strict=True)] == whole


def test_gradients_are_those_of_the_whole_batch(parts: list[Any], alone: Trainer) -> None:
    wanted = {n: p.grad for n, p in alone.network.named_parameters() if p.grad is not None}
    assert set(parts[0]["gradients"]) == set(wanted)
    for name, gradient in wanted.items():
        first, second = (part["gradients"][name] for part in parts)
        assert torch.equal(first, second), name
        size = float(gradient.abs().max())
        torch.testing.assert_close(first, gradient, rtol=1e-4, atol=1e-5 * size, msg=name)
    assert parts[0]["loss"] == parts[1]["loss"]
    assert parts[0]["loss"] == pytest.approx(alone.converted["loss"], rel=1e-5)


def test_statistics_and_weights_behind_the_first_step(parts: list[Any], alone: Trainer) -> None:
    state = alone.network.state_dict()
    for name, value in state.items():
        first, second = (part["state"][name] for part in parts)
        assert torch.equal(first, second), name
        if name.endswith((".mean", ".var")):
            torch.testing.assert_close(first, value, rtol=1e-5, atol=1e-5)
            assert float(value.abs().sum()) > 0


def test_mean_and_variance_of_all(parts: list[Any]) -> None:
    drive = torch.randn((12, 3, 2, 2), generator=torch.Generator().manual_seed(5)) + 1000
    drive.requires_grad_()
    mean, var = moments(drive)
    weights = torch.arange(1.0, 4.0)
    (2 * ((mean * weights).sum() + (var * weights).sum() * 3)).backward()  # both processes' losses
    local = moments(drive[:6])
    assert drive.grad is not None
    for part in parts:
        torch.testing.assert_close(part["mean"], mean.detach(), rtol=1e-12, atol=0)
        torch.testing.assert_close(part["var"], var.detach(), rtol=1e-9, atol=0)
        assert not torch.allclose(part["var"], local[1].detach(), rtol=1e-3)
    found = torch.cat([part["d_drive"] for part in parts])
    torch.testing.assert_close(found, drive.grad, rtol=1e-4, atol=1e-5)


def test_dropout_is_that_of_the_whole_batch(parts: list[Any]) -> None:
    whole = dropout.dropped(torch.ones(12, 5), 6, 0.5, torch.Generator().manual_seed(7))
    steps = [part["kept"].reshape(2, 3, 5) for part in parts]
    assert torch.equal(torch.cat(steps, dim=1), whole.reshape(2, 6, 5))
    assert 0 < float(whole.mean()) < 2


def test_the_first_process_decides(parts: list[Any]) -> None:
    assert [part["decided"] for part in parts] == [(True, False)] * 2


def test_a_batch_that_cannot_be_shared_is_refused(parts: list[Any]) -> None:
    for part in parts:
        assert part["odd"] == (
            "BadInput: recipe 'tiny': stage 'snn1': the size of a batch is 127, "
            "must be a multiple of 2, the number of processes"
        )


def test_processes_that_differ_are_found(parts: list[Any]) -> None:
    for part in parts:
        assert part["equal"] is None
        assert part["other mask"] == (
            "CheckFailed: training: after epoch 0 of 'snn1', process 1 of 2 holds other "
            "parameters or masks than process 0; all must be equal"
        )


def test_training_together(content: dict[str, Any], tmp_path: Path) -> None:
    """Two trainings after each other give both processes one network; a lost process is named."""
    finished = together(TWICE, content, tmp_path)
    assert [code for code, _, _ in finished] == [0, 0], finished
    lines = [line for _, output, _ in finished for line in output.splitlines()]
    found = [json.loads(line) for line in lines if line.startswith("[")]
    assert len(found) == 4
    assert all(each == found[0] for each in found)
    assert len(found[0][1]) == 2
    for run in ("first", "second"):
        names = sorted(path.name for path in (tmp_path / run).iterdir())
        assert names == ["checkpoint.pt", "history.json", "network.safetensors"]

    first, second = together(STOPPED, content, tmp_path)
    assert first[2].splitlines()[-1].endswith("KeyboardInterrupt")
    assert (
        second[2]
        .splitlines()[-1]
        .endswith(
            "spikewright.golden.errors.CheckFailed: training: process 1 of 2 lost another one; "
            "the same command resumes after the last finished epoch"
        )
    )
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == ["checkpoint.pt"]


def test_alone_everything_is_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")  # a batch system's: nothing was started by torchrun
    assert (torchrun.world_size(), torchrun.rank(), torchrun.local_rank()) == (1, 0, None)
    assert (distributed.world_size(), distributed.rank()) == (1, 0)
    assert distributed.shard(12) == slice(0, 12)
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    loss = torch.tensor(3.0)
    assert distributed.average_gradients([parameter], loss) is loss
    distributed.require_equal_replicas({}, "now")
    distributed.check_batch_size("here", 7)
    assert distributed.broadcast(True)
    assert not distributed.broadcast(False)


def test_what_torchrun_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "a",
            "MASTER_PORT": "1"}  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert (torchrun.world_size(), torchrun.rank(), torchrun.local_rank()) == (8, 5, 1)
