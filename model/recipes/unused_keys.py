"""Keys that would do nothing where they stand: refused, since who writes a key expects an effect.

A key counts only where its value is not the default (in a stage's table: not that of the recipe).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from spikewright.golden.errors import require
from spikewright.model.architecture import Layer
from spikewright.model.recipes.fields import plain
from spikewright.model.recipes.sections import Pruning, Training
from spikewright.model.recipes.stages import Admm, Stage, source

SHARED = ("images", "validation", "seed", "threads")
"""Keys of [training] that hold for a whole run: its stages share images, split and threads."""

_USED_BY = {
    "density": ("gradual", "magnitude", "random", "momentum", "admm"),
    "allocation": ("gradual", "magnitude", "random", "momentum", "admm"),
    "begin": ("gradual",),
    "updates_per_epoch": ("gradual",),
    "end": ("gradual", "momentum"),
    "drop": ("momentum",),
}
"""For which ways of `sparse` a key of [pruning] means something."""


def check(stages: Sequence[Stage], where: str) -> None:
    """Every key of a stage has an effect in it.

    Raises
    ------
    BadInput
        Naming the stage, the key, and where it would have one.
    """
    for place, stage in enumerate(stages):
        here, before = f"{where}: stages[{place}]", source(stages, place)
        spiking, distill = stage.kind == "snn", stage.distill
        from_ann = spiking and before is not None and before.kind == "ann"
        later = place < len(stages) - 1
        drawn = "admm" in (stage.sparse, stage.quantize)
        for key, default, has_effect, remedy in (
            ("activation", "relu", not spiking, "left out of a stage of kind snn"),
            ("convert", "percentile", from_ann,
             "left out unless a spiking stage starts from an ANN"),
            ("threshold_scale", 1.0, spiking and before is not None,
             "left out unless a spiking stage starts from another, whose thresholds it scales"),
            ("teacher", "", distill != "none", "left out without distill"),
            ("attention_weight", 1.0, distill in ("attention", "both"),
             "left out unless distill is 'attention' or 'both'"),
            ("logits_weight", 0.5, distill in ("logits", "both"),
             "left out unless distill is 'logits' or 'both'"),
            ("temperature", 4.0, distill in ("logits", "both"),
             "left out unless distill is 'logits' or 'both'"),
            ("admm", Admm(), drawn, "left out unless sparse or quantize is 'admm'"),
            ("narrow", None, later, "left out of the last stage: later ones get the widths"),
        ):  # fmt: skip
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
    for entry in dataclasses.fields(Pruning):
        key, value = entry.name, getattr(own[0], entry.name)
        used = _USED_BY.get(key, (stage.sparse,))
        if key == "banks" and own[0].structure != "bank":
            require(value == common[0].banks, here, "pruning.banks", list(value),
                    "left out unless pruning.structure is 'bank'")  # fmt: skip
        words = " or ".join(repr(word) for word in used)
        require(stage.sparse in used or value == getattr(common[0], key), here, f"pruning.{key}",
                repr(value), f"left out unless sparse is {words}")  # fmt: skip
    for key in SHARED:
        value, shared = getattr(own[1], key), getattr(common[1], key)
        require(value == shared, here, f"training.{key}", value,
                f"that of the recipe, {shared}, which all stages share")  # fmt: skip


def check_layers(stage: Stage, layers: Sequence[Layer], where: str) -> None:
    """Attention has maps to compare.

    Raises
    ------
    BadInput
        Naming the stage, and what would be right.
    """
    maps = any(layer.kind == "conv" for layer in layers)
    require(maps or stage.distill not in ("attention", "both"), f"{where}: stage {stage.name!r}",
            "distill", repr(stage.distill),
            "'logits' where no layer is a convolution, whose maps attention compares")  # fmt: skip
