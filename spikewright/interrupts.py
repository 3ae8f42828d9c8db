"""Ctrl-C from the first moment to the last: one line and exit code 130, never a traceback.

Imports next to nothing: it is at work before anything else of the kit is imported.
"""

from __future__ import annotations

import os
import signal

EXIT_CODE = 130
MESSAGE = "interrupted; the same command resumes where it stopped"


class Interrupts:
    """Ctrl-C that cannot get lost: libraries swallow a KeyboardInterrupt that meets their import.

    While a command runs, the signal raises `KeyboardInterrupt` and is remembered, and `check`
    raises it again wherever a command reports progress. Before and after, while the interpreter
    imports or ends, there is nothing to clean up: the process says so and leaves.
    """

    came = False
    _working = False

    @classmethod
    def watch(cls) -> None:
        """Answer interrupts from now on; one that is ignored by our parent's wish stays so."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, cls._note)

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
                os._exit(EXIT_CODE)
        cls.came = True
        raise KeyboardInterrupt
