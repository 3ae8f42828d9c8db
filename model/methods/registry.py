"""Which methods a stage is made of, in the order in which the trainer calls them."""

from __future__ import annotations

from collections.abc import Callable

from spikewright.model.methods.admm import AdmmLevels, AdmmSparsity
from spikewright.model.methods.attention import AttentionTransfer
from spikewright.model.methods.base import Method
from spikewright.model.methods.distill import Distillation
from spikewright.model.methods.dropout import Dropout
from spikewright.model.methods.freeze import FreezeStatistics, TrainWeights
from spikewright.model.methods.narrow import SignificantWidths
from spikewright.model.methods.penalty import SpikePenalty
from spikewright.model.methods.prune import OneShot, Pruner
from spikewright.model.methods.sparse_momentum import RandomMask, SparseMomentum
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.stages import Stage

SPARSE: dict[str, Callable[[], Method]] = {
    "gradual": Pruner,
    "magnitude": OneShot,
    "random": RandomMask,
    "momentum": SparseMomentum,
    "admm": AdmmSparsity,
}
"""What a stage's `sparse` names."""


def of_stage(stage: Stage, recipe: Recipe) -> list[Method]:
    """New methods of a stage; `recipe` is that of the stage."""
    methods: list[Method] = []
    if stage.sparse != "none":
        methods.append(SPARSE[stage.sparse]())
    if stage.quantize == "admm":
        methods.append(AdmmLevels())
    methods.append(FreezeStatistics())
    if stage.train == "weights":
        methods.append(TrainWeights())
    if stage.distill in ("attention", "both"):
        methods.append(AttentionTransfer(stage.attention_weight))
    if stage.distill in ("logits", "both"):
        methods.append(Distillation(stage.logits_weight, stage.temperature))
    if recipe.training.dropout:
        methods.append(Dropout(recipe.training.dropout))
    if stage.narrow is not None:
        methods.append(SignificantWidths(stage.narrow))
    if recipe.training.spike_penalty:
        methods.append(SpikePenalty(recipe.training.spike_penalty, recipe.training.spike_mean))
    return methods
