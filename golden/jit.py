"""How golden's loops become machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def jit(function: Callable[..., Any]) -> Any:
    """Compile at the first call; keep the code in `__pycache__`, or nowhere if all is read-only.

    One thread; the GIL is released, so that threads may share the work.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)
