"""Experiments: TOML files that compare a method with baselines over several seeds.

An experiment has a recipe, variants that change it, seeds, and optionally one key of the recipe
that takes several values. A run is one variant at one value with one seed;
`model.experiments.schedule` trains them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.reading import read_toml
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
MAX_RUNS = 1000
MAX_SLUG = 128


@dataclass(frozen=True)
class Variant:
    """A variant: its name, and its changes of the experiment's recipe.

    With `sweep` false the swept values do not apply to it: a reference.
    """

    name: str = field(text("a name", lambda name: bool(re.search("[A-Za-z0-9]", name))))
    recipe: dict[str, Any] = field(mapping())  # noqa: RUF009 (no default that is shared)
    sweep: bool = field(boolean(), True, quiet=True)

    @property
    def slug(self) -> str:
        """The name in a form for file names.

        >>> Variant("random, ERK", {}).slug
        'random-erk'
        """
        return "-".join(re.findall("[a-z0-9]+", self.name.lower()))


@dataclass(frozen=True)
class Case:
    """One run: a variant at a swept `value` (None: nothing is swept) with a seed.

    `slug` is the stem of its files, `name` is for people.
    """

    variant: str
    seed: int
    value: Any
    name: str
    slug: str
    recipe: Recipe


@dataclass(frozen=True)
class Experiment:
    """An experiment: a question, the common recipe, and variants; the first is the baseline."""

    name: str = field(text("lower-case letters, digits and '-'", lambda n: bool(NAME.fullmatch(n))))
    question: str = field(text("a question", bool))
    seeds: tuple[int, ...] = field(integers(0, 2**31 - 1))
    recipe: dict[str, Any] = field(mapping())  # noqa: RUF009 (no default that is shared)
    variants: tuple[Variant, ...] = tables(Variant)
    sweep: Sweep = table(Sweep, Sweep())  # noqa: RUF009 (`table` returns a field)
    measure: Measure = table(Measure, Measure())  # noqa: RUF009

    def points(self) -> Iterator[tuple[Variant, Any]]:
        """Every variant at every swept value, in order; None where nothing is swept."""
        for variant in self.variants:
            swept = variant.sweep and self.sweep.values
            yield from ((variant, value) for value in (self.sweep.values if swept else (None,)))

    def cases(self) -> Iterator[Case]:
        """All runs, seed by seed, so that an interrupted experiment has compared all variants."""
        for seed in self.seeds:
            yield from (self.case(variant, value, seed) for variant, value in self.points())

    def case(self, variant: Variant, value: Any, seed: int) -> Case:
        """The run of a variant at a value with a seed.

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
            overridden = recipe.stages and all(map(self.sweep.overridden, recipe.stages))
            right = "one that not every stage sets"
            require(not overridden, where, "sweep.key", repr(self.sweep.key), right)
        return Case(variant.name, seed, value, f"{name}, seed {seed}", f"{slug}-{seed}", recipe)


def names() -> tuple[str, ...]:
    """The names of the built-in experiments."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Experiment:
    """Reads a built-in experiment by name, or any by the path of its `.toml` file; checks all runs.

    Raises
    ------
    BadInput
        If there is no such experiment, or any key or value is wrong.
    """
    known = str(name_or_path) in names()
    path = FOLDER / f"{name_or_path}.toml" if known else Path(name_or_path)
    where = f"experiment {str(name_or_path)!r}"
    right = f"a .toml file that exists, or one of {', '.join(names())}"
    require(path.suffix == ".toml", "experiment", "name", show(str(name_or_path)), right)
    content = read_toml(path, where, right)
    experiment = read_table(Experiment, content, where)
    slugs = [variant.slug for variant in experiment.variants]
    require(bool(slugs), where, "variants", slugs, "at least 1 table [[variants]]")
    require(len({*slugs}) == len(slugs), where, "variants", slugs, "of different names")
    _check_runs(experiment, content, where)
    return experiment


def _check_runs(experiment: Experiment, content: Mapping[str, Any], where: str) -> None:
    """Checks that all runs have valid recipes and different file names."""
    sweep = experiment.sweep
    if "sweep" in content:
        sweep.check(where)
        require(bool(sweep.values), where, "sweep.values", [], "a list of values")
        swept = any(variant.sweep for variant in experiment.variants)
        require(swept, where, "sweep.key", repr(sweep.key), "swept by at least 1 variant")
    experiment.measure.check(where)
    runs = sum(1 for _ in experiment.points()) * len(experiment.seeds)
    require(runs <= MAX_RUNS, where, "number of runs", runs, f"at most {MAX_RUNS}")
    try:
        counted = Counter(case.slug for case in experiment.cases())
    except BadInput as error:
        raise BadInput(
            f"{where}: {str(error).removeprefix(f'experiment {experiment.name!r}: ')}"
        ) from None
    file, times = counted.most_common(1)[0]
    require(times == 1, where, "file name", repr(file), "of one run; rename a variant")
    require(len(file) <= MAX_SLUG, where, "file name", show(file),
            f"of at most {MAX_SLUG} characters; shorten the variant's name")  # fmt: skip
