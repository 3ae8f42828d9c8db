"""Small recipes that train in about a second, and where the real data are, if anywhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from spikewright.model.recipes import recipe
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training.train import train

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": "digits",
    "timesteps": 2,
    "layers": ["4C3", "P2", "10"],
    "pruning": {"density": 0.5},
    "training": {"epochs": 4, "batch_size": 128, "learning_rate": 0.02, "shift": 1, "threads": 1},
}


@pytest.fixture
def tiny() -> Recipe:
    """Four epochs of ten steps on the digits of scikit-learn."""
    return recipe.from_dict(TINY)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run, never stopped. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("whole")
    train(recipe.from_dict(TINY), folder)
    return folder


@pytest.fixture
def real_data() -> Path:
    """The folder with the real data sets; tests that need it do not run without it."""
    root = os.environ.get("SPIKEWRIGHT_DATA")
    if not root:
        pytest.skip("SPIKEWRIGHT_DATA names no folder")
    return Path(root)
