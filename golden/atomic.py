"""Writing that is whole or absent: under a temporary name in the same folder, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from spikewright.golden.errors import BadInput
from spikewright.golden.leftovers import part_of, remove

_LITTLE = 1 << 16  # bytes


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; on any failure `path` is unchanged or complete.

    A symbolic link to a file is followed.

    Raises
    ------
    BadInput
        If the folder does not exist or cannot be written to, or `path` is there and no file.
    """
    require_writable(path)
    with one_line(path):
        target = Path(os.path.realpath(path))
        part = part_of(target)
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        finally:
            remove(part)


@contextlib.contextmanager
def made(folder: Path) -> Generator[None]:
    """`folder`, made with its parents if they are missing; what is empty afterwards goes again.

    So whoever is refused before anything was written leaves no trace.

    Raises
    ------
    BadInput
        If it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise BadInput(f"{folder}: {_why_not_made(folder, error)}") from None
        yield
    finally:
        for place in missing:
            with contextlib.suppress(OSError):
                place.rmdir()


def _why_not_made(folder: Path, error: Exception) -> str:
    if folder.is_file():
        return "is a file, must be a folder"
    reason = getattr(error, "strerror", None) or str(error)
    return f"cannot be made ({reason}); name a folder of your own"


def require_writable(path: str | Path) -> None:
    """Raise `BadInput` if something is at `path` that is no file: it is never replaced."""
    with one_line(path):
        target = Path(os.path.realpath(path))
        if target.is_file():
            return
        if target.is_dir():
            kind = "a folder"
        elif target.exists():
            kind = "a device or a pipe"
        elif os.path.islink(path):
            kind = "a link to nothing"
        else:
            return
    raise BadInput(f"cannot write {str(path)!r}: it is {kind}; name a regular file, or a new one")


def require_space(folder: Path) -> None:
    """Raise `BadInput` if the disk is full: then a tool's failure is no fault of its input."""
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < _LITTLE:
        raise BadInput(f"cannot write {str(folder)!r}: its disk is full; make room there")


@contextlib.contextmanager
def one_line(path: str | Path) -> Generator[None]:
    """Make an `OSError` of the block a `BadInput`: in one line, why `path` cannot be written."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        culprit = Path(error.filename).name if isinstance(error, OSError) and error.filename else ""
        raise BadInput(
            f"cannot write {str(path)!r}: {reason}{f' ({culprit})' if culprit else ''}; "
            "name a place that can be written"
        ) from None
