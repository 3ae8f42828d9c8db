"""Keeps freed memory in the process, since every training step allocates the same tensors again.

By default glibc's malloc returns each block above 128 KiB to the system when it is freed, and maps
it again, page by page and zeroed, at the next step: up to half of a convolutional network's
training time.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3), from glibc's <malloc.h>
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Stops malloc from returning freed memory to the system; False where mallopt is missing.

    From then on the process holds its peak memory until it ends. Results do not change.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST // 2) and mallopt(_TRIM_THRESHOLD, _LARGEST))
