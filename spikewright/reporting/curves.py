"""Which plots an experiment has: accuracy against whatever its runs differ in, or were measured at.

Lines of one variant are joined where a number was swept; runs that differ otherwise are points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikewright.reporting.plots import Axis, Point, Series, plot

LEAST_RATIO = 1.25  # of largest and smallest value: less is rounding, not what was asked
LOG_RATIO = 7.9


@dataclass(frozen=True)
class Quantity:
    """What every run has a value of: the word of the file, the key, the label with its unit."""

    word: str
    key: str
    label: str
    discrete: bool = False
    factor: float = 1.0


QUANTITIES = (
    Quantity("density", "density", "density: weights that are not zero, %", factor=100),
    Quantity("timesteps", "timesteps", "time steps T", discrete=True),
    Quantity("bits", "weight_bits", "weight bits in training", discrete=True),
    Quantity("spikes", "spikes_per_neuron", "spikes per neuron in one inference"),
)
SWEPT = {"pruning.density": "density", "quantization.weight_bits": "bits", "timesteps": "timesteps"}
"""The keys of recipes whose sweep one of these shows."""
MEASURED = {
    "bits": ("accuracy-bits-after-training", "weight bits, quantised after training"),
    "noise": ("accuracy-noise", "deviation of the noise on the input, share of the largest pixel"),
}


def drawn(experiment: Any, lines: Sequence[Any]) -> dict[str, str]:
    """SVG by file name, of an experiment and its lines (`model.experiments.comparison.Row`)."""
    found: dict[str, str] = {}
    key, word = experiment.sweep.key, experiment.sweep.word
    for quantity in QUANTITIES:
        values = [quantity.factor * line.mean(quantity.key) for line in lines
                  if line.values(quantity.key)]  # fmt: skip
        if len(values) == len(lines) > 1 and max(values) >= LEAST_RATIO * max(min(values), 1e-9):
            axis = Axis(quantity.label, _is_log(values, quantity), quantity.discrete)
            series = _against(experiment, lines, quantity)
            found[f"accuracy-{quantity.word}.svg"] = plot(
                axis, series, word if any(p.note for s in series for p in s.points) else ""
            )
    swept = [line for line in lines if _is_number(line.value)]
    if key not in SWEPT and len({line.value for line in swept}) > 1:
        series = _over_values(experiment, swept)
        name = "-".join(["accuracy", *word.split()])
        found[f"{name}.svg"] = plot(Axis(f"{word} ({key})", discrete=True), series)
    for kind, (name, label) in MEASURED.items():
        series = _measured(experiment, lines, kind)
        if series:
            found[f"{name}.svg"] = plot(Axis(label, discrete=True), series)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_log(values: Sequence[float], quantity: Quantity) -> bool:
    if quantity.word == "density":
        return True
    return min(values) > 0 and max(values) >= LOG_RATIO * min(values)


def _styles(experiment: Any) -> Mapping[str, int]:
    return {variant.name: number for number, variant in enumerate(experiment.variants)}


def _against(experiment: Any, lines: Sequence[Any], quantity: Quantity) -> list[Series]:
    """A series for each variant, or for each line where no number was swept."""
    styles, values = _styles(experiment), list(experiment.sweep.values)
    noted = SWEPT.get(experiment.sweep.key) != quantity.word
    groups: dict[str, list[Any]] = {}
    for line in lines:
        joined = line.value is None or _is_number(line.value)
        groups.setdefault(line.variant if joined else _name(experiment, line), []).append(line)
    series = []
    for name, group in groups.items():
        colour, value = styles[group[0].variant], group[0].value
        mark = colour if name == group[0].variant else values.index(value)
        points = [_point(line, quantity, noted and len(group) > 1) for line in group]
        if not noted:
            points.sort(key=lambda point: point.x)
        series.append(Series(name, tuple(points), colour, mark))
    return series


def _point(line: Any, quantity: Quantity, noted: bool) -> Point:
    xs = tuple(quantity.factor * x for x in line.values(quantity.key))
    return Point(xs, tuple(line.values("test_accuracy")), f"{line.value:g}" if noted else "")


def _over_values(experiment: Any, lines: Sequence[Any]) -> list[Series]:
    """Accuracy against the swept values themselves."""
    series = []
    for name, number in _styles(experiment).items():
        group = sorted((line for line in lines if line.variant == name), key=lambda ln: ln.value)
        points = [
            Point((float(line.value),) * len(ys), ys)
            for line in group
            if (ys := tuple(line.values("test_accuracy")))
        ]
        if points:
            series.append(Series(name, tuple(points), number, number))
    return series


def _measured(experiment: Any, lines: Sequence[Any], kind: str) -> list[Series]:
    """A series for each line: colours tell variants, marks and dashes values of the sweep."""
    styles, values = _styles(experiment), list(experiment.sweep.values)
    series = []
    for line in lines:
        settings = sorted({setting for run in line.measures for setting in run.get(kind, {})})
        points = [
            Point((setting,) * len(ys), ys)
            for setting in settings
            if (ys := tuple(line.measured(kind, setting)))
        ]
        if points:
            colour = styles[line.variant]
            dash = 0 if line.value is None else values.index(line.value)
            mark = dash if values else colour
            series.append(Series(_name(experiment, line), tuple(points), colour, mark, dash))
    return series


def _name(experiment: Any, line: Any) -> str:
    from spikewright.model.experiments.comparison import row_name

    return row_name(line, experiment.sweep.word)
