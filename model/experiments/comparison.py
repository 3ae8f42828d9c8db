"""The comparison table of an experiment: a row for each variant and swept value."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spikewright.model.experiments.experiment import Experiment

Values = Mapping[str, Any]
BITS, NOISE = "bits", "noise"


@dataclass(frozen=True)
class Row:
    """The finished runs of one variant at one swept value, one for each seed.

    Attributes
    ----------
    summaries
        The summary of each run, flat.
    value
        The swept value; None if nothing is swept.
    measures
        For each run, accuracies (0..1) by kind and setting: `{"bits": {4: 0.8}}`.
    """

    variant: str
    summaries: tuple[Values, ...]
    value: Any = None
    measures: tuple[Mapping[str, Mapping[float, float]], ...] = ()

    @classmethod
    def from_records(cls, variant: str, value: Any, records: Sequence[Values]) -> Row:
        """The row of these runs."""
        measures = tuple(_measures(record.get("measures", {})) for record in records)
        return cls(variant, tuple(map(flat, records)), value, measures)

    def values(self, key: str) -> list[Any]:
        """The value of `key` in each summary that has it."""
        values = [summary.get(key) for summary in self.summaries]
        return [value for value in values if value is not None]

    def mean(self, key: str) -> float:
        """The mean of `key` over the seeds."""
        return statistics.fmean(self.values(key))

    def deviation(self, key: str) -> float:
        """The sample standard deviation of `key` over the seeds; 0 for a single one."""
        return deviation(self.values(key))

    def measured(self, kind: str, setting: float) -> list[float]:
        """The accuracies of all runs with this measure."""
        accuracies = [measures.get(kind, {}).get(setting) for measures in self.measures]
        return [accuracy for accuracy in accuracies if accuracy is not None]


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def flat(record: Values) -> dict[str, Any]:
    """The summary of a record, with the accuracies of ANN stages and converted networks."""
    summary = dict(record["summary"])
    for stage in summary.pop("stages", []):
        summary |= {key: stage[key] for key in stage if key.startswith("converted_")}
        if stage["kind"] == "ann":
            summary["ann_accuracy"] = stage.get("test_accuracy")
    summary["cpu_seconds"] = record.get("cpu_seconds")
    return summary


def _measures(recorded: Values) -> dict[str, dict[float, float]]:
    """The measures of a record with numbers as keys, noise averaged over its seeds."""
    kinds = {}
    if BITS in recorded:
        kinds[BITS] = {float(bits): accuracy for bits, accuracy in recorded[BITS].items()}
    if NOISE in recorded:
        kinds[NOISE] = {float(n): statistics.fmean(a.values()) for n, a in recorded[NOISE].items()}
    return kinds


def _percent(value: float) -> str:
    return f"{value:.2%}"


COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("spikes per neuron", "spikes_per_neuron", "{:.3f}".format),
    ("storage ratio", "storage_ratio", "{:.5f}".format),
    ("operations ratio", "operations_ratio", "{:.5f}".format),
    ("ANN", "ann_accuracy", _percent),
    ("converted, floats", "converted_float_accuracy", _percent),
    ("converted, integers", "converted_accuracy", _percent),
    ("CPU seconds", "cpu_seconds", "{:.0f}".format),
)
"""Optional columns, shown if some run has the value: heading, key, and format of means."""

NOTES = {
    "ann_accuracy": "ANN: the last stage that is one, on test images.",
    "converted_accuracy": "Converted: before the first step of training, on validation images.",
    "operations_ratio": "Operations: against a dense float network with the spikes of the first "
    "spiking stage.",
    "cpu_seconds": "CPU seconds of a run, its scores included, without stages that it reused from "
    "another run.",
}


def markdown(experiment: Experiment, lines: Sequence[Row]) -> str:
    """The comparison in Markdown: accuracy on test images by seed, mean, deviation, and more.

    The gain is the difference to the first variant at the same value, in percentage points; with a
    single variant, to its first value. Tables of measures on finished networks follow.
    """
    word, swept = experiment.sweep.word, any(line.value is not None for line in lines)
    more = [column for column in COLUMNS if any(line.values(column[1]) for line in lines)]
    headings = ["variant", *([experiment.sweep.key] if swept else []), "test accuracy by seed",
                "mean", "deviation", "gain", "density", *(name for name, _, _ in more)]  # fmt: skip
    rows = []
    for line in lines:
        accuracy = ", ".join(map(_percent, line.values("test_accuracy")))
        mean, base = line.mean("test_accuracy"), _baseline(lines, line)
        row = [line.variant, *([_value(line)] if swept else []), accuracy, _percent(mean),
               f"{100 * line.deviation('test_accuracy'):.2f}",
               "" if base is None else f"{100 * (mean - base.mean('test_accuracy')):+.2f}",
               f"{line.mean('density'):.4f}"]  # fmt: skip
        rows.append([*row, *(write(line.mean(key)) if line.values(key) else ""
                             for _, key, write in more)])  # fmt: skip
    images = lines[0].summaries[0]["test_images"]
    seeds = ", ".join(map(str, experiment.seeds))
    notes = [f"Seeds {seeds}; {images} test images. Deviation of single runs, in points."]
    notes += [NOTES[key] for _, key, _ in more if key in NOTES]
    title = [f"# {experiment.name}", "", experiment.question, ""]
    text = [*title, *_markdown(headings, rows), "", " ".join(notes)]
    text += _measured(lines, word, BITS, "Weight bits after training", "{:.0f}".format)
    text += _measured(
        lines, word, NOISE, "Noise on the input, share of the largest pixel", "{:g}".format
    )
    return "\n".join(text) + "\n"


def row_name(line: Row, word: str) -> str:
    """The name of a row: its variant and the swept value.

    >>> row_name(Row("momentum", (), 0.05), "density")
    'momentum, density 0.05'
    """
    return line.variant if line.value is None else f"{line.variant}, {word} {_value(line)}"


def _value(line: Row) -> str:
    return "" if line.value is None else str(line.value)


def _baseline(lines: Sequence[Row], line: Row) -> Row | None:
    """The first variant's row at the same value or none; with a single variant, its first row."""
    first = [other for other in lines if other.variant == lines[0].variant]
    if len(first) == len(lines):
        return first[0]
    return next((other for other in first if other.value in (line.value, None)), None)


def _measured(
    lines: Sequence[Row], word: str, kind: str, title: str, write: Callable[[float], str]
) -> list[str]:
    """A table of means and deviations of every row with this kind of measure."""
    settings = sorted({s for line in lines for run in line.measures for s in run.get(kind, {})})
    if not settings:
        return []
    rows = [[row_name(line, word), *(_spread(line.measured(kind, s)) for s in settings)]
            for line in lines]  # fmt: skip
    return ["", f"## {title}", "", *_markdown(["variant", *map(write, settings)], rows)]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f"{statistics.fmean(values):.2%} ± {100 * deviation(values):.2f}"


def _markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]
