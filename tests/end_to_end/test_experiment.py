"""`spikewright experiment`: table, picture and JSON; a second call keeps what is there."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from spikewright.dots import picture

TWO = """
name = "two"
question = "Which?"
seeds = [0]
[recipe]
data = "digits"
timesteps = 1
layers = ["4C3", "P2", "10"]
training = { epochs = 1, batch_size = 128, learning_rate = 0.02, calibration = 0 }
[[variants]]
name = "four bits"
recipe = {}
[[variants]]
name = "two bits"
recipe = { quantization = { weight_bits = 2 } }
"""


def test_experiment_writes_table_picture_and_json(command, tmp_path: Path) -> None:
    path, folder = tmp_path / "two.toml", tmp_path / "out"
    path.write_text(TWO)
    outcome = command("experiment", path, "--out", folder, "--json")
    assert outcome.code == 0, outcome.err
    assert [row["variant"] for row in outcome.json["variants"]] == ["four bits", "two bits"]
    assert outcome.json["schema"] == 1
    table = (folder / "table.md").read_text()
    for row in outcome.json["variants"]:
        assert f"| {row['variant']} | {row['accuracy'][0]:.2%} |" in table
    before = (folder / "experiment.json").read_bytes()
    again = command("experiment", path, "--out", folder)
    assert again.code == 0, again.err
    assert (folder / "experiment.json").read_bytes() == before
    assert "Which?" in again.out
    ElementTree.parse(folder / "accuracy.svg")


def test_mistakes_cost_one_line(command) -> None:
    outcome = command("experiment", "nothing")
    assert outcome.code == 2
    assert (
        "must be a .toml file that exists, or one of admm, conversion, narrow, sparse-learning"
        in outcome.err
    )


def test_picture_places_runs_in_order() -> None:
    root = ElementTree.fromstring(picture([("a <b>", [0.5, 0.75]), ("c", [1.0])]))
    dots = root.findall("{http://www.w3.org/2000/svg}circle")
    places = [float(dot.attrib["cx"]) for dot in dots]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.2)
    assert places[0] < places[1] < places[2]
    assert len({dot.attrib["cy"] for dot in dots}) == 2
    means = [line for line in root.iter("{http://www.w3.org/2000/svg}line")
             if line.attrib["class"] == "mean"]  # fmt: skip
    assert float(means[0].attrib["x1"]) == pytest.approx(sum(places[:2]) / 2, abs=0.2)
