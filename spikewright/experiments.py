"""Experiments: run what is missing, then a table, a picture, and one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikewright.console import Console
from spikewright.layout import writable, write_bytes, write_json
from spikewright.reporting import curves
from spikewright.reporting.strip_plot import picture

TABLE, PICTURE, VALUES = "table.md", "accuracy.svg", "experiment.json"


def experiment(
    name: str, folder: Path, data: Path | None, console: Console, jobs: int = 1, device: str = "cpu"
) -> dict[str, Any]:
    """Train every run of experiment `name` that is not finished; write what came out.

    Writes `table.md`, `accuracy.svg`, plots and `experiment.json` beside the runs, of which `jobs`
    train at the same time on `device`.
    """
    from spikewright.model.experiments import comparison, schedule
    from spikewright.model.experiments import experiment as experiments

    found = experiments.load(name)
    writable(folder)
    progress = Progress(console, len(schedule.due(found, folder)))
    with console.step(found.name):
        lines = schedule.run(
            found, folder, data, jobs, progress.training, progress.finished, device
        )
    rows = [_row(line, comparison.name_of(line, found.sweep.word)) for line in lines]
    result = {"name": found.name, "question": found.question, "seeds": list(found.seeds),
              "variants": rows, "folder": folder}  # fmt: skip
    if found.sweep.key:
        result["sweep"] = {"key": found.sweep.key, "values": list(found.sweep.values)}
    pictures = {PICTURE: picture([(row["name"], row["accuracy"]) for row in rows])}
    pictures |= curves.drawn(found, lines)
    result["plots"] = list(pictures)
    shown = "".join(f"\n![{Path(file).stem}]({file})\n" for file in pictures)
    write_bytes(folder / TABLE, (comparison.table(found, lines) + shown).encode())
    for file, drawing in pictures.items():
        write_bytes(folder / file, drawing.encode())
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
    plots = ", ".join(result["plots"])
    return [*lines, f"table  {result['folder'] / TABLE}", f"plots  {plots}"]
