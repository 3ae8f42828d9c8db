"""Runs of an experiment in processes of their own, several at a time.

A process makes one run: it reads its order as JSON from standard input, and answers on standard
output with a line of JSON for every progress, and one for an error that a user can mend. It is in a
process group of its own, so that Ctrl-C reaches the parent alone, which then ends all of them; if
the parent is killed, its children end as soon as they have something to tell.
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

from golden.errors import BadInput, CheckFailed, SpikewrightError
from model import experiment, records
from model import recipe as recipes
from model.experiment import Case
from model.fields import plain
from model.measures import Measure

_PATIENCE_S = 20  # for a child that was asked to end and is in the middle of a long call
_ERRORS = {error.exit_code: error for error in (CheckFailed, BadInput)}


def run(
    cases: Sequence[Case], measure: Measure, folder: Path, data_root: str | Path | None, jobs: int,
    report: Callable[[Case, Any], None], finished: Callable[[Case], None],
) -> None:  # fmt: skip
    """Make the runs, `jobs` of them at a time, in order; `report` and `finished` hear of them.

    Raises
    ------
    BadInput, CheckFailed
        That of the first run that fails; the others are ended, and go on when they are called for
        again.
    """
    waiting = list(reversed(cases))
    with selectors.DefaultSelector() as selector, _ended_at_last() as children:

        def start() -> None:
            child = Child(waiting.pop(), measure, folder, data_root)
            children.append(child)
            selector.register(child.output, selectors.EVENT_READ, child)

        for _ in range(min(jobs, len(waiting))):
            start()
        while children:
            for key, _ in selector.select():
                child = key.data
                for state in child.heard():
                    report(child.case, state)
                if child.silent:
                    selector.unregister(child.output)
                    children.remove(child)
                    child.close()
                    finished(child.case)
                    if waiting:
                        start()


@contextmanager
def _ended_at_last() -> Iterator[list[Child]]:
    """A list of children; those that are in it at the end are ended, whatever happened."""
    children: list[Child] = []
    try:
        yield children
    finally:
        for child in children:
            child.process.terminate()
        for child in children:
            child.end()


class Child:
    """A process that makes one run.

    Members
    -------
    output : file descriptor on which it can be heard
    silent : whether it has closed that, because it ended
    """

    def __init__(
        self, case: Case, measure: Measure, folder: Path, data_root: str | Path | None
    ) -> None:
        self.case, self.silent = case, False
        self._part, self._error = b"", None
        home = str(Path(__file__).parents[1])
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "model.workers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.output = self.process.stdout.fileno()
        order = {
            "case": {**dataclasses.asdict(case), "recipe": case.recipe.as_dict()},
            "measure": plain(measure),
            "folder": str(folder),
            "data_root": None if data_root is None else str(data_root),
        }
        self.process.stdin.write(json.dumps(order).encode())
        self.process.stdin.close()

    def heard(self) -> Iterator[Any]:
        """What it told since the last call: the fields of `model.train.Progress`."""
        data = os.read(self.output, 1 << 16)
        self.silent = not data
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "error" in told:
                self._error = _ERRORS.get(told["exit_code"], SpikewrightError)(told["error"])
            else:
                yield SimpleNamespace(**told)

    def close(self) -> None:
        """Wait for the end of a process that is silent.

        Raises
        ------
        BadInput, CheckFailed
            If its run failed.
        RuntimeError
            If it had a fault of ours; the process has printed its traceback.
        """
        code = self.end()
        if self._error is not None:
            raise self._error
        if code < 0:
            raise BadInput(
                f"{self.case.name}: its process was ended by signal {-code}; the same command goes "
                "on where it stopped, with fewer --jobs in less memory"
            )
        if code:
            raise RuntimeError(f"the process of {self.case.name} ended with code {code}")

    def end(self) -> int:
        """The exit code of the process, which is over or was asked to be."""
        try:
            code = self.process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def main() -> int:
    """What a child does; returns its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    order = json.load(sys.stdin)
    recipe = recipes.from_dict(order["case"].pop("recipe"))
    case = experiment.Case(**order["case"], recipe=recipe)
    measure = Measure(**{key: tuple(value) for key, value in order["measure"].items()})
    try:
        records.make(case, measure, Path(order["folder"]), order["data_root"], _tell_progress)
    except BrokenPipeError:
        # The parent is gone. What is still in the buffer must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SpikewrightError as error:
        _tell({"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    except OSError as error:
        _tell({"error": f"{error.filename}: {error.strerror}", "exit_code": BadInput.exit_code})
        return BadInput.exit_code
    return 0


def _tell_progress(state: Any) -> None:
    _tell(dataclasses.asdict(state))


def _tell(values: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
