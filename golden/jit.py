"""Cached compilation of loops that span several files.

Numba caches compiled code by argument types, and invalidates it by the file of the entry function
alone. So only the entry is cached, with everything it calls compiled into it; and one of its
arguments has a type that names the contents of all files (`source_field`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def entry(function: Callable[..., Any]) -> Any:
    """Compile at the first call; cache in `__pycache__`, or nowhere if no folder is writable.

    Releases the GIL, so that threads may share the work.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)


def part(function: Callable[..., Any]) -> Any:
    """A function that allocates nothing, compiled into its callers without counting references.

    Counting costs more than the work of a small function with a dozen array arguments.
    """
    options: dict[str, Any] = {"nogil": True, "forceinline": True, "_nrt": False}
    return numba.njit(**options)(function)


def source_field(*files: str) -> tuple[str, str, tuple[int]]:
    """A field without bytes for a record type, named after the contents of `files`."""
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
    return (f"source_{digest[:16]}", "u1", (0,))
