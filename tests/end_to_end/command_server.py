"""Runs commands of `spikewright` in forks of one process, which has imported all that they need.

Reads requests from standard input, a line of JSON each, and answers with a line each:

- {"arguments": [...], "log": PATH, "temporary": PATH, "end_at": N}: starts a command, with its
  outputs in the log; answers its process number. With `end_at` it kills itself before its N-th
  operation on the file system.
- {"wait": PROCESS}: answers the exit code of that process once it has ended.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import NoReturn

from spikewright.cli.main import main as command

for module in ("api", "experiments", "model.experiments.schedule", "model.training.train",
               "pipeline", "sim.verify"):  # fmt: skip
    importlib.import_module(f"spikewright.{module}")  # before the first fork

OPERATIONS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "subprocess.Popen"}


def kill_before(number: int) -> None:
    """Kill this process before its operation `number` on the file system."""
    left = number

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in OPERATIONS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


def run(request: dict) -> NoReturn:
    """The command of a request, in this process."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for handle in (1, 2):
        os.dup2(log, handle)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ["TMPDIR"] = request["temporary"]
    if request["end_at"]:
        kill_before(request["end_at"])
    code = 70
    try:
        command(request["arguments"])
    except SystemExit as left:
        code = left.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
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
