"""Compiled loops, cached so that several processes may compile and load them at once.

Numba caches compiled code by argument types, and invalidates it by the file of the entry function
alone. Where loops span several files, only the entry is cached, with everything it calls compiled
into it; and one of its arguments has a type that names the contents of all files (`source_field`).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numba
from numba.core.caching import IndexDataCacheFile


class _CacheFile(IndexDataCacheFile):
    """Numba's index and data files, each data file under a name that is never used again.

    Numba counts the data files of a function. Of two processes that compile it for different types
    at the same time, both take the next number, and the index that is left may call the code of one
    that of the other; of a process that is killed between index and data, the number may lead to
    code of an older source. Either is run without a check. With names of their own, what an index
    names is what it says, or not there and compiled again.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save compiled code; the first one of a new source removes what no index names now."""
        if not self._load_index():
            folder: str = self._cache_path
            name = self._index_name.removesuffix("nbi")
            for outdated in Path(folder).glob(f"{name}*.nbc"):
                outdated.unlink(missing_ok=True)
        cast(Any, super()).save(key, data)

    def _data_name(self, number: int) -> str:
        return f"{self._index_name.removesuffix('nbi')}{uuid.uuid4().hex}.nbc"


def entry(function: Callable[..., Any]) -> Any:
    """Compile at the first call; cache in `__pycache__`, or nowhere if no folder is writable.

    Releases the GIL, so that threads may share the work.
    """
    try:
        compiled: Any = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)
    cache = compiled._cache
    implementation = cache._impl
    cache._cache_file = _CacheFile(
        cache._cache_path, implementation.filename_base, implementation.locator.get_source_stamp()
    )
    return compiled


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
