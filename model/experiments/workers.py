"""Runs of an experiment in processes of their own, several at a time.

A worker reads orders from standard input, a line of JSON for each run, and answers on standard
output: a line for every progress, one at the end of a run, one for an error that a user can mend.
It is in a process group of its own, so that Ctrl-C reaches the parent alone, which then ends all
workers. If the parent is killed, they end as soon as they listen, or have something to tell.
"""

from __future__ import annotations

import dataclasses
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from spikewright.golden.errors import BadInput, CheckFailed, SpikewrightError
from spikewright.model.experiments import experiment, records
from spikewright.model.experiments.experiment import Case
from spikewright.model.experiments.measures import Measure
from spikewright.model.recipes import recipe as recipes
from spikewright.model.recipes.fields import plain

_PATIENCE_S = 20  # for a worker that was asked to end and is in the middle of a long call
_ERRORS = {error.exit_code: error for error in (CheckFailed, BadInput)}

Order = dict[str, Any]


def run_in_processes(
    cases: Sequence[Case], measure: Measure, folder: Path, data_root: str | Path | None, jobs: int,
    report: Callable[[Case, Any], None], finished: Callable[[Case], None], device: str = "cpu",
) -> None:  # fmt: skip
    """Make the runs, `jobs` of them at a time, in order; `report` and `finished` hear of them.

    Raises
    ------
    BadInput, CheckFailed
        That of the first run that fails; the others are ended, and go on when they are called for
        again.
    RuntimeError
        If a worker had a fault of ours; it has printed its traceback.
    """
    waiting = iter(cases)
    common = {
        "measure": plain(measure),
        "folder": str(folder),
        "device": device,
        "data_root": None if data_root is None else str(data_root),
    }
    with selectors.DefaultSelector() as selector, _workers(min(jobs, len(cases))) as workers:
        for worker in workers:
            selector.register(worker.output, selectors.EVENT_READ, worker)
            worker.start(next(waiting), common)
        while any(worker.case for worker in workers):
            for key, _ in selector.select():
                worker: Worker = key.data
                for state in worker.heard():
                    report(worker.busy_with, state)
                if worker.done:
                    finished(worker.busy_with)
                    worker.start(next(waiting, None), common)


@contextmanager
def _workers(count: int) -> Iterator[list[Worker]]:
    """So many workers, which are ended at last, whatever happens."""
    workers: list[Worker] = []
    try:
        workers += (Worker() for _ in range(count))
        yield workers
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.end()


class Worker:
    """A process that makes one run after the other.

    Members
    -------
    output : file descriptor on which it can be heard
    case : the run that it was given last; None if it has none to make
    done : whether that is made
    """

    def __init__(self) -> None:
        self.case: Case | None = None
        self.done, self._part = False, b""
        home = str(Path(__file__).parents[3])
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "spikewright.model.experiments.workers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, process_group=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.output = self.process.stdout.fileno()

    @property
    def busy_with(self) -> Case:
        """The run that it makes."""
        assert self.case is not None
        return self.case

    def start(self, case: Case | None, common: Order) -> None:
        """Give it its next run, if there is one."""
        self.case, self.done = case, False
        if case is not None:
            assert self.process.stdin is not None
            told = {**dataclasses.asdict(case), "recipe": case.recipe.as_dict()}
            try:
                self.process.stdin.write(json.dumps({"case": told, **common}).encode() + b"\n")
            except BrokenPipeError:
                self._died()

    def heard(self) -> Iterator[Any]:
        """What it told since the last call: the fields of `model.training.train.Progress`.

        Raises
        ------
        BadInput, CheckFailed, RuntimeError
            As `run_in_processes`.
        """
        data = os.read(self.output, 1 << 16)
        if not data:
            self._died()
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "error" in told:
                raise _ERRORS.get(told["exit_code"], SpikewrightError)(told["error"])
            self.done = "done" in told
            if not self.done:
                yield SimpleNamespace(**told)

    def _died(self) -> None:
        code, name = self.end(), self.busy_with.name
        if code >= 0:
            raise RuntimeError(f"the process of {name!r} ended with code {code}")
        raise BadInput(
            f"{name}: its process was ended by signal {-code}; the same command goes on where it "
            "stopped, with fewer --jobs in less memory"
        )

    def end(self) -> int:
        """The exit code of the process, which is over or was asked to be."""
        try:
            code = self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return code


def main() -> int:
    """What a worker does; returns its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for line in sys.stdin:
            _make(json.loads(line))
    except BrokenPipeError:
        # The parent is gone. What is still in the buffer must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SpikewrightError as error:
        _tell({"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    except OSError as error:
        where, why = error.filename or "a file", (error.strerror or str(error)).lower()
        _tell({"error": f"{where}: {why}", "exit_code": BadInput.exit_code})
        return BadInput.exit_code
    return 0


def _make(order: Order) -> None:
    recipe = recipes.from_dict(order["case"].pop("recipe"))
    case = experiment.Case(**order["case"], recipe=recipe)
    measure = Measure(**{key: tuple(value) for key, value in order["measure"].items()})
    folder, data_root = Path(order["folder"]), order["data_root"]
    records.train_and_record(
        case, measure, folder, data_root, lambda state: _tell(dataclasses.asdict(state)),
        order["device"],
    )  # fmt: skip
    _tell({"done": True})


def _tell(values: Order) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
