"""The functions for programs that train: data sets, recipes, training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright import torchrun
from spikewright.golden.processes.locks import writing
from spikewright.results.models import TrainResult

if TYPE_CHECKING:
    from spikewright.model.data.dataset import DataSet
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.training.train import Progress


def load_data(
    name: str, root: str | Path | None = None, timesteps: int = 10, train: bool = True
) -> DataSet:
    """Read a data set: digits, mnist, fashion-mnist, cifar-10 or n-mnist.

    Parameters
    ----------
    root
        The folder that holds the data sets; None takes the one in `SPIKEWRIGHT_DATA`. `digits`
        needs none.
    timesteps
        Bins into which event recordings are cut; frames ignore it.
    train
        False leaves the training part empty, which is quicker.

    Returns
    -------
    DataSet
        `train_x`, `test_x` uint8 (N, C, H, W), or (N, timesteps, C, H, W) for events, with
        `train_y`, `test_y` int64 (N,).

    Raises
    ------
    BadInput
        If the name is unknown, or a file is missing or damaged: which, and what was expected.
    """
    from spikewright.model import data

    return data.load(name, root, timesteps, train)


def load_recipe(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe, a built-in name or a .toml file.

    Parameters
    ----------
    overrides
        Values by key, as `{"training.epochs": 5, "stages.1.epochs": 3}`.

    Raises
    ------
    BadInput
        Naming recipe, key, value, and what would be right.
    """
    from spikewright.model.recipes import recipe

    return recipe.load(name_or_path, overrides)


def train(
    recipe: Recipe | str | Path, folder: str | Path, data: str | Path | None = None,
    device: str = "cpu", progress: Callable[[Progress], None] | None = None, restart: bool = False,
) -> TrainResult:  # fmt: skip
    """Train a recipe to an integer network, or resume where an earlier call stopped.

    Writes `network.safetensors`, `history.json` and, after every epoch, `checkpoint.pt`.

    Parameters
    ----------
    recipe
        What `load_recipe` gives, or its name or path.
    data
        The folder that holds the data sets; None takes the one in `SPIKEWRIGHT_DATA`.
    device
        "cpu", "cuda", "cuda:N" or "auto".
    progress
        Called every few steps.
    restart
        Train from the start; a checkpoint that is there is replaced after the first epoch.

    Raises
    ------
    BadInput
        If data, folder, checkpoint or device are not as they must be, or the folder is in use.
    CheckFailed
        If the exported network differs from the trained one in any value, or training diverges.
    """
    from spikewright.model.training import train as training

    recipe = load_recipe(recipe) if isinstance(recipe, str | Path) else recipe
    with writing(Path(folder)) if torchrun.leads() else nullcontext():
        trained = training.train(recipe, folder, data, progress, device=device, restart=restart)
    return TrainResult.of(recipe.name, trained.network, trained.network_path, trained.summary)
