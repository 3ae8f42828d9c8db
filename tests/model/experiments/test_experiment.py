"""Experiments: runs of variants and seeds, kept once made, one line each; mistakes in one line."""

# Through these also model.experiments.workers.

from __future__ import annotations

import json
from operator import le
from pathlib import Path
from typing import Any

import pytest

from spikewright.golden.errors import BadInput
from spikewright.model.experiments import comparison, experiment, records, schedule
from spikewright.model.experiments.comparison import Row
from spikewright.model.experiments.experiment import Variant
from spikewright.model.experiments.measures import Measure
from spikewright.model.recipes import recipe as recipes
from spikewright.model.training import checkpoint

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

GRID = (
    TWO.replace("[0, 1]", "[3]")
    + """
[[variants]]
name = "converted"
recipe.stages = [{ kind = "ann" }, { kind = "snn" }]
sweep = false
[sweep]
key = "quantization.weight_bits"
values = [3, 5]
[measure]
bits = [5, 3, 2]
noise = [0.0, 0.3]
noise_seeds = [0, 7]
"""
)


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
        assert len([*found.points()]) >= 3  # of a variant that is swept, every value is one
    admm = experiment.load("admm")
    recipes = [admm.case(variant, None, 2).recipe for variant in admm.variants]
    assert {r.training.seed for r in recipes} == {2}
    budgets = {(r.pruning.density, r.pruning.allocation) for r in recipes}
    assert budgets == {(0.04, "uniform")}
    epochs = {sum(r.of_stage(s).training.epochs for s in r.plan()) for r in recipes}
    assert epochs == {9}  # every variant gets the same


def test_every_run_is_made_once(two: Path, tmp_path: Path) -> None:
    found, folder = experiment.load(two), tmp_path / "out"
    seen: list[str] = []
    lines = schedule.run_experiment(found, folder, report=lambda case, _: seen.append(case.name))
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
    rewritten = schedule.run_experiment(
        found, folder, report=lambda case, _: again.append(case.name)
    )
    assert not again  # the run was trained already: only its result is written again
    assert schedule.collect_rows(found, folder) == rewritten
    # To score it again took CPU time, which is added; nothing else differs.
    clocks = [[one.pop("cpu_seconds") for line in each for one in line.summaries]
              for each in (lines, rewritten)]  # fmt: skip
    assert rewritten == lines
    assert all(map(le, *clocks))


def test_results_of_another_recipe_are_refused(two: Path, tmp_path: Path) -> None:
    found, folder = experiment.load(two), tmp_path / "out"
    path = folder / "results" / "dense-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"recipe": {}, "summary": {}}))
    with pytest.raises(BadInput, match=r"dense-0\.json: recipe is another, must be that of the"):
        schedule.run_experiment(found, folder)
    path.write_text("{}")
    with pytest.raises(BadInput, match=r"dense-0\.json: key 'recipe' is missing; remove it"):
        schedule.run_experiment(found, folder)


def summary(accuracy: float, **keys: Any) -> dict[str, Any]:
    return {"test_accuracy": accuracy, "density": 0.1, "test_images": 7, **keys}


def test_table_by_hand(two: Path) -> None:
    found = experiment.load(two)
    lines = [
        Row("dense", (summary(0.5), summary(0.7))),
        Row("half, random", (summary(0.8), summary(0.9))),
    ]
    assert lines[0].mean("test_accuracy") == pytest.approx(0.6)
    assert lines[0].deviation("test_accuracy") == pytest.approx(0.02**0.5)
    assert Row("one", (summary(0.5),)).deviation("test_accuracy") == 0
    text = comparison.markdown(found, lines)
    assert "| dense | 50.00%, 70.00% | 60.00% | 14.14 | +0.00 | 0.1000 |" in text
    assert "| half, random | 80.00%, 90.00% | 85.00% | 7.07 | +25.00 | 0.1000 |" in text
    assert "Seeds 0, 1; 7 test images" in text
    assert Variant("half, random", {}).slug == "half-random"


