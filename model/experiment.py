"""Experiments: a method against baselines over seeds, as TOML files, resumable run by run.

An experiment is a recipe, variants that change it, and seeds. Every run trains in a folder of its
own, goes on where it stopped, and ends in one JSON file in `results/`, which is never made twice.
"""

from __future__ import annotations

import json
import re
import statistics
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.atomic import write_bytes
from golden.errors import BadInput, require
from model import recipe as recipes
from model.fields import field, integers, mapping, read_table, tables, text
from model.recipe import Recipe

NAME = re.compile("[a-z][a-z-]*")
FOLDER = Path(__file__).parent / "experiments"
RESULTS, RUNS = "results", "runs"


@dataclass(frozen=True)
class Variant:
    """A line of the table: a name, and what it changes in the experiment's recipe."""

    name: str = field(text("a name", lambda name: bool(re.search("[A-Za-z0-9]", name))))
    recipe: dict[str, Any] = field(mapping())  # noqa: RUF009 (no default that is shared)

    @property
    def slug(self) -> str:
        """The name, fit for a file.

        >>> Variant("random, ERK", {}).slug
        'random-erk'
        """
        return "-".join(re.findall("[a-z0-9]+", self.name.lower()))


@dataclass(frozen=True)
class Experiment:
    """What is asked, the common recipe, the variants, of which the first is the baseline."""

    name: str = field(text("lower-case letters and '-'", lambda n: bool(NAME.fullmatch(n))))
    question: str = field(text("a question", bool))
    seeds: tuple[int, ...] = field(integers(0, 2**31 - 1))
    recipe: dict[str, Any] = field(mapping())  # noqa: RUF009 (no default that is shared)
    variants: tuple[Variant, ...] = tables(Variant)

    def recipe_of(self, variant: Variant, seed: int) -> Recipe:
        """The recipe of one run."""
        content = recipes.merged(self.recipe, variant.recipe)
        content = recipes.merged(content, {"training": {"seed": seed}})
        where = f"experiment {self.name!r}: variant {variant.name!r}"
        return recipes.from_dict({"name": variant.slug, **content}, where)


@dataclass(frozen=True)
class Line:
    """The runs of one variant: a value for each seed that is finished."""

    variant: str
    summaries: tuple[Mapping[str, Any], ...]

    def values(self, key: str) -> list[float]:
        """One value of all summaries."""
        return [summary[key] for summary in self.summaries]

    def mean(self, key: str) -> float:
        """Over the seeds."""
        return statistics.fmean(self.values(key))

    def deviation(self, key: str) -> float:
        """The sample's standard deviation over the seeds; 0 for a single one."""
        values = self.values(key)
        return statistics.stdev(values) if len(values) > 1 else 0.0


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
    for variant in found.variants:
        found.recipe_of(variant, found.seeds[0])
    return found


Report = Callable[[str, Any], None]


def run(
    experiment: Experiment, folder: Path, data_root: str | Path | None = None,
    report: Report | None = None,
) -> list[Line]:  # fmt: skip
    """Train what is not finished, seed by seed; a line for each variant.

    Parameters
    ----------
    report
        Called with the name of a run and its `model.train.Progress`.

    Raises
    ------
    BadInput
        As `model.train.train`; or if a result in the folder is of another recipe.
    """
    for seed in experiment.seeds:
        for variant in experiment.variants:
            _one(experiment, variant, seed, folder, data_root, report)
    return collect(experiment, folder)


def _result(variant: Variant, seed: int, folder: Path) -> Path:
    return folder / RESULTS / f"{variant.slug}-{seed}.json"


def _one(
    experiment: Experiment, variant: Variant, seed: int, folder: Path,
    data_root: str | Path | None, report: Report | None,
) -> None:  # fmt: skip
    recipe, path = experiment.recipe_of(variant, seed), _result(variant, seed, folder)
    if path.exists():
        _checked(path, recipe)
        return
    from model.train import train  # torch only where something is trained

    name = f"{variant.name}, seed {seed}"
    place = folder / RUNS / f"{variant.slug}-{seed}"
    progress = None if report is None else lambda state: report(name, state)
    result = train(recipe, place, data_root, progress)
    record = {
        "schema": 1,
        "variant": variant.name,
        "seed": seed,
        "recipe": recipe.as_dict(),
        "summary": result.summary,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def _checked(path: Path, recipe: Recipe) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_text())
        same, summary = record["recipe"] == recipe.as_dict(), record["summary"]
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path}: is no result of a run; remove it to run again") from None
    require(same, str(path), "recipe", "another", "that of the experiment; use another folder, or "
            "remove it to run again")  # fmt: skip
    return summary


def collect(experiment: Experiment, folder: Path) -> list[Line]:
    """The finished runs of every variant that has any."""
    lines = []
    for variant in experiment.variants:
        found = [
            _checked(path, experiment.recipe_of(variant, seed))
            for seed in experiment.seeds
            if (path := _result(variant, seed, folder)).exists()
        ]
        if found:
            lines.append(Line(variant.name, tuple(found)))
    return lines


def table(experiment: Experiment, lines: Sequence[Line]) -> str:
    """Markdown: accuracy on test images of each seed, their mean and deviation, and the density."""
    first = lines[0].mean("test_accuracy")
    columns = ("variant", "test accuracy by seed", "mean", "deviation", "gain", "density")
    rows = [f"# {experiment.name}", "", experiment.question, ""]
    rows += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for line in lines:
        accuracy = ", ".join(f"{value:.2%}" for value in line.values("test_accuracy"))
        mean, spread = line.mean("test_accuracy"), line.deviation("test_accuracy")
        rows.append(
            f"| {line.variant} | {accuracy} | {mean:.2%} | {100 * spread:.2f} "
            f"| {100 * (mean - first):+.2f} | {line.mean('density'):.4f} |"
        )
    images = lines[0].summaries[0]["test_images"]
    seeds = ", ".join(map(str, experiment.seeds))
    rows += ["", f"Seeds {seeds}; {images} test images. Deviation of single runs, in points."]
    return "\n".join(rows) + "\n"
