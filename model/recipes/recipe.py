"""Recipes: TOML files that say what to train, checked whole before anything runs.

`recipes/*.toml` are the built-in ones; their comments explain every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.network.file import MAX_NODES
from spikewright.golden.reading import read_toml
from spikewright.model import architecture, topologies
from spikewright.model.compression.banks import check_banks
from spikewright.model.data.coding import KINDS as CODINGS
from spikewright.model.data.coding import Coder
from spikewright.model.recipes import check_starts, methods, stages, unused_keys
from spikewright.model.recipes.fields import (
    choice,
    field,
    integer,
    number,
    plain,
    read_table,
    table,
    tables,
    text,
    words,
)
from spikewright.model.recipes.sections import Neuron, Pruning, Quantization, Training
from spikewright.model.recipes.stages import Stage

FOLDER = Path(__file__).parent

# shape of one frame, bits, coding: what model.data delivers, known here without reading files
DATA: dict[str, tuple[tuple[int, int, int], int, str]] = {
    "digits": ((1, 8, 8), 5, "direct"),
    "mnist": ((1, 28, 28), 8, "direct"),
    "fashion-mnist": ((1, 28, 28), 8, "direct"),
    "cifar-10": ((3, 32, 32), 8, "direct"),
    "n-mnist": ((2, 34, 34), 4, "events"),
}


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) is not None


@dataclass(frozen=True)
class Recipe:
    """One training run: data set, layers, time steps, and the tables above.

    `coding` "poisson" turns images into spikes; "values" is as the data set has them. Instead of
    `layers`, a `topology` with a `width` factor and the kind of its pools may be named.
    """

    name: str = field(text("a name of lower-case letters, digits, '-', '_' and '.'", _is_name))
    data: str = field(choice(*DATA))
    timesteps: int = field(integer(1, 256))
    # `table` returns a dataclass field, not a default that recipes would share.
    neuron: Neuron = table(Neuron)  # noqa: RUF009
    quantization: Quantization = table(Quantization)  # noqa: RUF009
    pruning: Pruning = table(Pruning)  # noqa: RUF009
    training: Training = table(Training)  # noqa: RUF009
    stages: tuple[Stage, ...] = tables(Stage)
    coding: str = field(choice(*CODINGS), "values", quiet=True)
    layers: tuple[str, ...] = field(words(MAX_NODES), ())
    topology: str = field(choice("none", *topologies.NAMES), "none", quiet=True)
    width: float = field(number(0.01, 4), 1.0, quiet=True)
    pooling: str = field(choice("sum", "max"), "sum", quiet=True)

    def frame(self) -> tuple[tuple[int, int, int], int, str]:
        """Shape, bits and coding of the network's input."""
        shape, bits, coding = DATA[self.data]
        return (shape, 1, "events") if self.coding == "poisson" else (shape, bits, coding)

    def coder(self) -> Coder:
        """What makes the network's input of images."""
        highest = 2 ** DATA[self.data][1] - 1
        return Coder(self.coding, self.timesteps, highest, self.training.seed)

    def words(self) -> tuple[str, ...]:
        """The layers as words, those of a named topology spelt out."""
        if self.topology == "none":
            return self.layers
        return topologies.spell(self.topology, self.width, self.pooling, DATA[self.data][0], 10)

    def architecture(self, where: str = "recipe") -> tuple[architecture.Layer, ...]:
        """The layers with their shapes; `where` names the recipe in messages."""
        shape, bits, coding = self.frame()
        highest = 2**bits - 1
        one = highest if coding == "direct" else 1
        return architecture.parse(
            where, self.words(), shape, highest, one, self.quantization.weight_bits
        )

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values, fit for JSON."""
        return plain(self)

    def plan(self) -> tuple[Stage, ...]:
        """The stages, each with a name; without any, one spiking stage with gradual pruning."""
        return stages.named(self.stages or (Stage("snn", options={"sparse": "gradual"}),))

    def of_stage(
        self, stage: Stage, changes: Mapping[str, Any] | None = None, where: str = ""
    ) -> Recipe:
        """The recipe that `stage` trains: its own tables over these, and no stages.

        `changes`, nested plain values that earlier stages found, lie in between. `where` names
        the recipe in messages.
        """
        content = plain(self)
        content.pop("stages", None)
        for change in (changes or {}, stage.changes()):
            content = merged(content, change)
        return _tables(content, f"{where or f'recipe {self.name!r}'}: stage {stage.name!r}")


def names() -> tuple[str, ...]:
    """The built-in recipes."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a built-in recipe by name, or any by the path of its `.toml` file.

    `overrides` replaces values by dotted key before the check, as in `{"training.seed": 1}` or
    `{"stages.1.epochs": 5}`, stages counted from 0.

    Raises
    ------
    BadInput
        If there is no such recipe, it is no TOML, or any key or value is wrong: file, key, value,
        and what would be right.
    """
    path = Path(name_or_path)
    if str(name_or_path) in names():
        path = FOLDER / f"{name_or_path}.toml"
        where = f"recipe {str(name_or_path)!r}"
    else:
        where = f"recipe {path}"
    known = f"a .toml file that exists, or one of {', '.join(names())}"
    require(path.suffix == ".toml", "recipe", "name", show(str(name_or_path)), known)
    content = read_toml(path, where, known)
    for key, value in (overrides or {}).items():
        _override(content, key, value, where)
    return from_dict(content, where)


def _override(content: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set `key`; in "stages.1.epochs" the number is a place in a list, from 0."""
    *tables, last = key.split(".")
    found: Any = content
    for depth, name in enumerate(tables, start=1):
        here = ".".join(tables[:depth])
        if isinstance(found, list):
            right = f"a place within 0..{len(found) - 1}"
            outer = ".".join(tables[: depth - 1])
            fits = name in map(str, range(len(found)))
            require(fits, where, outer, repr(name), right)
            found = found[int(name)]
        else:
            known = name in found or name != "stages"
            require(known, where, "stages", "absent", f"there for {key}: the recipe has none")
            found = found.setdefault(name, {})
        if not isinstance(found, dict | list):
            raise BadInput(f"{where}: {here} is {show(found)}, must be a table [{here}]")
    if not isinstance(found, dict):
        raise BadInput(f"{where}: {key} is {show(value)}, must be the key of a table")
    found[last] = value


