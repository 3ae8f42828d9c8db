"""`spikewright experiment`: table, picture and JSON; a second call keeps what is there."""

# Through these also results.experiments.

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from spikewright.model.experiments import experiment
from spikewright.reporting.strip_plot import picture

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


SWEPT = (
    TWO
    + """
[sweep]
key = "timesteps"
values = [1, 2]
[measure]
noise = [0.0, 0.2]
"""
)


def test_a_sweep_is_drawn(command, tmp_path: Path) -> None:
    path, folder = tmp_path / "two.toml", tmp_path / "out"
    path.write_text(SWEPT)
    outcome = command("experiment", path, "--out", folder, "--jobs", "2", "--json")
    assert outcome.code == 0, outcome.err
    assert "run 4/4 " in outcome.err
    assert outcome.json["sweep"] == {"key": "timesteps", "values": [1, 2]}
    rows = outcome.json["variants"]
    assert [(row["variant"], row["value"]) for row in rows] == [
        ("four bits", 1), ("four bits", 2), ("two bits", 1), ("two bits", 2),
    ]  # fmt: skip
    for row in rows:
        assert row["noise"]["0"] == row["accuracy"] != row["noise"]["0.2"]
        assert row["spikes_per_neuron"][0] > 0
        assert row["timesteps"] == [row["value"]]
    plots = outcome.json["plots"]
    assert {
        "accuracy.svg",
        "accuracy-timesteps.svg",
        "accuracy-bits.svg",
        "accuracy-noise.svg",
    } <= {*plots}
    for name in plots:
        ElementTree.parse(folder / name)
        assert f"({name})" in (folder / "table.md").read_text()


def start(path: Path, folder: Path) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "spikewright",
        "experiment",
        str(path),
        "--out",
        str(folder),
        "--jobs",
        "2",
    ]
    # Whoever runs the tests in the background may ignore interrupts: the experiment must not.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def test_an_interrupt_ends_all_runs_and_keeps_them(tmp_path: Path) -> None:
    path, folder = tmp_path / "two.toml", tmp_path / "out"
    path.write_text(TWO.replace("[0]", "[0, 1, 2]").replace("epochs = 1,", "epochs = 200,"))
    process = start(path, folder)
    kept = [folder / "runs" / name / "checkpoint.pt" for name in ("four-bits-0", "two-bits-0")]
    deadline = time.monotonic() + 600
    while not all(file.exists() for file in kept):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no checkpoints"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, errors = process.communicate(timeout=600)  # and no worker holds the streams open
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("spikewright: interrupted")
    assert not list(folder.rglob("*.part"))
    before = [file.read_bytes() for file in kept]
    time.sleep(0.5)
    assert [file.read_bytes() for file in kept] == before  # nobody trains any more


def test_the_experiment_of_the_page_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "experiments.md"
    path = tmp_path / "densities.toml"
    path.write_text(page.read_text().split("```toml\n")[1].split("```")[0])
    found = experiment.load(path)
    assert len(list(found.cases())) == 3 * (3 * 3 + 1)
    assert found.measure.bits
    assert found.measure.noise


def test_mistakes_cost_one_line(command) -> None:
    outcome = command("experiment", "nothing")
    assert outcome.code == 2
    assert "must be a .toml file that exists, or one of activity, admm, attention" in outcome.err


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
