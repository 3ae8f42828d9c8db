"""Ctrl-C and SIGTERM from the first moment to the last: one line and an exit code of its own.

Imports next to nothing: it is at work before anything else of the kit is imported.
"""

from __future__ import annotations

import os
import signal

SIGNALLED = 128  # and the number of the signal: the exit code, as a shell says it
MESSAGE = "interrupted; the same command resumes where it stopped"


class Interrupts:
    """Ctrl-C that cannot get lost: libraries swallow a KeyboardInterrupt that meets their import.

    While a command runs, the signal raises `KeyboardInterrupt` and is remembered, and `check`
    raises it again wherever a command reports progress. Before and after, while the interpreter
    imports or ends, there is nothing to clean up: the process says so and leaves.

    Attributes
    ----------
    came
        The number of the signal; 0 before one has come.
    """

    came = 0
    _working = False

    @classmethod
    def watch(cls) -> None:
        """Answer interrupts from now on; one that is ignored by our parent's wish stays so."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, cls._note)

    @classmethod
    def watch_termination(cls) -> None:
        """Take SIGTERM as an interrupt too, so that it also leaves nothing behind.

        Not for one of several processes: it may wait inside a library for the others, where no
        handler runs, and SIGTERM ends it at once.
        """
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, cls._note)

    @classmethod
    def exit_code(cls) -> int:
        """That of an interrupted command."""
        return SIGNALLED + (cls.came or signal.SIGINT)

    @classmethod
    def work(cls, begins: bool) -> None:
        """A command begins, or has ended."""
        cls._working = begins

    @classmethod
    def check(cls) -> None:
        """Raise `KeyboardInterrupt` if one came and was lost."""
        if cls.came:
            raise KeyboardInterrupt

    @classmethod
    def _note(cls, number: int, frame: object) -> None:
        if not cls._working:
            try:
                os.write(2, f"spikewright: {MESSAGE}\n".encode())
            finally:
                os._exit(SIGNALLED + number)
        cls.came = number
        raise KeyboardInterrupt
