"""Whether a data set, once it is read, is what the recipe says: checked before the first step."""

from __future__ import annotations

from collections.abc import Sequence

from spikewright.golden.errors import require
from spikewright.model.data import DataSet
from spikewright.model.recipes.recipe import DATA, Recipe
from spikewright.model.recipes.sections import Training
from spikewright.model.recipes.stages import Stage


def check(recipe: Recipe, dataset: DataSet) -> None:
    """Its frames enter the first layer, its classes leave the last, it has the images asked for.

    Raises
    ------
    BadInput
        Naming what differs, and what would be right.
    """
    here = f"recipe {recipe.name!r}: data {recipe.data!r}"
    shape, bits, coding = DATA[recipe.data]
    for name, found, right in (
        ("shape", dataset.shape, shape),
        ("bits", dataset.bits, bits),
        ("coding", dataset.coding, coding),
    ):
        require(found == right, here, name, found, f"{right}, for which the layers are made")
    outputs = recipe.architecture()[-1].shape[0]
    require(outputs >= dataset.classes, f"recipe {recipe.name!r}", "the last of layers", outputs,
            f"at least {dataset.classes}, the classes of {recipe.data}")  # fmt: skip
    wanted, images = recipe.training.images, len(dataset.train_x)
    require(wanted <= images, f"recipe {recipe.name!r}", "training.images", wanted,
            f"at most {images}, or 0 for all of {recipe.data}")  # fmt: skip


def check_batches(
    name: str, stages: Sequence[Stage], training: Sequence[Training], images: int
) -> None:
    """Every stage fills a batch with the `images` that validation leaves to train on.

    Raises
    ------
    BadInput
        Naming the stage, its batch size, and what would be right.
    """
    for stage, table in zip(stages, training, strict=True):
        require(table.batch_size <= images, f"recipe {name!r}: stage {stage.name!r}",
                "training.batch_size", table.batch_size,
                f"at most {images}, the images that are trained on")  # fmt: skip
