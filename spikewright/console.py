"""What a command says while it works: step lines and progress, on stderr.

Standard output stays free for the result, so that `--json` gives one JSON object and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from spikewright.interrupts import Interrupts

BAR_WIDTH = 24
NAME_WIDTH = 16
PLAIN_EVERY_S = 5.0


class Console:
    """Lines on `stream`: a bar that redraws itself on a terminal, plain lines elsewhere.

    `steps` is the number of steps that the command announces; 0 leaves the numbering out.
    """

    def __init__(self, steps: int = 0, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.steps = steps
        self.step_number = 0
        self._name = ""
        self._due = 0.0  # when the next plain progress line may come

    @classmethod
    def quiet(cls) -> Console:
        """One that says nothing."""
        return cls(stream=io.StringIO())

    def say(self, line: str) -> None:
        """One line, over the bar if there is one."""
        self._wipe()
        self._write(line + "\n")

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, and say how it ended and how long it took."""
        Interrupts.check()
        self._begin(name)
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            self._wipe()  # the error's own line says it all
            raise
        self.say(self._line(f"ok {time.perf_counter() - started:.1f} s"))

    def kept(self, name: str) -> None:
        """A step whose result is kept, because none of its inputs changed."""
        self._begin(name, live=False)
        self.say(self._line("kept (nothing changed)"))

    def progress(self, done: int, total: int, note: str = "") -> None:
        """How far the running step is: `done` of `total`; plain output gets a line now and then."""
        Interrupts.check()
        total = max(total, 1)
        if self.live:
            filled = min(BAR_WIDTH, BAR_WIDTH * done // total)
            bar = "█" * filled + "░" * (BAR_WIDTH - filled)
            self._wipe()
            self._write(f"{self._line(bar)} {done}/{total} {note}"[:110])
        elif time.monotonic() >= self._due:
            self._due = time.monotonic() + PLAIN_EVERY_S
            self.say(f"      {self._name}: {done}/{total} {note}".rstrip())

    def _begin(self, name: str, live: bool = True) -> None:
        self._name, self._due = name, time.monotonic() + PLAIN_EVERY_S
        self.step_number += 1
        if live and self.live:
            self._write(self._line("..."))

    def _line(self, state: str) -> str:
        number = f"[{self.step_number}/{self.steps}] " if self.steps else ""
        return f"{number}{self._name} {'.' * max(2, NAME_WIDTH - len(self._name))} {state}"

    def _wipe(self) -> None:
        if self.live:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        """Progress that nobody can read ends no work: a full disk, a terminal that was closed."""
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            self.stream, self.live = io.StringIO(), False
