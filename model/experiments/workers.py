"""Worker processes that train several runs of an experiment at the same time.

A worker reads requests from standard input, a line of JSON for each run, and replies on standard
output with lines of JSON: progress, the end of a run, or an error that the user can fix. It is in
a process group of its own, so that Ctrl-C reaches only the parent, which then terminates all
workers. If the parent is killed, so are they.
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
from spikewright.golden.processes import children, leash
from spikewright.model.experiments import experiment, records
from spikewright.model.experiments.experiment import Case
from spikewright.model.experiments.measures import Measure
from spikewright.model.experiments.records import RunSettings
from spikewright.model.recipes import recipe as recipes
from spikewright.model.recipes.fields import plain

_PATIENCE_S = 20  # for a worker that was terminated during a long call
_ERRORS = {error.exit_code: error for error in (CheckFailed, BadInput)}

Message = dict[str, Any]


def run_in_processes(
    cases: Sequence[Case], settings: RunSettings, jobs: int,
    report: Callable[[Case, Any], None], finished: Callable[[Case], None],
) -> None:  # fmt: skip
    """Trains and records the runs in order, `jobs` of them at a time.

    `report` is called with a run and the fields of its `model.training.train.Progress`, `finished`
    with a run after its record is written.

    Raises
    ------
    BadInput, CheckFailed
        That of the first run that fails; the others are terminated, and resume at the next call.
    RuntimeError
        If a worker crashed; it has printed its traceback.
    """
    waiting = iter(cases)
    common = {
        "measure": plain(settings.measure),
        "folder": str(settings.folder),
        "device": settings.device,
        "data_root": None if settings.data_root is None else str(settings.data_root),
    }
    with selectors.DefaultSelector() as selector, _workers(min(jobs, len(cases))) as workers:
        for worker in workers:
            selector.register(worker.output, selectors.EVENT_READ, worker)
            worker.start(next(waiting), common)
        while any(worker.case for worker in workers):
            for key, _ in selector.select():
                worker: Worker = key.data
                for state in worker.progress():
                    report(worker.busy_with, state)
                if worker.done:
                    finished(worker.busy_with)
                    worker.start(next(waiting, None), common)


@contextmanager
def _workers(count: int) -> Iterator[list[Worker]]:
    """`count` workers, which are terminated on exit."""
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
    """A process that trains and records one run after the other.

    Members
    -------
    output : file descriptor of its replies
    case : the run that it was given last; None if it is idle
    done : whether that run is finished
    """

    def __init__(self) -> None:
        self.case: Case | None = None
        self.done, self._unfinished_line = False, b""
        home = str(Path(__file__).parents[3])
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        kept, self._rope = children.leash()
        module = "spikewright.model.experiments.workers"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(kept)], pass_fds=(kept,),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, process_group=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        os.close(kept)
        assert self.process.stdout is not None
        self.output = self.process.stdout.fileno()

    @property
    def busy_with(self) -> Case:
        """The run that it was given; there must be one."""
        assert self.case is not None
        return self.case

    def start(self, case: Case | None, common: Message) -> None:
        """Sends it its next run, if there is one; `common` is the rest of the request."""
        self.case, self.done = case, False
        if case is not None:
            assert self.process.stdin is not None
            values = {**dataclasses.asdict(case), "recipe": case.recipe.as_dict()}
            try:
                self.process.stdin.write(json.dumps({"case": values, **common}).encode() + b"\n")
            except BrokenPipeError:
                self._died()

    def progress(self) -> Iterator[Any]:
        """Its replies since the last call: the fields of `model.training.train.Progress`.

        Raises
        ------
        BadInput, CheckFailed, RuntimeError
            As `run_in_processes`.
        """
        data = os.read(self.output, 1 << 16)
        if not data:
            self._died()
        *lines, self._unfinished_line = (self._unfinished_line + data).split(b"\n")
        for line in lines:
            reply = json.loads(line)
            if "error" in reply:
                raise _ERRORS.get(reply["exit_code"], SpikewrightError)(reply["error"])
            self.done = "done" in reply
            if not self.done:
                yield SimpleNamespace(**reply)

    def _died(self) -> None:
        code, name = self.end(), self.busy_with.name
        if code >= 0:
            raise RuntimeError(f"the process of {name!r} ended with code {code}")
        raise BadInput(
            f"{name}: its process was ended by signal {-code}; the same command resumes where it "
            "stopped, with fewer --jobs in less memory"
        )

    def end(self) -> int:
        """Waits for the process, which has ended or was terminated; returns its exit code."""
        try:
            code = self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        if self._rope is not None:
            os.close(self._rope)
            self._rope = None
        return code


def main(handle: int) -> int:
    """The worker process, on the leash of `handle`; returns its exit code."""
    leash.follow(handle)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        for line in sys.stdin:
            _train_and_record(json.loads(line))
    except BrokenPipeError:
        # The parent has ended. Flushing the buffer at exit must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SpikewrightError as error:
        _reply({"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    except OSError as error:
        where, why = error.filename or "a file", (error.strerror or str(error)).lower()
        _reply({"error": f"{where}: {why}", "exit_code": BadInput.exit_code})
        return BadInput.exit_code
    return 0


def _train_and_record(request: Message) -> None:
    recipe = recipes.from_dict(request["case"].pop("recipe"))
    case = experiment.Case(**request["case"], recipe=recipe)
    measure = Measure(**{key: tuple(value) for key, value in request["measure"].items()})
    settings = RunSettings(
        Path(request["folder"]), measure, request["data_root"], request["device"]
    )
    records.train_and_record(case, settings, lambda state: _reply(dataclasses.asdict(state)))
    _reply({"done": True})


def _reply(values: Message) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
