"""What torchrun tells each process that it starts, in environment variables. Needs no torch.

Somebody else's WORLD_SIZE alone (of a batch system) starts nothing: all of them must be there.
"""

from __future__ import annotations

import os

_NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def processes() -> int:
    """How many processes were started together; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _NEEDED) else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ["RANK"]) if processes() > 1 else 0


def local_rank() -> int | None:
    """Which of those on this machine, from 0; None for a process that runs alone."""
    return int(os.environ.get("LOCAL_RANK", rank())) if processes() > 1 else None