def merged(content: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Nested plain values with `changes` on top: key by key within tables, lists as a whole.

    >>> merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [4]})
    {'a': {'b': 3, 'c': 2}, 'd': [4]}
    """
    found = dict(content)
    for key, value in changes.items():
        old = found.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            value = merged(old, value)
        found[key] = value
    return found


def from_dict(content: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """Check nested plain values, as TOML gives them, and build the recipe.

    Raises
    ------
    BadInput
        As `load`.
    """
    recipe = _tables(content, where)
    plan = recipe.plan()
    if recipe.stages:
        stages.check(plan, where)
        unused_keys.check(plan, where)
    parts = [recipe.of_stage(stage, where=where) if recipe.stages else recipe for stage in plan]
    check_starts.check(plan, parts, where)
    common = recipe.pruning, recipe.training
    for place, (stage, part) in enumerate(zip(plan, parts, strict=True)):
        layers = part.architecture(where)
        unused_keys.check_tables(stage, (part.pruning, part.training), common, where)
        check_starts.check_channels(stage, part.pruning, recipe.pruning, layers, where)
        placed = methods.PlacedStage(plan, place, part, layers, where)
        for method in methods.selected(stage, part):
            method.check(placed)
    return recipe


def _tables(content: Mapping[str, Any], where: str) -> Recipe:
    """Everything but what the stages make of it."""
    recipe = read_table(Recipe, content, where)
    pruning, training, neuron = recipe.pruning, recipe.training, recipe.neuron
    _check_layers(recipe, where)
    require(recipe.coding == "values" or DATA[recipe.data][2] == "direct", where, "coding",
            repr(recipe.coding), f"'values' for the events of {recipe.data}")  # fmt: skip
    require(
        pruning.begin <= pruning.end,
        where,
        "pruning.begin",
        pruning.begin,
        f"at most end = {pruning.end}",
    )
    if pruning.density < 1:
        highest = min(training.freeze, 0.95)
        remedy = f"at most {highest}: pruning ends before training.freeze, with time to recover"
        require(pruning.end <= highest, where, "pruning.end", pruning.end, remedy)
    require(training.freeze < 1 or not neuron.batch_norm, where, "training.freeze", training.freeze,
            "below 1: exact networks need statistics that were frozen in training")  # fmt: skip
    _check_banks(pruning, recipe.architecture(where), where)
    return recipe


def _check_layers(recipe: Recipe, where: str) -> None:
    if recipe.topology == "none":
        require(bool(recipe.layers), where, "layers", [],
                "a list of words, unless topology is named")  # fmt: skip
        for key, value, default in (
            ("width", recipe.width, 1.0),
            ("pooling", recipe.pooling, "sum"),
        ):
            require(value == default, where, key, repr(value), "left out unless topology is named")
        return
    require(not recipe.layers, where, "topology", repr(recipe.topology),
            "left out where layers are given")  # fmt: skip


def _check_banks(pruning: Pruning, layers: Sequence[architecture.Layer], where: str) -> None:
    paths = architecture.weighted(layers)
    counts = pruning.banks_of(len(paths))
    if not counts or pruning.density == 1:
        return
    require(len(counts) == len(paths), where, "pruning.banks", list(counts),
            f"1 number or one for each of the {len(paths)} layers with weights")  # fmt: skip
    names, shapes = [path.name for path in paths], [path.weight_shape for path in paths]
    check_banks(f"{where}: pruning", names, shapes, pruning.density, pruning.allocation, counts)
