"""Schedules the due runs of an experiment, one after the other or in several processes.

Seeds are the outermost loop, so that an interrupted experiment has compared all variants. Runs do
not influence each other, in whatever order or number they are trained.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikewright.model.experiments import records, workers
from spikewright.model.experiments.comparison import Row
from spikewright.model.experiments.experiment import Case, Experiment
from spikewright.model.experiments.records import Record, RunSettings

Report = Callable[[Case, Any], None]
Finished = Callable[[Case, Record], None]


def due_cases(experiment: Experiment, folder: Path) -> list[Case]:
    """The runs without a record, or with one that lacks a measure, in their order.

    Raises
    ------
    BadInput
        If a record in the folder is damaged, or of another recipe.
    """
    return [case for case in experiment.cases() if records.is_due(case, experiment.measure, folder)]


def run_experiment(
    experiment: Experiment, folder: Path, data_root: str | Path | None = None, jobs: int = 1,
    report: Report | None = None, finished: Finished | None = None, device: str = "cpu",
) -> list[Row]:  # fmt: skip
    """Trains and measures every run that is due; returns a row for each variant and value.

    Parameters
    ----------
    jobs
        The number of runs that train at the same time.
    report
        Called with a run and its `model.training.train.Progress`.
    finished
        Called with a run and its record, after it is written.
    device
        The device of all runs; see `model.runtime.device.select_device`.

    Raises
    ------
    BadInput
        As `model.training.train.train`; or if a record in the folder is of another recipe.
    CheckFailed
        As `model.training.train.train`. The first failure ends all runs; what is trained is kept.
    """
    settings = RunSettings(folder, experiment.measure, data_root, device)
    due = due_cases(experiment, folder)

    def on_progress(case: Case, state: Any) -> None:
        if report is not None:
            report(case, state)

    def on_finish(case: Case) -> None:
        record = records.read(case, folder)
        assert record is not None
        if finished is not None:
            finished(case, record)

    if jobs > 1 and len(due) > 1:
        workers.run_in_processes(due, settings, jobs, on_progress, on_finish)
    else:
        for case in due:
            records.train_and_record(
                case, settings, lambda state, case=case: on_progress(case, state)
            )
            on_finish(case)
    return collect_rows(experiment, folder)


def collect_rows(experiment: Experiment, folder: Path) -> list[Row]:
    """A row for every variant and value with a finished run."""
    rows = []
    for variant, value in experiment.points():
        cases = [experiment.case(variant, value, seed) for seed in experiment.seeds]
        finished = [record for case in cases if (record := records.read(case, folder)) is not None]
        if finished:
            rows.append(Row.from_records(variant.name, value, finished))
    return rows
