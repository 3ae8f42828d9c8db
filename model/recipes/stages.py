"""The stages of a recipe: what is trained one after the other, and by which methods.

A recipe without `[[stages]]` is one spiking stage with gradual pruning. A stage may change any of
the recipe's tables for itself. The keys that choose its methods, and the options of these, are
declared by the methods themselves (`model.recipes.methods`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spikewright.golden.errors import require
from spikewright.model.recipes import methods
from spikewright.model.recipes.fields import (
    choice,
    field,
    integer,
    mapping,
    number,
    opened,
    optional,
    text,
)

KINDS = ("snn", "ann")
ACTIVATIONS = ("relu", "clip")
CONVERT = ("percentile", "scaled", "maximum", "clip", "shift")
TABLES = ("neuron", "quantization", "pruning", "training")

Changes = dict[str, Any] | None
CHANGES = optional(mapping())


@dataclass(frozen=True)
class Stage:
    """One stage. Keys that are absent are those of the recipe, or mean that a method is not used.

    `start` is "previous" (also for the first stage, which starts fresh), "fresh", or the name of an
    earlier stage; `teacher` is the name of an earlier ANN, the first one if it is absent. The keys
    of methods are in `options`, and each is an attribute too; a stage that is built without a key
    has the default that its method declares.
    """

    kind: str = field(choice(*KINDS))
    name: str = field(text("a word", lambda word: word.isidentifier()), "", quiet=True)
    epochs: int | None = field(optional(integer(1, 10000)), None, quiet=True)
    learning_rate: float | None = field(optional(number(1e-6, 100)), None, quiet=True)
    timesteps: int | None = field(optional(integer(1, 256)), None, quiet=True)
    start: str = field(text("a word", str.isidentifier), "previous", quiet=True)
    weights: str | None = field(optional(choice("float", "quantized")), None, quiet=True)
    activation: str = field(choice(*ACTIVATIONS), "relu", quiet=True)
    options: dict[str, Any] = opened(methods.stage_keys)  # noqa: RUF009 (a dataclass field)
    teacher: str = field(text("the name of a stage", str.isidentifier), "", quiet=True)
    convert: str = field(choice(*CONVERT), "percentile", quiet=True)
    threshold_scale: float = field(number(0.01, 10), 1.0, quiet=True)
    # Not defaults that stages would share: these are None.
    neuron: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009
    quantization: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009
    pruning: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009
    training: Changes = field(CHANGES, None, quiet=True)  # noqa: RUF009

    def __getattr__(self, name: str) -> Any:
        """The value of a method's key."""
        return methods.value_of(self, methods.stage_keys, name)

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


def is_taught(stage: Stage) -> bool:
    """Whether a method of the stage learns from a teacher."""
    return any(method.taught for method in methods.named(stage))


def teacher(stages: Sequence[Stage], place: int) -> Stage | None:
    """The stage that teaches stage number `place`: the named one, or the first ANN before it."""
    if not is_taught(stages[place]):
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
        _check_teacher(stages, place, here)
    last = f"{where}: stages[{len(stages) - 1}]"
    require(
        stages[-1].kind == "snn", last, "kind", repr(stages[-1].kind), "'snn', which is exported"
    )
    require(stages[-1].rounded, last, "weights", repr(stages[-1].weights), "'quantized'")


def _check_teacher(stages: Sequence[Stage], place: int, here: str) -> None:
    """A stage with methods that are taught comes after an ANN; the one that it names is there."""
    stage = stages[place]
    teachers = [s.name for s in stages[:place] if s.kind == "ann"]
    for method in methods.named(stage):
        key = method.selector.key if method.selector else ""
        require(not method.taught or bool(teachers), here, key, repr(getattr(stage, key)),
                "after a stage of kind ann")  # fmt: skip
    require(stage.teacher in ("", *teachers), here, "teacher", repr(stage.teacher),
            f"one of the earlier stages of kind ann ({', '.join(teachers)})")  # fmt: skip
