"""Whether the files of a build are those that its manifest lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from spikewright.golden.errors import BadInput
from spikewright.golden.image.image_file import read_manifest


def check_files(folder: str | Path) -> None:
    """Compare every file in `rtl/` of a build folder with its hash in the manifest.

    Raises
    ------
    BadInput
        If one is missing, differs, or is not in the manifest: the first of them, what differs, and
        how many more there are.
    """
    folder = Path(folder)
    wrong = list(_differences(folder / "rtl", _listed(folder)))
    if wrong:
        more = f"; {len(wrong) - 1} more files differ" if wrong[1:] else ""
        raise BadInput(f"{wrong[0]}{more}; build again")


def _listed(folder: Path) -> Mapping[str, str]:
    """SHA-256 by name."""
    return read_manifest(folder, {"files": {str: str}})["files"]


def _differences(rtl: Path, listed: Mapping[str, str]) -> list[str]:
    """A line for each file that is not as listed, by name."""
    there = {path.relative_to(rtl).as_posix(): path for path in rtl.rglob("*") if path.is_file()}
    lines: list[str] = []
    for name in sorted({*listed, *there}):
        due, path = listed.get(name), there.get(name)
        if path is None:
            lines.append(f"{rtl / name}: not found, but manifest.json lists it")
        elif due is None:
            lines.append(f"{path}: is no file of this build, as manifest.json does not list it")
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) != due:
            lines.append(
                f"{path}: differs from the hash in manifest.json: its SHA-256 is {found[:16]}..., "
                f"must be {due[:16]}..."
            )
    return lines
