"""Runs compiled loops on a fixed number of slices of a batch, on as many threads as torch uses.

Each slice has its own sums, which callers add in the order of slices: results do not depend on the
number of threads. The loops release the interpreter's lock, so that the threads run in parallel.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

SLICES = 4

_pool: ThreadPoolExecutor | None = None


def for_each_slice(batch: int, work: Callable[[int, int, int], None]) -> None:
    """Calls work(index, start, stop) for `SLICES` slices of `batch` rows, except empty ones."""
    global _pool
    edges = [batch * index // SLICES for index in range(SLICES + 1)]
    jobs = [
        (index, edges[index], edges[index + 1])
        for index in range(SLICES)
        if edges[index] < edges[index + 1]
    ]
    if torch.get_num_threads() == 1 or len(jobs) == 1:
        for job in jobs:
            work(*job)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(SLICES, thread_name_prefix="slices")
    for future in [_pool.submit(work, *job) for job in jobs]:
        future.result()
