"""Rejects keys without effect, since who writes a key expects one.

A key counts only where its value is not the default (in a stage's table: not that of the recipe).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from spikewright.golden.errors import require
from spikewright.model.recipes import methods
from spikewright.model.recipes.fields import plain
from spikewright.model.recipes.sections import Pruning, Training
from spikewright.model.recipes.stages import Stage, is_taught, source

SHARED = ("images", "validation", "seed", "threads")
"""Keys of [training] that hold for a whole run: its stages share images, split and threads."""


def check(stages: Sequence[Stage], where: str) -> None:
    """Every key of a stage has an effect in it.

    Raises
    ------
    BadInput
        Naming the stage, the key, and where it would have one.
    """
    for place, stage in enumerate(stages):
        here, before = f"{where}: stages[{place}]", source(stages, place)
        spiking = stage.kind == "snn"
        from_ann = spiking and before is not None and before.kind == "ann"
        taught = [each.selector.key for each in methods.known() if each.taught and each.selector]
        for key, default, has_effect, remedy in (
            ("activation", "relu", not spiking, "left out of a stage of kind snn"),
            ("convert", "percentile", from_ann,
             "left out unless a spiking stage starts from an ANN"),
            ("threshold_scale", 1.0, spiking and before is not None,
             "left out unless a spiking stage starts from another, whose thresholds it scales"),
            ("teacher", "", is_taught(stage),
             f"left out without {' or '.join(dict.fromkeys(taught))}"),
        ):  # fmt: skip
            _require_effect(stage, key, default, has_effect, here, remedy)
        _check_options(stage, here)


def _check_options(stage: Stage, here: str) -> None:
    """Options belong to methods of the stage."""
    chosen = methods.named(stage)
    for key, entry in methods.stage_keys().items():
        owners = [each for each in methods.known() if each.selector and key in each.stage_keys]
        if owners:
            has_effect = any(owner in chosen for owner in owners)
            remedy = f"left out unless {methods.condition(owners)}"
            _require_effect(stage, key, entry.default, has_effect, here, remedy)


def _require_effect(
    stage: Stage, key: str, default: Any, has_effect: bool, here: str, remedy: str
) -> None:
    value = getattr(stage, key)
    shown = plain(value) if dataclasses.is_dataclass(value) else repr(value)
    require(has_effect or value == default, here, key, str(shown), remedy)


def check_tables(
    stage: Stage, own: tuple[Pruning, Training], common: tuple[Pruning, Training], where: str
) -> None:
    """The keys by which `own` tables of a stage differ from the `common` ones have an effect.

    Raises
    ------
    BadInput
        Naming the stage, the key, and what would be right.
    """
    here = f"{where}: stage {stage.name!r}"
    chosen = methods.named(stage)
    for entry in dataclasses.fields(Pruning):
        key, value = entry.name, getattr(own[0], entry.name)
        if key == "banks" and own[0].structure != "bank":
            require(value == common[0].banks, here, "pruning.banks", list(value),
                    "left out unless pruning.structure is 'bank'")  # fmt: skip
        readers = [each for each in methods.known() if key in each.pruning_keys]
        if readers:
            used = any(reader in chosen for reader in readers)
            require(used or value == getattr(common[0], key), here, f"pruning.{key}", repr(value),
                    f"left out unless {methods.condition(readers)}")  # fmt: skip
    for key in SHARED:
        value, shared = getattr(own[1], key), getattr(common[1], key)
        require(value == shared, here, f"training.{key}", value,
                f"that of the recipe, {shared}, which all stages share")  # fmt: skip
