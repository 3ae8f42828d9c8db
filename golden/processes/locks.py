"""Locks between processes: one writes a folder, others are told who does, or wait for it.

A lock is `flock` on a file in the folder, so it ends with its process, however that ends. The file
holds the process number and the time, for the one line that others get; it is removed with the
lock. Where the file system knows no such locks, there are none.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from spikewright.golden.atomic import made, one_line
from spikewright.golden.errors import BadInput
from spikewright.golden.leftovers import sweep
from spikewright.golden.swap import finish, unfinished

NAME = ".spikewright.lock"
_ALONE = "spikewright.alone"
READERS_S = 30.0
"""How long whoever wants to write waits for readers, who need a moment each."""
_NONE_HERE = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@dataclass
class _Held:
    """What this process writes: nested blocks share one lock, and the last to leave gives it up."""

    lock: contextlib.ExitStack
    blocks: int = 1


_writing: dict[str, _Held] = {}
_guard = threading.Lock()


@contextlib.contextmanager
def writing(folder: Path) -> Generator[None]:
    """No other process writes or reads `folder` during the block; it is made if it is missing.

    What a killed process left in it is completed or removed first. Blocks of one process may nest.

    Raises
    ------
    BadInput
        If another process is at it, or it cannot be written.
    """
    key = os.path.realpath(folder)
    with _guard:
        if key in _writing:
            _writing[key].blocks += 1
        else:
            _writing[key] = _Held(_write_lock(folder))
    try:
        yield
    finally:
        with _guard:
            held = _writing[key]
            held.blocks -= 1
            if not held.blocks:
                del _writing[key]
                held.lock.close()


def _write_lock(folder: Path) -> contextlib.ExitStack:
    """What to close for giving up the lock."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(made(folder))
        with one_line(folder):
            handle = _take(folder)
        stack.callback(_give_up, folder / NAME, handle)
        with one_line(folder):
            os.pwrite(handle, f"{os.getpid()} {time.strftime('%H:%M:%S')}\n".encode(), 0)
        finish(folder)
        sweep(folder, deep=True)
        _sweep_locks(folder)
        return stack.pop_all()


def _sweep_locks(folder: Path) -> None:
    """Remove the files of `alone` that nobody holds, in all folders below."""
    for path in list(folder.rglob(f".*.{_ALONE}")):
        with contextlib.suppress(OSError):
            if (handle := _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)) is not None:
                _give_up(path, handle)


def _take(folder: Path) -> int:
    """A handle of the lock file, exclusively locked and empty."""
    end = time.monotonic() + READERS_S
    while (handle := _locked(folder / NAME, fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:
        with contextlib.suppress(FileNotFoundError):
            if (writer := (folder / NAME).read_text()) or time.monotonic() > end:
                raise _in_use(folder, writer)
        time.sleep(0.02)
    os.truncate(handle, 0)
    return handle


@contextlib.contextmanager
def reading(folder: Path) -> Generator[None]:
    """No other process writes `folder` during the block, which should be short.

    A folder that we may not write is read all the same.

    Raises
    ------
    BadInput
        If another process writes it.
    """
    if os.path.realpath(folder) in _writing or not folder.is_dir():
        yield
        return
    if unfinished(folder):
        with writing(folder):
            pass
    try:
        handle = _locked(folder / NAME, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except PermissionError:
        handle = -1
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.ENOSPC, errno.EDQUOT):
            raise
        handle = -1
    if handle is None:
        raise _in_use(folder, (folder / NAME).read_text())
    if handle >= 0:
        os.truncate(handle, 0)  # of a writer that was killed
    try:
        yield
    finally:
        if handle >= 0:
            _give_up(folder / NAME, handle)


@contextlib.contextmanager
def alone(target: Path) -> Generator[None]:
    """Wait until no other process or thread is in such a block for `target`, to make it.

    Its folder must be there, and ours to write.
    """
    path = target.with_name(f".{target.name}.{_ALONE}")
    handle = _locked(path, fcntl.LOCK_EX)
    assert handle is not None  # it waits
    try:
        yield
    finally:
        _give_up(path, handle)


def _locked(path: Path, kind: int) -> int | None:
    """A handle of the file, made if it is missing, after locking it; None if others forbid that."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, kind)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            if error.errno not in _NONE_HERE:
                os.close(handle)
                raise
        except BaseException:  # Ctrl-C while it waits
            os.close(handle)
            raise
        if _is(path, handle):
            return handle
        os.close(handle)  # whoever had it has removed the file


def _give_up(path: Path, handle: int) -> None:
    """Remove the file, if no other reader needs it, and the lock with it."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(path, handle):
            path.unlink()
    os.close(handle)


def _is(path: Path, handle: int) -> bool:
    """Whether the open file is still the one of this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _in_use(folder: Path, record: str) -> BadInput:
    process, _, since = record.strip().partition(" ")
    who = f"process {process} since {since}" if since else "another process"
    return BadInput(f"{folder}: in use by {who}; wait for it or stop it")
