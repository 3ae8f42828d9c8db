"""Whether a stage fits that from which it starts: checked with the recipe, before anything runs.

`model.training.stage_network.inherit` loads one network's weights into the other's; it would find
the same, but only when the earlier stages are trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spikewright.golden.errors import require
from spikewright.model.architecture import Layer
from spikewright.model.recipes import methods
from spikewright.model.recipes.sections import Pruning
from spikewright.model.recipes.stages import Stage, source

if TYPE_CHECKING:
    from spikewright.model.recipes.recipe import Recipe


def check(stages: Sequence[Stage], recipes: Sequence[Recipe], where: str) -> None:
    """Layers and parameters of a stage are those of the stage that it starts from.

    Parameters
    ----------
    recipes
        Of each stage: the recipe with its own tables.

    Raises
    ------
    BadInput
        Naming the stage, the key, and what would be right.
    """
    for place, stage in enumerate(stages):
        before = source(stages, place)
        if before is None:
            continue
        here, first = f"{where}: stages[{place}]", stages.index(before)
        for each in methods.known():
            if each.reshapes and any(
                each.selected(stages[n], recipes[n]) for n in range(first, place)
            ):
                remedy = f"'fresh' after a stage with {each.name}, as layers are others"
                require(False, here, "start", repr(stage.start), remedy)
        mine, its = (recipes[n].neuron.batch_norm for n in (place, first))
        require(mine == its, here, "neuron.batch_norm", mine,
                f"{its} as in stage {before.name!r}, from which it starts")  # fmt: skip


def check_channels(
    stage: Stage, own: Pruning, common: Pruning, layers: Sequence[Layer], where: str
) -> None:
    """Later stages know that gains of residual blocks were dropped with their channels.

    Gains have no masks of their own, and follow those of their block only where `own` [pruning]
    says so: so it must say the same as the `common` one, that of the recipe.

    Raises
    ------
    BadInput
        Naming the stage, and what would be right.
    """
    joined = any(layer.shortcut is not None for layer in layers)
    same = (own.structure == "channel") == (common.structure == "channel")
    require(same or not joined, f"{where}: stage {stage.name!r}", "pruning.structure",
            repr(own.structure), f"{common.structure!r} as in the recipe's [pruning]: in residual "
            "blocks all stages drop channels from both paths, or none does")  # fmt: skip
