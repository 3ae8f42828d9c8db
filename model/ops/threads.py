"""Work on a batch in a fixed number of parts, on as many threads as torch uses.

Sums of parts are added in the order of parts, so that results do not depend on the number of
threads. Compiled loops release the interpreter's lock, which makes threads worth their while.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

PARTS = 4

_pool: ThreadPoolExecutor | None = None


def in_parts(batch: int, work: Callable[[int, int, int], None]) -> None:
    """Call work(part, start, stop) for `PARTS` slices of the batch; empty ones are left out."""
    global _pool
    edges = [batch * part // PARTS for part in range(PARTS + 1)]
    jobs = [
        (part, edges[part], edges[part + 1])
        for part in range(PARTS)
        if edges[part] < edges[part + 1]
    ]
    if torch.get_num_threads() == 1 or len(jobs) == 1:
        for job in jobs:
            work(*job)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(PARTS, thread_name_prefix="parts")
    for done in [_pool.submit(work, *job) for job in jobs]:
        done.result()