def test_one_variant_gains_over_its_first_value(two: Path) -> None:
    lines = [Row("dense", (summary(0.5),), 0.0), Row("dense", (summary(0.75),), 0.3)]
    text = comparison.markdown(experiment.load(two), lines)
    assert "| dense | 0.0 | 50.00% | 50.00% | 0.00 | +0.00 | 0.1000 |" in text
    assert "| dense | 0.3 | 75.00% | 75.00% | 0.00 | +25.00 | 0.1000 |" in text


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight_bits", "weight_bit", r"sweep\.key is .*did you mean 'quantization.weight_bits'"),
        ("quantization.weight_bits", "training.seed", r"sweep\.key is 'training\.seed', must be a"),
        ("[3, 5]", "[]", r"sweep\.values is \[\], must be a list of 1 to 1000 different values"),
        ("[3, 5]", "[3, 3]", r"sweep\.values is \[3, 3\], must be a list of 1 to 1000 different"),
        ("[3, 5]", "[3, 9]", r"variant 'dense, weight bits 9': quantization\.weight_bits is 9"),
        ("values = [3, 5]", "", r"sweep\.values is \[\], must be a list"),
        ('key = "quantization.weight_bits"', "", r"sweep\.key is '', must be a key of recipes"),
        ("[5, 3, 2]", "[9]", r"measure\.bits is \[9\], must be a whole number within 2\.\.8"),
        ("[5, 3, 2]", "[2, 2]", r"measure\.bits is \[2, 2\], must be of different values"),
        ("[0.0, 0.3]", "[-1.0]", r"measure\.noise is \[-1\.0\], must be a list of numbers within"),
        ('"random" }]', '"random", quantization = { weight_bits = 2 } }]',
         r"sweep\.key is 'quantization\.weight_bits', must be one that not every stage sets"),
    ],
)  # fmt: skip
def test_mistakes_in_a_grid(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "grid.toml"
    assert old in GRID
    path.write_text(GRID.replace(old, new))
    with pytest.raises(BadInput, match=message) as caught:
        experiment.load(path)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file and the folder of a finished grid. Tests leave them as they are."""
    folder = tmp_path_factory.mktemp("grid")
    path = folder / "grid.toml"
    path.write_text(GRID)
    schedule.run_experiment(experiment.load(path), folder / "out")
    return path, folder / "out"


def test_a_grid_is_crossed_with_variants(grid: tuple[Path, Path]) -> None:
    found = experiment.load(grid[0])
    cases = list(found.cases())
    assert [case.slug for case in cases] == [
        "dense-weight-bits-3-3", "dense-weight-bits-5-3",
        "half-random-weight-bits-3-3", "half-random-weight-bits-5-3", "converted-3",
    ]  # fmt: skip
    assert [case.recipe.quantization.weight_bits for case in cases] == [(3,), (5,)] * 2 + [(4,)]
    assert cases[1].name == "dense, weight bits 5, seed 3"
    assert not schedule.due_cases(found, grid[1])
    for case in cases:  # what a worker gets and makes of it
        assert recipes.from_dict(case.recipe.as_dict()) == case.recipe


def test_measures_agree_with_what_was_trained(grid: tuple[Path, Path]) -> None:
    found = experiment.load(grid[0])
    for case in found.cases():
        record = records.read(case, grid[1])
        assert record is not None
        accuracy, (bits,) = record["summary"]["test_accuracy"], case.recipe.quantization.weight_bits
        measured = record["measures"]
        assert [*measured["bits"]] == ["2", "3", "5"]
        assert measured["bits"].get(str(bits), accuracy) == accuracy
        assert measured["noise"]["0.0"] == {"0": accuracy, "7": accuracy}
        noisy = measured["noise"]["0.3"]
        assert noisy["0"] != noisy["7"]
        assert record.get("value") == case.value
        assert record["cpu_seconds"] > 0
        assert record["summary"]["spikes_per_neuron"] > 0
    stages = record["summary"]["stages"]
    assert stages[1]["test_accuracy"] == accuracy
    assert 0.3 < stages[0]["test_accuracy"] <= 1


def test_a_measure_that_is_added_only_scores(two: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    two.write_text(TWO.replace("[0, 1]", "[0]"))
    found = experiment.load(two)
    schedule.run_experiment(found, folder)
    before = [records.read(case, folder) for case in found.cases()]
    assert all(record is not None and "measures" not in record for record in before)
    two.write_text(two.read_text() + "[measure]\nbits = [2]\n")
    more = experiment.load(two)
    assert len(schedule.due_cases(more, folder)) == 2
    seen: list[str] = []
    lines = schedule.run_experiment(more, folder, report=lambda case, _: seen.append(case.name))
    assert not seen
    assert not schedule.due_cases(more, folder)
    assert not schedule.due_cases(found, folder)  # more than is asked is no fault
    for line, case, old in zip(lines, more.cases(), before, strict=True):
        record = records.read(case, folder)
        assert record is not None
        assert old is not None
        assert record["summary"] == old["summary"]
        assert len(line.measured("bits", 2)) == 1


def without_clock(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text())
    assert record.pop("cpu_seconds") > 0
    return record


def test_runs_side_by_side_end_as_one_by_one(grid: tuple[Path, Path], tmp_path: Path) -> None:
    path, one_by_one = grid
    states: list[str] = []
    ended: list[str] = []
    schedule.run_experiment(
        experiment.load(path), tmp_path, jobs=2,
        report=lambda case, state: states.append(f"{case.slug} {state.epoch}/{state.epochs}"),
        finished=lambda case, record: ended.append(f"{case.slug} {record['seed']}"),
    )  # fmt: skip
    files = sorted(file.name for file in (one_by_one / "results").iterdir())
    assert sorted(file.name for file in (tmp_path / "results").iterdir()) == files
    for name in files:
        assert without_clock(tmp_path / "results" / name) == without_clock(
            one_by_one / "results" / name
        )
        network = Path("runs") / name.removesuffix(".json") / "network.safetensors"
        assert (tmp_path / network).read_bytes() == (one_by_one / network).read_bytes()
    assert sorted(ended) == sorted(f"{name.removesuffix('.json')} 3" for name in files)
    assert {"dense-weight-bits-3-3 1/1", "converted-3 2/2"} <= {*states}


def test_a_run_that_fails_beside_others_costs_one_line(two: Path, tmp_path: Path) -> None:
    found = experiment.load(two)
    broken = tmp_path / "runs" / "dense-0" / checkpoint.NAME
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no checkpoint")
    with pytest.raises(BadInput, match=r"dense-0/checkpoint\.pt: is no readable checkpoint"):
        schedule.run_experiment(found, tmp_path, jobs=2)
    assert not records.path_of(next(found.cases()), tmp_path).exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_all_runs_train_on_the_device_that_was_asked_for(
    two: Path, tmp_path: Path, jobs: int
) -> None:
    with pytest.raises(BadInput, match=r"device is 'abacus', must be .*cpu"):
        schedule.run_experiment(experiment.load(two), tmp_path, jobs=jobs, device="abacus")
    assert not list(tmp_path.glob("results/*"))


def test_seconds_of_interrupted_runs_add_up(tmp_path: Path) -> None:
    first = records.Clock(tmp_path)
    assert first.known
    first.keep()
    kept = json.loads((tmp_path / records.CLOCK).read_text())["seconds"]
    (tmp_path / records.CLOCK).write_text(json.dumps({"seconds": kept + 1000}))
    assert 1000 < records.Clock(tmp_path).seconds < 2000
    (tmp_path / records.CLOCK).unlink()
    (tmp_path / checkpoint.NAME).touch()
    assert not records.Clock(tmp_path).known  # trained before there were clocks


def test_table_of_a_grid_by_hand(grid: tuple[Path, Path]) -> None:
    found = experiment.load(grid[0])
    stages = {"converted_float_accuracy": 0.3, "converted_accuracy": 0.25, "ann_accuracy": 0.75}
    lines = [
        Row("dense", (summary(0.5, storage_ratio=0.125, operations_ratio=None),), 3),
        Row("dense", (summary(0.75),), 5),
        Row("half, random", (summary(0.625),), 5, ({"bits": {2.0: 0.5, 4.0: 0.75}},)),
        Row("converted", (summary(0.6, cpu_seconds=7.4, **stages),)),
    ]
    text = comparison.markdown(found, lines)
    assert (
        "| variant | quantization.weight_bits | test accuracy by seed | mean | deviation | gain "
        "| density | storage ratio | ANN | converted, floats | converted, integers | CPU seconds |"
    ) in text
    assert "| dense | 3 | 50.00% | 50.00% | 0.00 | +0.00 | 0.1000 | 0.12500 |  |  |  |  |" in text
    assert "| half, random | 5 | 62.50% | 62.50% | 0.00 | -12.50 | 0.1000 |  |  |" in text
    assert (
        "| converted |  | 60.00% | 60.00% | 0.00 |  | 0.1000 |  | 75.00% | 30.00% | 25.00% | 7 |"
        in text
    )
    assert "| variant | 2 | 4 |" in text
    assert "| half, random, weight bits 5 | 50.00% ± 0.00 | 75.00% ± 0.00 |" in text
    assert "Noise" not in text


def test_records_become_flat_lines() -> None:
    record = {
        "summary": {
            **summary(0.5),
            "stages": [
                {"kind": "ann", "test_accuracy": 0.7},
                {"kind": "snn", "test_accuracy": 0.5, "converted_accuracy": 0.2},
            ],
        },
        "measures": {"bits": {"4": 0.5}, "noise": {"0.1": {"0": 0.25, "1": 0.75}}},
        "cpu_seconds": 3.0,
    }
    line = Row.from_records("one", None, [record])
    assert line.values("ann_accuracy") == [0.7]
    assert line.values("converted_accuracy") == [0.2]
    assert line.values("cpu_seconds") == [3.0]
    assert line.measured("bits", 4) == [0.5]
    assert line.measured("noise", 0.1) == [0.5]


def test_what_a_measure_misses() -> None:
    measure = Measure((4,), (0.1,), (0, 1))
    whole = {"bits": {"4": 0.5}, "noise": {"0.1": {"0": 0.5, "1": 0.5}}}
    assert not measure.missing(whole)
    assert measure.missing({**whole, "bits": {"5": 0.5}})
    assert measure.missing({**whole, "noise": {"0.1": {"0": 0.5}}})
    assert not Measure().missing({})


def test_unknown_experiment() -> None:
    with pytest.raises(BadInput, match=r"name is 'none', must be a \.toml file that exists"):
        experiment.load("none")
