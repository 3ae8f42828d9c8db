"""Which methods a stage is made of, in the order in which the trainer calls them."""

from __future__ import annotations

from collections.abc import Callable

from model.freeze import FreezeStatistics, TrainWeights
from model.method import Method
from model.penalty import SpikePenalty
from model.prune import Pruner
from model.recipe import Recipe
from model.stages import Stage

SPARSE: dict[str, Callable[[], Method]] = {"gradual": Pruner}
"""What a stage's `sparse` names."""


def of_stage(stage: Stage, recipe: Recipe) -> list[Method]:
    """New methods of a stage; `recipe` is that of the stage."""
    methods: list[Method] = []
    if stage.sparse != "none":
        methods.append(SPARSE[stage.sparse]())
    methods.append(FreezeStatistics())
    if stage.train == "weights":
        methods.append(TrainWeights())
    if recipe.training.spike_penalty:
        methods.append(SpikePenalty(recipe.training.spike_penalty))
    return methods
