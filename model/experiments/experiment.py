"""Experiments: a method against baselines over seeds, as TOML files.

An experiment is a recipe, variants that change it, seeds, and perhaps one key of the recipe that
takes several values. A run is one variant at one value with one seed; `model.experiments.schedule`
makes them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikewright.golden.errors import BadInput, require
from spikewright.model.experiments.measures import Measure
from spikewright.model.experiments.parameter_sweep import Sweep
from spikewright.model.recipes import recipe as recipes
from spikewright.model.recipes.fields import (
    boolean,
    field,
    integers,
    mapping,
    read_table,
    table,
    tables,
    text,
)
from spikewright.model.recipes.recipe import Recipe

NAME = re.compile("[a-z][a-z0-9-]*")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Variant:
    """A method: a name, and what it changes in the experiment's recipe.

    With `sweep` false it stays as it is where others take the swept values: a reference.
    """

    name: str = field(text("a name", lambda name: bool(re.search("[A-Za-z0-9]", name))))
    recipe: dict[str, Any] = field(mapping())  # noqa: RUF009 (no default that is shared)
    sweep: bool = field(boolean(), True, quiet=True)

    @property
    def slug(self) -> str:
        """The name, fit for a file.

        >>> Variant("random, ERK", {}).slug
        'random-erk'
        """
        return "-".join(re.findall("[a-z0-9]+", self.name.lower()))


@dataclass(frozen=True)
class Case:
    """One run: a variant, at a `value` of what is swept (None: of nothing), with a seed.

    `slug` names its files, `name` it for a reader.
    """

    variant: str
    seed: int
    value: Any
    name: str
    slug: str
    recipe: Recipe


@dataclass(frozen=True)
class Experiment:
    """What is asked, the common recipe, the variants, of which the first is the baseline."""

    name: str = field(text("lower-case letters, digits and '-'", lambda n: bool(NAME.fullmatch(n))))
    question: str = field(text("a question", bool))
    seeds: tuple[int, ...] = field(integers(0, 2**31 - 1))
    recipe: dict[str, Any] = field(mapping())  # noqa: RUF009 (no default that is shared)
    variants: tuple[Variant, ...] = tables(Variant)
    sweep: Sweep = table(Sweep, Sweep())  # noqa: RUF009 (`table` returns a field)
    measure: Measure = table(Measure, Measure())  # noqa: RUF009

    def points(self) -> Iterator[tuple[Variant, Any]]:
        """Every variant at every value, in order; None stands for no value."""
        for variant in self.variants:
            swept = variant.sweep and self.sweep.values
            yield from ((variant, value) for value in (self.sweep.values if swept else (None,)))

    def cases(self) -> Iterator[Case]:
        """All runs, seed by seed, so that what stopped early has compared all variants."""
        for seed in self.seeds:
            yield from (self.case(variant, value, seed) for variant, value in self.points())

    def case(self, variant: Variant, value: Any, seed: int) -> Case:
        """One run.

        Raises
        ------
        BadInput
            If its recipe is wrong: experiment, variant, value, and what would be right.
        """
        content = recipes.merged(self.recipe, variant.recipe)
        name, slug = variant.name, variant.slug
        if value is not None:
            content = recipes.merged(content, self.sweep.changes(value))
            name = f"{name}, {self.sweep.word} {value}"
            slug = f"{slug}-{self.sweep.slug(value)}"
        content = recipes.merged(content, {"training": {"seed": seed}})
        where = f"experiment {self.name!r}: variant {name!r}"
        recipe = recipes.from_dict({"name": variant.slug, **content}, where)
        if value is not None:
            lost = recipe.stages and all(map(self.sweep.overridden, recipe.stages))
            require(
                not lost, where, "sweep.key", repr(self.sweep.key), "one that not every stage sets"
            )
        return Case(variant.name, seed, value, f"{name}, seed {seed}", f"{slug}-{seed}", recipe)


def names() -> tuple[str, ...]:
    """The built-in experiments."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Experiment:
    """Read a built-in experiment by name, or any by the path of its `.toml` file; check all runs.

    Raises
    ------
    BadInput
        If there is no such experiment, or any key or value is wrong.
    """
    known = str(name_or_path) in names()
    path = FOLDER / f"{name_or_path}.toml" if known else Path(name_or_path)
    where = f"experiment {str(name_or_path)!r}"
    right = f"a .toml file that exists, or one of {', '.join(names())}"
    fits = path.suffix == ".toml" and path.is_file()
    require(fits, "experiment", "name", repr(str(name_or_path)), right)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where}: is no TOML ({error})") from None
    found = read_table(Experiment, content, where)
    slugs = [variant.slug for variant in found.variants]
    require(bool(slugs), where, "variants", slugs, "at least 1 table [[variants]]")
    require(len({*slugs}) == len(slugs), where, "variants", slugs, "of different names")
    _check(found, content, where)
    return found


def _check(found: Experiment, content: Mapping[str, Any], where: str) -> None:
    """All runs have valid recipes and files of their own."""
    if "sweep" in content:
        found.sweep.check(where)
        require(bool(found.sweep.values), where, "sweep.values", [], "a list of values")
        swept = any(variant.sweep for variant in found.variants)
        require(swept, where, "sweep.key", repr(found.sweep.key), "swept by at least 1 variant")
    found.measure.check(where)
    files = [case.slug for case in found.cases()]
    twice = next((file for file in files if files.count(file) > 1), None)
    require(twice is None, where, "file name", repr(twice), "of one run; rename a variant")
