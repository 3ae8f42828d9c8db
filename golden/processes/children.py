"""Programs that we start: none outlives us, however we end.

Each runs in a process group of its own, so that Ctrl-C reaches us alone and we end it with all
that it has started; and on a leash, for the case that we are killed (see `leash`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from spikewright.golden.leftovers import scratch

_LEASH = Path(__file__).with_name("leash.py")


class Child:
    """A program that runs beside us; leaving the `with` block ends it if it has not ended.

    Parameters
    ----------
    output
        Where both of its outputs go; None gives each a pipe.

    Members
    -------
    process
        Of the leash, which ends with the exit code of the program; a signal's is 128 + its number.
    """

    def __init__(
        self, command: Sequence[str | Path], cwd: Path | None = None,
        environment: Mapping[str, str] | None = None, output: int | IO[str] | None = None,
    ) -> None:  # fmt: skip
        kept, self._rope = leash()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LEASH), str(kept), *map(str, command)],
                cwd=cwd, env=environment, text=True, pass_fds=(kept,), process_group=0,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if output is None else output,
                stderr=subprocess.PIPE if output is None else output,
            )  # fmt: skip
        except BaseException:
            os.close(self._rope)
            raise
        finally:
            os.close(kept)

    def end(self) -> None:
        """End it with all that it has started."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def __enter__(self) -> Self:
        for group in _groups():
            group.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.end()
        for group in _groups():
            group.discard(self)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        os.close(self._rope)


def leash() -> tuple[int, int]:
    """The ends of a pipe: one for `pass_fds` and `leash.follow` of a child, one to keep open.

    Whoever calls closes both: the first once the child is started, the second when it has ended.
    """
    return os.pipe()


def run(
    command: Sequence[str | Path], cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run a program to its end; both outputs are in the result, and its exit code.

    Its temporary files are in a folder of ours, which goes with it.

    Parameters
    ----------
    environment
        Instead of ours.
    """
    with scratch() as temporary:
        own = {**(os.environ if environment is None else environment), "TMPDIR": str(temporary)}
        with Child(command, cwd, own) as child:
            out, err = child.process.communicate()
            return subprocess.CompletedProcess(command, child.process.returncode, out, err)


_of_thread = threading.local()


def _groups() -> tuple[set[Child], ...]:
    """Of the children of this thread: of its pool, and of those in whose threads that was made."""
    return getattr(_of_thread, "groups", ())


@contextlib.contextmanager
def pool(threads: int) -> Generator[ThreadPoolExecutor]:
    """Threads that run programs. An exception in the block, Ctrl-C too, ends these programs.

    For who would wait for the threads' results, which nobody wants any more?
    """
    mine: set[Child] = set()

    def adopt() -> None:
        _of_thread.groups = inherited

    inherited = (*_groups(), mine)
    executor = ThreadPoolExecutor(threads, initializer=adopt)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        waiting = threading.Thread(target=executor.shutdown)
        waiting.start()
        while waiting.is_alive():
            for child in list(mine):  # again: one may have been started just now
                child.end()
            waiting.join(0.02)
        raise
    executor.shutdown()
