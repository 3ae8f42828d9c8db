"""A command in several processes that torchrun started: the first one leads, the others follow.

Only the first looks at what was done before, writes files and prints. Torch is imported only where
there are others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spikewright.model.runtime import torchrun

Decision = Callable[[bool], bool]


def leads() -> bool:
    """Whether this process is the first, or alone."""
    return torchrun.rank() == 0


def alone() -> bool:
    """Whether there are no others."""
    return torchrun.world_size() == 1


@contextmanager
def joined(device: str) -> Iterator[Decision]:
    """The processes, connected; yields a function that returns to all what the first gives it.

    Raises
    ------
    BadInput
        If the device is not there.
    """
    if alone():
        yield lambda choice: choice
        return
    from spikewright.model.runtime import distributed
    from spikewright.model.runtime.device import select_device

    with distributed.process_group(select_device(device, torchrun.local_rank())):
        yield distributed.broadcast
