"""Runs commands of `spikewright` in forks of one process, which has imported all that they need.

Reads requests from standard input, a line of JSON each, and answers with a line each:

- {"arguments": [...], "log": PATH, "temporary": PATH, "end_at": N}: starts a command, with its
  outputs in the log; answers its process number. With `end_at` it kills itself before it changes
  the file system, or starts a program, for the N-th time. How often it did is in PATH.count.
- {"wait": PROCESS}: answers the exit code of that process once it has ended.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from spikewright.cli.main import main as command

for module in ("api", "experiments", "model.experiments.schedule", "model.training.train",
               "pipeline", "sim.verify"):  # fmt: skip
    importlib.import_module(f"spikewright.{module}")  # before the first fork

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "subprocess.Popen"}


class Changes:
    """Counts the changes that this process makes to the file system, and may end it before one."""

    def __init__(self, end_at: int) -> None:
        self.count, self.end_at = 0, end_at
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or writes:
            self.count += 1
            if self.count == self.end_at:
                os.kill(os.getpid(), signal.SIGKILL)


def run(request: dict) -> NoReturn:
    """The command of a request, in this process."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for handle in (1, 2):
        os.dup2(log, handle)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["TMPDIR"] = request["temporary"]
    changes, code = Changes(request["end_at"]), 70
    try:
        command(request["arguments"])
    except SystemExit as left:
        code = left.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        Path(request["log"] + ".count").write_text(str(changes.count))
        os._exit(code)


def main() -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                run(request)
        print(answer, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
