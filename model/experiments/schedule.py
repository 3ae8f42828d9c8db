"""All runs of an experiment: those that are due, in this process or in several at a time.

Seeds go round outermost, so that what was stopped early has compared all variants. Every run trains
by itself: which others ran before or beside it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikewright.model.experiments import records, workers
from spikewright.model.experiments.comparison import Row
from spikewright.model.experiments.experiment import Case, Experiment
from spikewright.model.experiments.records import Record

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
    """Make every run that is due, `jobs` at a time; a line for each variant and value.

    Parameters
    ----------
    report
        Called with a run and its `model.training.train.Progress`.
    finished
        Called with a run and its record, once it is written.
    device
        Where all of them train; see `model.runtime.device.select_device`.

    Raises
    ------
    BadInput
        As `model.training.train.train`; or if a record in the folder is of another recipe.
    CheckFailed
        As `model.training.train.train`. The first failure ends all runs; what is trained is kept.
    """
    measure, wanted = experiment.measure, due_cases(experiment, folder)

    def tell(case: Case, state: Any) -> None:
        if report is not None:
            report(case, state)

    def end(case: Case) -> None:
        record = records.read(case, folder)
        assert record is not None
        if finished is not None:
            finished(case, record)

    if jobs > 1 and len(wanted) > 1:
        workers.run_in_processes(wanted, measure, folder, data_root, jobs, tell, end, device)
    else:
        for case in wanted:
            records.train_and_record(
                case, measure, folder, data_root, lambda state, case=case: tell(case, state), device
            )
            end(case)
    return collect_rows(experiment, folder)


def collect_rows(experiment: Experiment, folder: Path) -> list[Row]:
    """The finished runs of every variant and value that has any."""
    lines = []
    for variant, value in experiment.points():
        cases = [experiment.case(variant, value, seed) for seed in experiment.seeds]
        found = [record for case in cases if (record := records.read(case, folder)) is not None]
        if found:
            lines.append(Row.from_records(variant.name, value, found))
    return lines
