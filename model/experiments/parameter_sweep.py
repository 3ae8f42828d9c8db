"""The parameter sweep of an experiment: one key of the recipe that takes several values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spikewright.golden.errors import require
from spikewright.model.recipes import fields
from spikewright.model.recipes.fields import field, text, values
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.stages import Stage

OWN = ("name", "stages", "training.seed")
"""Keys of recipes that cannot be swept: an experiment sets them, or they are no single value."""


def keys(kind: type = Recipe, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a recipe that can be swept.

    >>> {"timesteps", "pruning.density"} <= {*keys()}, "training.seed" in keys()
    (True, False)
    """
    for key, entry in fields.keys(kind).items():
        nested, name = entry.metadata.get("table"), prefix + key
        if name in OWN:
            continue
        if nested is None:
            yield name
        else:
            yield from keys(nested, f"{name}.")


@dataclass(frozen=True)
class Sweep:
    """A dotted key of the recipe and its values; without a key nothing is swept."""

    key: str = field(text("a key of recipes", bool), "", quiet=True)
    values: tuple[Any, ...] = field(values(), (), quiet=True)

    @property
    def word(self) -> str:
        """The key for people: "weight bits" of "quantization.weight_bits"."""
        return self.key.rpartition(".")[2].replace("_", " ")

    def changes(self, value: Any) -> dict[str, Any]:
        """The change of the recipe that sets the key to `value`, as nested plain values.

        >>> Sweep("pruning.density", (0.1,)).changes(0.1)
        {'pruning': {'density': 0.1}}
        """
        change: Any = value
        for name in reversed(self.key.split(".")):
            change = {name: change}
        return change

    def slug(self, value: Any) -> str:
        """Key and value in a form for file names.

        >>> Sweep("quantization.weight_bits", ()).slug([4, 8])
        'weight-bits-4-8'
        """
        parts = re.findall("[a-z0-9.]+", str(value).lower())
        return "-".join([*self.word.split(), *parts])

    def check(self, where: str) -> None:
        """Checks that the key is one of a recipe.

        Raises
        ------
        BadInput
            Naming the key, with the nearest one that exists.
        """
        known = sorted(keys())
        words = {key.rpartition(".")[2]: key for key in known}
        near = [words.get(word, word) for word in difflib.get_close_matches(
            self.key, [*known, *words], 1)]  # fmt: skip
        hint = f"; did you mean {near[0]!r}?" if near else ""
        expected = f"a key of recipes except {', '.join(OWN)}, as 'pruning.density'{hint}"
        require(self.key in known, where, "sweep.key", repr(self.key), expected)

    def overridden(self, stage: Stage) -> bool:
        """Whether `stage` sets the key itself, so that the swept value has no effect in it."""
        changes: Any = stage.changes()
        for name in self.key.split("."):
            if not isinstance(changes, Mapping) or name not in changes:
                return False
            changes = changes[name]
        return True
