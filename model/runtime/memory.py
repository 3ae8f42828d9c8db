"""Keep freed memory: every training step allocates the same large tensors again.

By default the C library returns each block above 128 KiB to the system and gets it back, page by
page and zeroed, at the next step: up to half of a convolutional network's training time.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of mallopt(3), in <malloc.h> of glibc
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library not to return freed memory; False where it knows no such thing.

    What a process has used at most it then holds until it ends. Values do not depend on it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST // 2) and mallopt(_TRIM_THRESHOLD, _LARGEST))
