"""Experiments: runs of variants and seeds, kept once made, one line each; mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from golden.errors import BadInput
from model import comparison, experiment, series
from model.comparison import Line
from model.experiment import Variant

TWO = """
name = "two"
question = "Which?"
seeds = [0, 1]
[recipe]
data = "digits"
timesteps = 1
layers = ["4C3", "P2", "10"]
training = { epochs = 1, batch_size = 128, learning_rate = 0.02, calibration = 0 }
[[variants]]
name = "dense"
recipe = {}
[[variants]]
name = "half, random"
recipe.pruning = { density = 0.5, allocation = "uniform" }
recipe.stages = [{ kind = "snn", sparse = "random" }]
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.toml"
    path.write_text(TWO)
    return path


def test_built_in_experiments() -> None:
    assert {"admm", "sparse-learning"} <= set(experiment.names())
    for name in experiment.names():
        found = experiment.load(name)
        assert found.name == name
        assert len(found.seeds) >= 3
        assert len(found.variants) >= 3
    admm = experiment.load("admm")
    recipes = [admm.case(variant, None, 2).recipe for variant in admm.variants]
    assert {r.training.seed for r in recipes} == {2}
    budgets = {(r.pruning.density, r.pruning.allocation) for r in recipes}
    assert budgets == {(0.04, "uniform")}
    epochs = {sum(r.of_stage(s).training.epochs for s in r.plan()) for r in recipes}
    assert epochs == {10}  # every variant gets the same


def test_every_run_is_made_once(two: Path, tmp_path: Path) -> None:
    found, folder = experiment.load(two), tmp_path / "out"
    seen: list[str] = []
    lines = series.run(found, folder, report=lambda case, _: seen.append(case.name))
    names = ["dense, seed 0", "half, random, seed 0", "dense, seed 1", "half, random, seed 1"]
    assert list(dict.fromkeys(seen)) == names
    assert sorted(path.name for path in (folder / "results").iterdir()) == [
        "dense-0.json", "dense-1.json", "half-random-0.json", "half-random-1.json",
    ]  # fmt: skip
    assert [line.variant for line in lines] == ["dense", "half, random"]
    assert all(0 < value <= 1 for line in lines for value in line.values("test_accuracy"))
    assert max(lines[1].values("density")) <= 0.5 < min(lines[0].values("density"))
    (folder / "results" / "dense-1.json").unlink()
    again: list[str] = []
    assert series.run(found, folder, report=lambda case, _: again.append(case.name)) == lines
    assert not again  # the run was trained already: only its result is written again
    assert series.collect(found, folder) == lines


def test_results_of_another_recipe_are_refused(two: Path, tmp_path: Path) -> None:
    found, folder = experiment.load(two), tmp_path / "out"
    path = folder / "results" / "dense-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"recipe": {}, "summary": {}}))
    with pytest.raises(BadInput, match=r"dense-0\.json: recipe is another, must be that of the"):
        series.run(found, folder)
    path.write_text("{}")
    with pytest.raises(BadInput, match=r"dense-0\.json: is no result of a run; remove it"):
        series.run(found, folder)


def summary(accuracy: float, **keys: Any) -> dict[str, Any]:
    return {"test_accuracy": accuracy, "density": 0.1, "test_images": 7, **keys}


def test_table_by_hand(two: Path) -> None:
    found = experiment.load(two)
    lines = [
        Line("dense", (summary(0.5), summary(0.7))),
        Line("half, random", (summary(0.8), summary(0.9))),
    ]
    assert lines[0].mean("test_accuracy") == pytest.approx(0.6)
    assert lines[0].deviation("test_accuracy") == pytest.approx(0.02**0.5)
    assert Line("one", (summary(0.5),)).deviation("test_accuracy") == 0
    text = comparison.table(found, lines)
    assert "| dense | 50.00%, 70.00% | 60.00% | 14.14 | +0.00 | 0.1000 |" in text
    assert "| half, random | 80.00%, 90.00% | 85.00% | 7.07 | +25.00 | 0.1000 |" in text
    assert "Seeds 0, 1; 7 test images" in text
    assert Variant("half, random", {}).slug == "half-random"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "two"', 'name = "Two"', r"name is 'Two', must be lower-case letters"),
        ("seeds = [0, 1]", "seeds = []", r"seeds is \[\], must be a whole number"),
        ('"dense"', '"half: random"', r"variants is .*, must be of different names"),
        ("density = 0.5", "density = 5", r"variant 'half, random': pruning\.density is 5, must be"),
        ("[[variants]]", "[[variant]]", r"unknown key 'variant', .*did you mean 'variants'"),
        ("[recipe]", "[recipe", "is no TOML"),
    ],
)
def test_mistakes(two: Path, old: str, new: str, message: str) -> None:
    assert old in TWO
    two.write_text(TWO.replace(old, new))
    with pytest.raises(BadInput, match=message) as caught:
        experiment.load(two)
    assert "\n" not in str(caught.value)


def test_unknown_experiment() -> None:
    with pytest.raises(BadInput, match=r"name is 'none', must be a \.toml file that exists"):
        experiment.load("none")
