"""The environment variables that torchrun sets for each process it starts. Needs no torch.

All of them must be set: a batch system's WORLD_SIZE alone does not make a process group.
"""

from __future__ import annotations

import os

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def world_size() -> int:
    """The number of processes that torchrun started; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _NEEDED) else 1


def rank() -> int:
    """The rank of this process among all, from 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


def local_rank() -> int | None:
    """The rank of this process on its machine, from 0; None without torchrun."""
    return int(os.environ.get("LOCAL_RANK", rank())) if world_size() > 1 else None
