"""A process of `training_speed` that holds networks in training and takes steps of one on request.

Ours and the peers run in processes of their own, since the malloc settings of our training
(`model.runtime.memory`) hold for a whole process, and users of the peers do not have them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch
from training_peers import Case, Contestant, Spikewright, snntorch, spikingjelly

from spikewright.model.runtime.memory import keep_freed_memory

OURS, SPARSE, SNNTORCH, SPIKINGJELLY = "ours", "ours, 10 %", "snnTorch", "SpikingJelly"


@dataclass(frozen=True)
class Program:
    """What trains: one of the names above, and for a peer whether its first layer runs once."""

    name: str
    once: bool = False

    def start(self, case: Case, batch_norm: bool, seed: int) -> Contestant:
        """Fresh weights, and a batch in memory."""
        if self.name == OURS:
            return Spikewright(case, batch_norm, seed)
        if self.name == SPARSE:
            return Spikewright(case, batch_norm, seed, density=0.1)
        peer = snntorch if self.name == SNNTORCH else spikingjelly
        return peer(case, batch_norm, self.once, seed)


@dataclass(frozen=True)
class Lap:
    """Seconds of CPU time and on the clock for some steps, and the last loss."""

    cpu: float
    wall: float
    loss: float


def lap(program: Contestant, steps: int) -> Lap:
    """Take so many steps."""
    loss = float("nan")
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        loss = program.step()
    return Lap(time.process_time() - cpu, time.perf_counter() - wall, loss)


def use_one_core() -> None:
    """Hold this process, threads of compiled code included, on one core where the system can."""
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def serve(pipe: Any, keep: bool) -> None:
    """Answer questions: (program, case, batch_norm, seed), (program, steps)."""
    use_one_core()
    if keep:
        keep_freed_memory()
    running: dict[Program, Contestant] = {}
    for program, *rest in questions(pipe):
        if len(rest) == 1:
            pipe.send(lap(running[program], *rest))
        else:
            running[program] = program.start(*rest)
            lap(running[program], 2)  # compiles, allocates
            pipe.send(None)


def questions(pipe: Any) -> Iterator[Any]:
    """What is asked, until it is None or nobody is there to ask."""
    try:
        while (question := pipe.recv()) is not None:
            yield question
    except EOFError:
        return


class Worker:
    """Our end of such a process; `keep` keeps freed memory, as our training does."""

    def __init__(self, keep: bool) -> None:
        context = get_context("spawn")
        self.pipe, end = context.Pipe()
        context.Process(target=serve, args=(end, keep), daemon=True).start()
        end.close()  # so that we notice if the process ends

    def start(self, program: Program, case: Case, batch_norm: bool, seed: int) -> None:
        """Prepares a program, and drops the one before."""
        self.pipe.send((program, case, batch_norm, seed))
        self.pipe.recv()

    def lap(self, program: Program, steps: int) -> Lap:
        """Take so many steps."""
        self.pipe.send((program, steps))
        return self.pipe.recv()
