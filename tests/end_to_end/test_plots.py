"""Plots of experiments: marks where the numbers are, names that do not cover each other."""

# Through these also reporting.shapes.

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

import pytest

from spikewright.model.experiments.comparison import Row
from spikewright.model.experiments.experiment import Experiment, Variant
from spikewright.model.experiments.parameter_sweep import Sweep
from spikewright.reporting import curves
from spikewright.reporting.plots import LEFT, ROW, TALL, TOP, WIDE, Axis, Point, Series, plot

SVG = "{http://www.w3.org/2000/svg}"


def experiment(sweep: Sweep, *names: str) -> Experiment:
    return Experiment("x", "Which?", (0, 1), {}, tuple(Variant(n, {}) for n in names), sweep)


def line(name: str, value: object = None, accuracy: float = 0.5, **values: float) -> Row:
    usual = {"density": 0.1, "timesteps": 2, "weight_bits": 4, "spikes_per_neuron": 0.2}
    runs = [{**usual, **values, "test_accuracy": accuracy + more} for more in (0.0, 0.02)]
    return Row(name, tuple(runs), value)


def test_marks_bars_and_dots_are_where_the_numbers_are() -> None:
    points = (Point((1.0, 1.0), (0.4, 0.6)), Point((10.0, 10.0), (0.7, 0.9)))
    points += (Point((100.0,), (0.8,)),)
    root = ElementTree.fromstring(plot(Axis("density", log=True), [Series("a", points, 0, 0)]))
    joined = root.find(f".//{SVG}polyline")
    assert joined is not None
    spots = [tuple(map(float, pair.split(","))) for pair in joined.attrib["points"].split()]
    (x1, y1), (x2, y2), (x3, y3) = spots
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)  # decades are equally far
    assert y1 > y2 == y3
    dots = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{SVG}circle")]
    assert len(dots) == 5
    assert dots[0][1] - y1 == pytest.approx(y1 - dots[1][1], abs=0.2)
    bars = [one for one in root.iter(f"{SVG}line") if one.attrib["x1"] == one.attrib["x2"]
            and one.attrib["x1"] == f"{x1:.1f}" and "class" not in one.attrib]  # fmt: skip
    (bar,) = bars
    half = abs(float(bar.attrib["y1"]) - float(bar.attrib["y2"])) / 2
    assert half == pytest.approx(2**0.5 * (dots[0][1] - y1), abs=0.3)  # the sample's deviation
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert titles[0] == "a: 50.00% ± 14.14 at 1 (density)"
    assert titles[2] == "a: 80.00% at 100 (density)"


def test_everything_is_in_the_frame_and_no_name_covers_another() -> None:
    names = [f"<method> & {k}" for k in range(12)]
    series = [
        Series(name, (Point((1.0, 1.0), (0.5, 0.501)), Point((2.0, 2.0), (0.9, 0.99))), k, k)
        for k, name in enumerate(names)
    ]
    root = ElementTree.fromstring(plot(Axis("bits", discrete=True), series))
    for circle in root.iter(f"{SVG}circle"):
        assert LEFT <= float(circle.attrib["cx"]) <= LEFT + WIDE
        assert TOP <= float(circle.attrib["cy"]) <= TOP + TALL
    places = {text.text: float(text.attrib["y"]) for text in root.iter(f"{SVG}text")}
    rows = sorted(places[name] for name in names)
    assert min(b - a for a, b in itertools.pairwise(rows)) >= ROW - 0.2


def test_plots_follow_from_what_runs_differ_in() -> None:
    same = experiment(Sweep(), "a", "b")
    assert [*curves.drawn(same, [line("a"), line("b")])] == []
    drawn = curves.drawn(same, [line("a"), line("b", timesteps=8, spikes_per_neuron=0.4)])
    assert [*drawn] == ["accuracy-timesteps.svg", "accuracy-spikes.svg"]
    assert [*curves.drawn(same, [line("a"), line("b", density=0.11)])] == []

    sweep = Sweep("pruning.density", (0.2, 0.05))
    lines = [line(n, d, density=d, accuracy=d) for n in ("a", "b") for d in sweep.values]
    root = ElementTree.fromstring(
        curves.drawn(experiment(sweep, "a", "b"), lines)["accuracy-density.svg"]
    )
    joined = [p.attrib["points"].split() for p in root.iter(f"{SVG}polyline")]
    assert [len(points) for points in joined] == [2, 2]
    xs = [float(point.split(",")[0]) for point in joined[0]]
    assert xs == sorted(xs)  # by density, whatever the order of the values


def test_sweeps_of_other_keys_have_a_plot_of_their_own() -> None:
    sweep = Sweep("training.spike_penalty", (0.0, 0.5))
    lines = [line("a", v, spikes_per_neuron=0.5 - v / 2) for v in sweep.values]
    drawn = curves.drawn(experiment(sweep, "a"), lines)
    assert [*drawn] == ["accuracy-spikes.svg", "accuracy-spike-penalty.svg"]
    root = ElementTree.fromstring(drawn["accuracy-spikes.svg"])
    assert {"0", "0.5"} <= {text.text for text in root.iter(f"{SVG}text")
                            if text.attrib.get("class") == "halo"}  # fmt: skip
    words = Sweep("pruning.allocation", ("erk", "lamp"))
    lines = [line("a", "erk"), line("a", "lamp", spikes_per_neuron=0.4)]
    drawn = curves.drawn(experiment(words, "a"), lines)
    assert [*drawn] == ["accuracy-spikes.svg"]
    assert "a, allocation lamp" in drawn["accuracy-spikes.svg"]


def test_measures_are_drawn() -> None:
    one = line("a")
    measured = Row("a", one.summaries, None, ({"bits": {2.0: 0.3, 8.0: 0.5}},) * 2)
    drawn = curves.drawn(experiment(Sweep(), "a"), [measured])
    assert [*drawn] == ["accuracy-bits-after-training.svg"]
