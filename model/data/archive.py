"""The files of a data set: unpacked in a folder, or in an archive as it was downloaded."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from spikewright.golden.errors import BadInput

ENDS = ("", ".zip", ".tar.gz")
"""What follows the name of a folder that may still be packed."""


def members(name: str, path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of the files of data set `name` in a folder or an archive.

    Parameters
    ----------
    wanted
        Of a path below `path`, with slashes: whether the file is to be read.

    Raises
    ------
    BadInput
        If an archive is damaged; its own checksums are checked.
    """
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            below = file.relative_to(path).as_posix()
            if wanted(below) and file.is_file():
                yield below, file.read_bytes()
        return
    read, kind = (_zip, ".zip") if path.suffix == ".zip" else (_tar, ".tar.gz")
    try:
        yield from read(path, wanted)
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise BadInput(
            f"data {name!r}: {path} is damaged ({error}), must be a whole {kind} archive"
        ) from None


def _tar(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    # decompressed completely first: that checks the archive's checksum
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() and wanted(member.name) else None
            if file is not None:
                yield member.name, file.read()


def _zip(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and wanted(member.filename):
                yield member.filename, archive.read(member)
