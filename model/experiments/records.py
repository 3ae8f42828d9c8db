"""The records of finished runs: a JSON file for each in `results/`, written atomically.

A run trains in `runs/SLUG`, where it resumes if it was stopped. It is due until it has a record of
the same recipe with every measure of the experiment; if only measures are missing, it is not
trained again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from spikewright.golden.atomic import made, write_bytes
from spikewright.golden.errors import BadInput, require
from spikewright.golden.reading import read_json
from spikewright.golden.records import Numeral, checked
from spikewright.model.experiments.experiment import Case
from spikewright.model.experiments.measures import Measure

RESULTS, RUNS, CLOCK, CHECKPOINT = "results", "runs", "cpu_seconds.json", "checkpoint.pt"

REMEDY = "remove it to run again"

Record = Mapping[str, Any]

_SHARE, _COUNT = (float, 0, 1), (int, 1, 2**31)
_ANY_SHARE, _ANY_NUMBER = (*_SHARE, None), (float, 0, 1e12, None)
_STAGE = {
    "kind": str, "test_accuracy?": _ANY_SHARE, "converted_accuracy?": _ANY_SHARE,
    "converted_float_accuracy?": _ANY_SHARE,
}  # fmt: skip
_SUMMARY = {
    "test_accuracy": _SHARE, "test_images": _COUNT, "density": _SHARE, "stages?": [_STAGE],
    "weight_bits?": _COUNT, "timesteps?": _COUNT, "spikes_per_neuron?": _ANY_NUMBER,
    "storage_ratio?": _ANY_NUMBER, "operations_ratio?": _ANY_NUMBER,
}  # fmt: skip
_FORM = {
    "summary": _SUMMARY, "cpu_seconds?": _ANY_NUMBER,
    "measures?": {"bits?": {Numeral: _SHARE}, "noise?": {Numeral: {Numeral: _SHARE}}},
}  # fmt: skip


def path_of(case: Case, folder: Path) -> Path:
    """The path of a run's record in an experiment's folder."""
    return folder / RESULTS / f"{case.slug}.json"


def read(case: Case, folder: Path) -> Record | None:
    """The record of a run; None if there is none.

    Raises
    ------
    BadInput
        If the file is no record, or that of another recipe.
    """
    path = path_of(case, folder)
    if not path.exists():
        return None
    where = str(path)
    record = read_json(path, where, f"the result of a run; {REMEDY}")
    trained = checked({"recipe": {str: Any}}, record, where, REMEDY)["recipe"]
    require(trained == case.recipe.as_dict(), where, "recipe", "another",
            f"that of the experiment; use another folder, or {REMEDY}")  # fmt: skip
    checked(_FORM, record, where, REMEDY)
    return cast(Record, record)


def is_due(case: Case, measure: Measure, folder: Path) -> bool:
    """Whether a run has no record yet, or one that lacks a measure.

    Raises
    ------
    BadInput
        As `read`.
    """
    record = read(case, folder)
    return record is None or measure.missing(record.get("measures", {}))


@dataclass(frozen=True)
class RunSettings:
    """What all runs of an experiment share.

    Attributes
    ----------
    folder
        The experiment's: records in it, and a folder for each run.
    measure
        What is measured on every trained network.
    data_root
        The folder of the data sets; None for those that need none.
    device
        Where runs train; see `model.runtime.device.select_device`.
    """

    folder: Path
    measure: Measure
    data_root: str | Path | None = None
    device: str = "cpu"


def train_and_record(case: Case, settings: RunSettings, progress: Callable[[Any], None]) -> None:
    """Trains a run, or resumes it, measures its network, and writes its record.

    Raises
    ------
    BadInput, CheckFailed
        As `model.training.train.train`.
    """
    from spikewright.model.training.train import train  # torch only where something is trained

    folder, data_root = settings.folder, settings.data_root
    run_folder, path = folder / RUNS / case.slug, path_of(case, folder)
    clock = Clock(run_folder)

    def report(state: Any) -> None:
        if state.validation_accuracy is not None:
            clock.keep()
        progress(state)

    others = [other for other in sorted((folder / RUNS).glob("*")) if other != run_folder]
    result = train(case.recipe, run_folder, data_root, report, others, device=settings.device)
    record = {
        "schema": 1,
        "variant": case.variant,
        "seed": case.seed,
        "recipe": case.recipe.as_dict(),
        "summary": result.summary,
    }
    if case.value is not None:
        record["value"] = case.value
    if measures := settings.measure.measure_run(case.recipe, run_folder, data_root):
        record["measures"] = measures
    if clock.known:
        record["cpu_seconds"] = round(clock.keep(), 1)
    with made(path.parent):
        write_bytes(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


class Clock:
    """The CPU seconds of a run, over all interruptions.

    They are saved in the run's folder at the end of every epoch and behind the scores, so that what
    was interrupted does not count. `known` is false for a run that was trained without a clock.
    """

    def __init__(self, run_folder: Path) -> None:
        self._path, self._started, self._before = run_folder / CLOCK, time.process_time(), 0.0
        self.known = not (run_folder / CHECKPOINT).exists()
        try:
            kept = read_json(self._path, str(self._path), "a clock")
            self._before = checked({"seconds": float}, kept, str(self._path), REMEDY)["seconds"]
            self.known = True
        except BadInput:
            pass  # the time is no result: without it the run is valid

    @property
    def seconds(self) -> float:
        """The seconds so far, of all processes that worked on the run."""
        return self._before + time.process_time() - self._started

    def keep(self) -> float:
        """Saves the seconds, and returns them."""
        seconds = self.seconds
        if self.known:
            write_bytes(self._path, json.dumps({"seconds": seconds}).encode())
        return seconds
