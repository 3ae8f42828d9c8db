"""Experiments: run what is missing, then a table, pictures, and one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikewright.console import Console
from spikewright.golden.processes.locks import writing
from spikewright.layout import write_bytes, write_json
from spikewright.reporting import curves
from spikewright.reporting.strip_plot import picture
from spikewright.results.experiments import ExperimentResult, SweptKey, VariantResult

if TYPE_CHECKING:
    from spikewright.model.experiments.comparison import Row
    from spikewright.model.experiments.experiment import Experiment

TABLE, PICTURE, VALUES = "table.md", "accuracy.svg", "experiment.json"


def experiment(
    name: str | Path, folder: str | Path, data: str | Path | None = None, jobs: int = 1,
    device: str = "cpu", console: Console | None = None,
) -> ExperimentResult:  # fmt: skip
    """Train every run of an experiment that is not finished, and compare its variants.

    Writes `table.md`, `accuracy.svg`, plots and `experiment.json` beside the runs.

    Parameters
    ----------
    name
        A built-in experiment, or a .toml file.
    data
        The folder that holds the data sets; None takes the one in `SPIKEWRIGHT_DATA`.
    jobs
        How many runs train at the same time, each in a process; results do not depend on it.
    device
        "cpu", "cuda", "cuda:N" or "auto".
    console
        Says on standard error what is done; None is silent.

    Raises
    ------
    BadInput
        If experiment, data, folder or device are not as they must be.
    CheckFailed
        As `train`. The first failure ends all runs; what is trained is kept.
    """
    from spikewright.model.experiments import experiment as experiments

    content, folder = experiments.load(name), Path(folder)
    with writing(folder):
        return _experiment(content, folder, data, jobs, device, console or Console.quiet())


def _experiment(
    content: Experiment, folder: Path, data: str | Path | None, jobs: int, device: str,
    console: Console,
) -> ExperimentResult:  # fmt: skip
    from spikewright.model.experiments import comparison, schedule

    progress = Progress(console, len(schedule.due_cases(content, folder)))
    with console.step(content.name):
        lines = schedule.run_experiment(
            content, folder, data, jobs, progress.training, progress.finished, device
        )
    rows = [_variant(line, comparison.row_name(line, content.sweep.word)) for line in lines]
    pictures = {PICTURE: picture([(row.name, list(row.accuracy)) for row in rows])}
    pictures |= curves.drawn(content, lines)
    key, values = content.sweep.key, tuple(content.sweep.values)
    result = ExperimentResult(
        content.name, content.question, tuple(content.seeds), tuple(rows), folder,
        tuple(pictures), SweptKey(key, values) if key else None,
    )  # fmt: skip
    shown = "".join(f"\n![{Path(file).stem}]({file})\n" for file in pictures)
    write_bytes(folder / TABLE, (comparison.markdown(content, lines) + shown).encode())
    for file, drawing in pictures.items():
        write_bytes(folder / file, drawing.encode())
    write_json(folder / VALUES, result.as_dict())
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


MEASURES = (
    "weight_bits", "timesteps", "spikes_per_neuron", "storage_ratio", "operations_ratio",
    "ann_accuracy", "converted_float_accuracy", "converted_accuracy", "cpu_seconds",
)  # fmt: skip
"""Values of runs that a variant has where the runs have them."""


def _variant(line: Row, name: str) -> VariantResult:
    settings = {
        kind: sorted({setting for run in line.measures for setting in run.get(kind, {})})
        for kind in ("bits", "noise")
    }
    accuracies = {
        kind: {f"{s:g}": tuple(line.measured(kind, s)) for s in chosen}
        for kind, chosen in settings.items()
    }
    return VariantResult(
        name, line.variant, tuple(line.values("test_accuracy")), line.mean("test_accuracy"),
        line.deviation("test_accuracy"), tuple(line.values("density")),
        tuple(line.values("spike_rate")),
        {key: tuple(values) for key in MEASURES if (values := line.values(key))},
        line.value, accuracies["bits"], accuracies["noise"],
    )  # fmt: skip


def lines_of(result: ExperimentResult) -> list[str]:
    """A line for every variant, and where the rest is."""
    width = max(len(row.name) for row in result.variants)
    lines = [result.question]
    for row in result.variants:
        spread = f"± {100 * row.accuracy_deviation:.2f}"
        lines.append(f"{row.name:{width}}  {row.accuracy_mean:.2%} {spread}")
    return [*lines, f"table  {result.folder / TABLE}", f"plots  {', '.join(result.plots)}"]
