"""The stages of a recipe: what is trained one after the other, and by which methods.

A recipe without `[[stages]]` is one spiking stage with gradual pruning. A stage may change any of
the recipe's tables for itself, and names its methods by single words, so that they compose.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spikewright.golden.errors import require
from spikewright.model.recipes.fields import (
    choice,
    field,
    integer,
    mapping,
    number,
    optional,
    table,
    text,
)

KINDS = ("snn", "ann")
SPARSE = ("none", "gradual", "magnitude", "random", "momentum", "admm")
DISTILL = ("none", "attention", "logits", "both")
ACTIVATIONS = ("relu", "clip")
CONVERT = ("percentile", "scaled", "maximum", "clip", "shift")
TABLES = ("neuron", "quantization", "pruning", "training")

Changes = dict[str, Any] | None
CHANGES = optional(mapping())


@dataclass(frozen=True)
class Admm:
    """How strongly weights are drawn to their set, and for which share of the stage's epochs.

    In each of these, what they are drawn to moves `updates` times.
    """

    rho: float = field(number(0, 1e6), 0.1)
    share: float = field(number(0, 1), 0.5)
    updates: int = field(integer(1, 1000), 5, quiet=True)


@dataclass(frozen=True)
class Stage:
    """One stage. Keys that are absent are those of the recipe, or mean that a method is not used.

    `start` is "previous" (also for the first stage, which starts fresh), "fresh", or the name of an
    earlier stage.
    """

    kind: str = field(choice(*KINDS))
    name: str = field(text("a word", lambda word: word.isidentifier()), "", quiet=True)
    epochs: int | None = field(optional(integer(1, 10000)), None, quiet=True)
    learning_rate: float | None = field(optional(number(1e-6, 1)), None, quiet=True)
    timesteps: int | None = field(optional(integer(1, 256)), None, quiet=True)
    start: str = field(text("a word", str.isidentifier), "previous", quiet=True)
    weights: str | None = field(optional(choice("float", "quantized")), None, quiet=True)
    activation: str = field(choice(*ACTIVATIONS), "relu", quiet=True)
    train: str = field(choice("all", "weights"), "all", quiet=True)
    sparse: str = field(choice(*SPARSE), "none", quiet=True)
    quantize: str = field(choice("none", "admm"), "none", quiet=True)
    admm: Admm = table(Admm, Admm())  # noqa: RUF009
    distill: str = field(choice(*DISTILL), "none", quiet=True)
    teacher: str = field(text("the name of a stage", str.isidentifier), "", quiet=True)
    attention_weight: float = field(number(0, 1e6), 1.0, quiet=True)
    logits_weight: float = field(number(0, 1e6), 0.5, quiet=True)
    temperature: float = field(number(0.1, 100), 4.0, quiet=True)
    convert: str = field(choice(*CONVERT), "percentile", quiet=True)
    narrow: float | None = field(optional(number(0.01, 1)), None, quiet=True)
    threshold_scale: float = field(number(0.01, 10), 1.0, quiet=True)
    # Not defaults that stages would share: these are None.
    neuron: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009
    quantization: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009
    pruning: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009
    training: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009

    @property
    def rounded(self) -> bool:
        """Whether weights are quantised in its forward pass: by default only in spiking stages."""
        return self.kind == "snn" if self.weights is None else self.weights == "quantized"

    def changes(self) -> dict[str, Any]:
        """What it changes in the recipe, as nested plain values."""
        found: dict[str, Any] = {name: dict(getattr(self, name) or {}) for name in TABLES}
        for key in ("epochs", "learning_rate"):
            if getattr(self, key) is not None:
                found["training"][key] = getattr(self, key)
        if self.timesteps is not None:
            found["timesteps"] = self.timesteps
        return found


def named(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages, those without a name called after kind and place: "ann1", "snn2".

    >>> [stage.name for stage in named([Stage("ann"), Stage("snn", name="last")])]
    ['ann1', 'last']
    """
    return tuple(
        stage if stage.name else dataclasses.replace(stage, name=f"{stage.kind}{place}")
        for place, stage in enumerate(stages, start=1)
    )


def source(stages: Sequence[Stage], place: int) -> Stage | None:
    """The stage whose weights stage number `place` starts from; None if it starts fresh."""
    start = stages[place].start
    if start == "fresh" or (start == "previous" and place == 0):
        return None
    if start == "previous":
        return stages[place - 1]
    return next(stage for stage in stages[:place] if stage.name == start)


def teacher(stages: Sequence[Stage], place: int) -> Stage | None:
    """The stage that teaches stage number `place`: the named one, or the first ANN before it."""
    if stages[place].distill == "none":
        return None
    wanted = stages[place].teacher
    return next(s for s in stages[:place] if s.kind == "ann" and wanted in ("", s.name))


def check(stages: Sequence[Stage], where: str) -> None:
    """Names are unique, stages refer to earlier ones, and what is exported can be.

    Raises
    ------
    BadInput
        Naming the stage, the key, and what would be right.
    """
    names = [stage.name for stage in stages]
    for place, stage in enumerate(stages):
        here, earlier = f"{where}: stages[{place}]", names[:place]
        require(stage.name not in earlier, here, "name", repr(stage.name), "unique")
        starts = ("previous", "fresh", *earlier)
        require(
            stage.start in starts, here, "start", repr(stage.start), f"one of {', '.join(starts)}"
        )
        before = source(stages, place)
        require(before is None or stage.kind == "snn" or before.kind == "ann", here, "start",
                repr(stage.start), "a stage of kind ann, or fresh")  # fmt: skip
        teachers = [s.name for s in stages[:place] if s.kind == "ann"]
        if stage.distill != "none":
            require(
                bool(teachers), here, "distill", repr(stage.distill), "after a stage of kind ann"
            )
        wide = stage.narrow is None or stage.kind == "snn"
        require(wide, here, "narrow", stage.narrow, "in a stage of kind snn")
        require(stage.teacher in ("", *teachers), here, "teacher", repr(stage.teacher),
                f"one of the earlier stages of kind ann ({', '.join(teachers)})")  # fmt: skip
        require(not stage.sparse == stage.quantize == "admm", here, "quantize", "'admm'",
                "in a stage behind that of sparse = 'admm'")  # fmt: skip
        require(stage.quantize == "none" or stage.rounded, here, "weights", repr(stage.weights),
                "'quantized' with quantize = 'admm'")  # fmt: skip
        require(stage.quantize == "none" or stage.train == "all", here, "train", repr(stage.train),
                "'all' with quantize = 'admm', behind which weights are fixed")  # fmt: skip
    last = f"{where}: stages[{len(stages) - 1}]"
    require(
        stages[-1].kind == "snn", last, "kind", repr(stages[-1].kind), "'snn', which is exported"
    )
    final = stages[-1].admm.share if "admm" in (stages[-1].sparse, stages[-1].quantize) else 0
    require(final < 1, last, "admm.share", final, "below 1 in the last stage, to retrain")
    require(stages[-1].rounded, last, "weights", repr(stages[-1].weights), "'quantized'")
