"""The way in: `spikewright demo | train | experiment | run | build | verify | ...`.

Exit codes: 0 all is well; 1 a check failed; 2 bad input or usage; 3 a tool is missing; 70 a fault
of ours; 130 the user interrupted; 141 the reader of our output left; 143 SIGTERM came. All but 0
and 141 cost one line on stderr. Imports next to nothing at first, so that Ctrl-C is
answered from the first moment.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from spikewright.interrupts import Interrupts

INCOMPLETE = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    Interrupts.watch()
    _open_streams()
    try:
        from spikewright import torchrun
        from spikewright.cli.program import run
    except ImportError as error:
        sys.stderr.write(f"spikewright: the installation is incomplete: {error}; install it anew\n")
        sys.exit(INCOMPLETE)
    if torchrun.alone():
        Interrupts.watch_termination()
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    _drop_unwritten()
    sys.exit(code)


def _open_streams() -> None:
    """No file that is opened later may take the number of a standard stream that was closed."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull)
    if sys.stdout is None:
        os.open(os.devnull, os.O_WRONLY)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    if sys.stdout is None:
        sys.stderr.write("spikewright: standard output is closed, must be open, as in >/dev/null\n")
        sys.exit(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal has every letter


def _drop_unwritten() -> None:
    """What standard output did not take was reported; the interpreter must not do so again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
