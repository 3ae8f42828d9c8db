"""Temporary files and folders that carry the number of their process, so that others clear up.

A process that is killed cannot remove what it was writing. The next one that writes at the same
place does, if no process of that number lives.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

_PART = re.compile(r"\..+\.(\d+)-\d+\.part")
_SCRATCH = re.compile(r"spikewright-(\d+)-\w+")
_LONGEST = 200  # bytes of a name that leave room for the rest within the usual 255
_SHORT = 60  # bytes of a folder that leave room for the rest within the 100 of a socket's path
_numbers = itertools.count()


def part_of(target: Path) -> Path:
    """A temporary path beside `target`, another one at every call.

    >>> import re
    >>> re.sub("[0-9]+", "N", part_of(Path("build/top.v")).as_posix())
    'build/.top.v.N-N.part'
    """
    name = os.fsencode(target.name)
    short = target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()
    return target.with_name(f".{short}.{os.getpid()}-{next(_numbers)}.part")


def sweep(folder: Path, deep: bool = False) -> None:
    """Remove the parts of dead processes in a folder; `deep`: in all folders below it too.

    What cannot be removed stays: it is in nobody's way.
    """
    found = folder.rglob(".*.part") if deep else folder.glob(".*.part")
    for path in list(found):
        if _dead(_PART.fullmatch(path.name)):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there and can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


@contextlib.contextmanager
def scratch(short: bool = False) -> Generator[Path]:
    """A folder among the system's temporary ones, for as long as the block runs.

    `short`: of less than 100 bytes, for a socket, wherever `TMPDIR` is.
    """
    place = Path(tempfile.gettempdir())
    if short and len(os.fsencode(place)) > _SHORT:
        place = Path("/tmp")
    for path in place.glob("spikewright-*"):
        if _dead(_SCRATCH.fullmatch(path.name)):
            remove(path)
    with tempfile.TemporaryDirectory(prefix=f"spikewright-{os.getpid()}-", dir=place) as name:
        yield Path(name)


def _dead(found: re.Match[str] | None) -> bool:
    """Whether a name has the number of a process, and none of that number lives."""
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False  # it is another user's
    return False
