"""Files that are either whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import os
from pathlib import Path

from spikewright.golden.errors import BadInput


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; whatever goes wrong, `path` is as before or complete.

    Raises
    ------
    BadInput
        If the folder does not exist or cannot be written to, or `path` is a folder.
    """
    place = Path(path)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(
            f"cannot write {str(path)!r}: {reason}; name a file in a folder that can be written"
        ) from None
