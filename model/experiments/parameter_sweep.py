"""What an experiment varies beside its variants: one key of the recipe, over some values."""

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
"""Keys of recipes that an experiment sets itself, or that are no single value."""


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
    """A dotted key of the recipe and the values it takes; without a key nothing is swept."""

    key: str = field(text("a key of recipes", bool), "", quiet=True)
    values: tuple[Any, ...] = field(values(), (), quiet=True)

    @property
    def word(self) -> str:
        """The key for a reader: "weight bits" of "quantization.weight_bits"."""
        return self.key.rpartition(".")[2].replace("_", " ")

    def changes(self, value: Any) -> dict[str, Any]:
        """`value` under the key, as nested plain values.

        >>> Sweep("pruning.density", (0.1,)).changes(0.1)
        {'pruning': {'density': 0.1}}
        """
        found: Any = value
        for name in reversed(self.key.split(".")):
            found = {name: found}
        return found

    def slug(self, value: Any) -> str:
        """Key and value, fit for a file.

        >>> Sweep("quantization.weight_bits", ()).slug([4, 8])
        'weight-bits-4-8'
        """
        parts = re.findall("[a-z0-9.]+", str(value).lower())
        return "-".join([*self.word.split(), *parts])

    def check(self, where: str) -> None:
        """The key is one of recipes.

        Raises
        ------
        BadInput
            Naming the key that was perhaps meant.
        """
        known = sorted(keys())
        words = {key.rpartition(".")[2]: key for key in known}
        near = [words.get(word, word) for word in difflib.get_close_matches(
            self.key, [*known, *words], 1)]  # fmt: skip
        hint = f"; did you mean {near[0]!r}?" if near else ""
        expected = f"a key of recipes except {', '.join(OWN)}, as 'pruning.density'{hint}"
        require(self.key in known, where, "sweep.key", repr(self.key), expected)

    def overridden(self, stage: Stage) -> bool:
        """Whether `stage` sets the key for itself, so that the swept value does not reach it."""
        found: Any = stage.changes()
        for name in self.key.split("."):
            if not isinstance(found, Mapping) or name not in found:
                return False
            found = found[name]
        return True
