"""A network of a few seconds, built and proven once for all end-to-end tests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikewright
from spikewright.cli.program import run

TINY_RECIPE = """
name = "tiny"
data = "digits"
timesteps = 2
layers = ["4C3", "P2", "10"]

[neuron]
membrane_bits = 12

[quantization]
weight_bits = 3

[pruning]
density = 0.5

[training]
epochs = 4
batch_size = 64
"""

ROOT = Path(__file__).parents[2]
STAND_STILL = """
import time
from spikewright.model.training import checkpoint

save = checkpoint.save

def save_and_wait(*arguments):
    save(*arguments)
    time.sleep(3600)

checkpoint.save = save_and_wait
"""


@dataclass(frozen=True)
class Outcome:
    """What one command left: exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; anything beside it is an error."""
        return json.loads(self.out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `spikewright` with these arguments in this process."""

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(TINY_RECIPE)
    return path


@pytest.fixture(scope="session")
def demo_folder(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo of the tiny recipe. Tests must not change it."""
    folder = tmp_path_factory.mktemp("build") / "tiny"
    code = run(["demo", "--recipe", str(tiny_recipe), "--out", str(folder), "--images", "20"])
    assert code == 0
    return folder


@pytest.fixture
def standing_still(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that stands still once its first checkpoint is in place.

    So whoever interrupts it there need not be quick.
    """
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(STAND_STILL)
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}


@pytest.fixture(scope="session")
def small_network() -> spikewright.Network:
    """Two inputs, three neurons, two classes: every number can be checked by hand."""
    first = np.array([[3, 0], [0, 2], [-1, 1]])
    second = np.array([[1, 0, -1], [0, 2, 1]])
    return spikewright.Network(
        timesteps=3,
        nodes=(
            spikewright.Input("pixels", (2,), "direct", bits=4),
            spikewright.LIF("hidden", (3,), [4, 5, 3], [0, 1, 0], 1, 1, "subtract", 8),
            spikewright.Readout("out", (2,), [0, -1]),
        ),
        edges=(
            spikewright.Edge("pixels", "hidden", (spikewright.Linear(first, 4),)),
            spikewright.Edge("hidden", "out", (spikewright.Linear(second, 4),)),
        ),
        meta={"name": "small"},
    )


@pytest.fixture
def small_file(small_network: spikewright.Network, tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    spikewright.save_network(small_network, path)
    return path
