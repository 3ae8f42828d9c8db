"""Runs a program, and ends it with all that it has started as soon as its parent has ended.

`python leash.py HANDLE PROGRAM ARGUMENT...`, started as the leader of a process group by
`spikewright.golden.processes.children`. The handle is the reading end of a pipe whose other end
only the parent has: it is closed when the parent ends, however that happens, kill -9 included.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def follow(handle: int) -> None:
    """From now on, end this process and its group when the other end of the pipe is closed."""
    threading.Thread(target=_wait, args=(handle,), daemon=True).start()


def _wait(handle: int) -> None:
    os.read(handle, 1)
    os.killpg(0, signal.SIGKILL)


def main(handle: int, command: list[str]) -> int:
    """Run the command; returns its exit code, 128 and the number of the signal that ended it."""
    follow(handle)
    try:
        code = subprocess.call(command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
