"""Atomic file writes: a temporary file in the same folder, then a rename."""

from __future__ import annotations

import os
from pathlib import Path

from spikewright.golden.errors import BadInput


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; on any failure `path` is unchanged or complete.

    Raises
    ------
    BadInput
        If the folder does not exist or cannot be written to, or `path` is a folder.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(
            f"cannot write {str(path)!r}: {reason}; name a file in a folder that can be written"
        ) from None
