"""Several files of a folder replaced at once, so that they always belong to each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spikewright.golden.atomic import one_line, require_writable
from spikewright.golden.leftovers import part_of, remove, sweep

_DECIDED = ".spikewright.decided"


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace several files of a folder, all of them or none.

    They are written whole under a temporary name first; one rename decides. If the process is
    killed after that, `finish` moves them to their places.

    Parameters
    ----------
    files
        By name in `folder`. The files of a folder, as "rtl/top.v", replace that folder with all
        that it held.

    Raises
    ------
    BadInput
        If the folder cannot be written to, or something is in the place of a file and is none.
        The folder is as before then.
    """
    tops = {name.partition("/")[0] for name in files}
    for name in files.keys() & tops:
        require_writable(folder / name)
    finish(folder)
    part = part_of(folder / _DECIDED)
    with one_line(folder):
        try:
            part.mkdir()
            for name, data in files.items():
                (part / name).parent.mkdir(exist_ok=True)
                (part / name).write_bytes(data)
            part.replace(folder / _DECIDED)
        finally:
            remove(part)
    finish(folder)


def unfinished(folder: Path) -> bool:
    """Whether a process was killed while it moved new files to their places."""
    return (folder / _DECIDED).is_dir()


def finish(folder: Path) -> None:
    """Move to their places what `write_together` has decided on.

    Raises
    ------
    BadInput
        If the folder cannot be written to.
    """
    decided = folder / _DECIDED
    if not decided.is_dir():
        return
    with one_line(folder):
        for new in sorted(decided.iterdir()):
            place = folder / new.name
            if place.is_dir() and not place.is_symlink():  # no rename replaces a full folder
                old = part_of(place)
                place.replace(old)
                new.replace(place)
                remove(old)
            else:
                new.replace(place)
        decided.rmdir()
    sweep(folder)
