"""Experiments: run what is missing, then a table, a picture, and one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from spikewright.console import Console
from spikewright.layout import writable, write_bytes, write_json

TABLE, PICTURE, VALUES = "table.md", "accuracy.svg", "experiment.json"
WIDTH, LABEL, RIGHT, ROW = 860, 210, 90, 40
STYLE = (
    "text{font:14px 'Helvetica Neue',Arial,sans-serif;fill:#2b3338}"
    ".axis{fill:#5d676e;font-size:12px}.grid{stroke:#e3e0d8}"
    ".run{fill:#0b6e69;fill-opacity:.45}.mean{stroke:#0b6e69;stroke-width:3}"
)


def experiment(
    name: str, folder: Path, data: Path | None, console: Console, jobs: int = 1
) -> dict[str, Any]:
    """Train every run of experiment `name` that is not finished; write what came out.

    Writes `table.md`, `accuracy.svg` and `experiment.json` beside the runs, of which `jobs` train
    at the same time.
    """
    from model import comparison, series
    from model import experiment as experiments

    found = experiments.load(name)
    writable(folder)
    progress = Progress(console, len(series.due(found, folder)))
    with console.step(found.name):
        lines = series.run(found, folder, data, jobs, progress.training, progress.finished)
    rows = [_row(line, comparison.name_of(line, found.sweep.word)) for line in lines]
    result = {"name": found.name, "question": found.question, "seeds": list(found.seeds),
              "variants": rows, "folder": folder}  # fmt: skip
    if found.sweep.key:
        result["sweep"] = {"key": found.sweep.key, "values": list(found.sweep.values)}
    write_bytes(folder / TABLE, comparison.table(found, lines).encode())
    write_bytes(folder / PICTURE, picture([(r["name"], r["accuracy"]) for r in rows]).encode())
    write_json(folder / VALUES, result)
    return result


class Progress:
    """Says which runs train at the moment, how far they are, and what each ended with."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console, self._runs, self._done = console, runs, 0
        self._training: dict[str, tuple[str, float]] = {}

    def training(self, case: Any, state: Any) -> None:
        """A run is at `state`; the bar counts the steps of all that train."""
        note = f"{case.name}: epoch {state.epoch}/{state.epochs}, loss {state.loss:.3f}"
        self._training[case.slug] = note, state.step / max(state.steps, 1)
        share = sum(done for _, done in self._training.values()) / len(self._training)
        notes = "; ".join(text for text, _ in self._training.values())
        self._console.progress(round(100 * share), 100, f"% of {notes}")

    def finished(self, case: Any, record: Any) -> None:
        """A run has its record."""
        self._training.pop(case.slug, None)
        self._done += 1
        number = f"{self._done:{len(str(self._runs))}}/{self._runs}"
        accuracy = f"{record['summary']['test_accuracy']:.2%}"
        seconds = record.get("cpu_seconds")
        time = "" if seconds is None else f", {seconds:.0f} s of CPU"
        self._console.say(f"      run {number} {case.name}: {accuracy}{time}")


OPTIONAL = (
    "weight_bits", "timesteps", "spikes_per_neuron", "storage_ratio", "operations_ratio",
    "ann_accuracy", "converted_float_accuracy", "converted_accuracy", "cpu_seconds",
)  # fmt: skip
"""Values of runs that a row has where the runs have them."""


def _row(line: Any, name: str) -> dict[str, Any]:
    row = {
        "name": name,
        "variant": line.variant,
        "accuracy": line.values("test_accuracy"),
        "accuracy_mean": line.mean("test_accuracy"),
        "accuracy_deviation": line.deviation("test_accuracy"),
        "density": line.values("density"),
        "spike_rate": line.values("spike_rate"),
    }
    row |= {key: found for key in OPTIONAL if (found := line.values(key))}
    if line.value is not None:
        row["value"] = line.value
    for kind in ("bits", "noise"):
        settings = {setting for run in line.measures for setting in run.get(kind, {})}
        if settings:
            row[kind] = {f"{s:g}": line.measured(kind, s) for s in sorted(settings)}
    return row


def lines_of(result: dict[str, Any]) -> list[str]:
    """A line for every variant, and where the rest is."""
    width = max(len(row["name"]) for row in result["variants"])
    lines = [result["question"]]
    for row in result["variants"]:
        spread = f"± {100 * row['accuracy_deviation']:.2f}"
        lines.append(f"{row['name']:{width}}  {row['accuracy_mean']:.2%} {spread}")
    return [*lines, f"table       {result['folder'] / TABLE}"]


def picture(rows: Sequence[tuple[str, Sequence[float]]]) -> str:
    """An SVG file: for every variant a dot for each seed, and a stroke at their mean.

    The scale runs from just below the lowest accuracy to just above the highest.
    """
    every = [value for _, values in rows for value in values]
    low, high = min(every), max(every)
    margin = max(0.1 * (high - low), 0.002)
    low, high = low - margin, high + margin
    height = ROW * len(rows) + 44

    def x(value: float) -> float:
        return LABEL + (WIDTH - LABEL - RIGHT) * (value - low) / (high - low)

    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        parts.append(
            _stroke("grid", x(value), 8, height - 28)
            + f'<text class="axis" x="{x(value):.1f}" y="{height - 10}" text-anchor="middle">'
            f"{value:.1%}</text>"
        )
    for place, (name, values) in enumerate(rows):
        y, mean = ROW * place + 28, sum(values) / len(values)
        parts.append(f'<text x="0" y="{y + 5}">{escape(name)}</text>')
        parts += [
            f'<circle class="run" cx="{x(value):.1f}" cy="{y}" r="6">'
            f"<title>{escape(name)}: {value:.2%}</title></circle>"
            for value in values
        ]
        parts.append(
            _stroke("mean", x(mean), y - 12, y + 12)
            + f'<text x="{WIDTH - RIGHT + 14}" y="{y + 5}">{mean:.2%}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Accuracy of every run"><style>{STYLE}</style>{"".join(parts)}</svg>\n'
    )


def _stroke(kind: str, x: float, top: float, bottom: float) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
