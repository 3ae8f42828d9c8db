"""Data-parallel training over torch.distributed: each process gets its shard of every batch.

torchrun starts the processes. They hold equal replicas of parameters, masks and optimiser state
and apply the same updates, so only three things are communicated, all of them by all-reduce: batch
norm statistics, gradients with the loss, and at the end of every epoch a checksum that proves the
replicas equal. Gloo and NCCL return the same bytes of a sum to every process.

In a process that runs alone, every function here is the identity.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from spikewright.golden.errors import CheckFailed, require
from spikewright.model.runtime import torchrun
from spikewright.model.runtime.device import to_numpy

_groups = itertools.count()


@cache
def _store() -> Store:
    """Where the processes that torchrun started find each other, for as long as they live."""
    store, _, _ = next(iter(rendezvous("env://")))
    return store


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Connects the processes that torchrun started: Gloo, and NCCL too if they train on GPUs.

    Does nothing without torchrun, or where the group exists already.
    """
    if torchrun.world_size() == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # The store outlives a group and keeps the addresses in it: each group has its own names.
    store = PrefixStore(f"group{next(_groups)}", _store())
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=store, rank=torchrun.rank(), world_size=torchrun.world_size(),
    )  # fmt: skip
    try:
        yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """The number of processes in the group; 1 without a group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The rank of this process, from 0; rank 0 writes files and shows progress."""
    return dist.get_rank() if world_size() > 1 else 0


def shard(count: int) -> slice:
    """The indices of `count` items that belong to this process: contiguous, in order of ranks.

    >>> shard(12)
    slice(0, 12, None)
    """
    return slice(count * rank() // world_size(), count * (rank() + 1) // world_size())


def check_batch_size(where: str, size: int) -> None:
    """Checks that shards of a batch of `size` images are equally large.

    Raises
    ------
    BadInput
        If `size` is no multiple of the number of processes.
    """
    count = world_size()
    require(size % count == 0, where, "the size of a batch", size,
            f"a multiple of {count}, the number of processes")  # fmt: skip


def all_reduce(tensor: Tensor) -> Tensor:
    """Replaces the content of `tensor` by its sum over all processes, and returns it.

    Raises
    ------
    CheckFailed
        If another process has ended.
    """
    if world_size() == 1:
        return tensor
    try:
        dist.all_reduce(tensor)
    except RuntimeError as error:
        raise CheckFailed(
            f"training: process {rank()} of {world_size()} lost another one; "
            "the same command resumes after the last finished epoch"
        ) from error
    return tensor


def _all_gather(tensor: Tensor) -> Tensor:
    """`tensor` of every process, (processes, *shape): a sum with zeros, which is exact."""
    slots = tensor.new_zeros((world_size(), *tensor.shape))
    slots[rank()] = tensor
    return all_reduce(slots)


def broadcast(choice: bool) -> bool:
    """The `choice` of rank 0, in every process."""
    return bool(all_reduce(torch.tensor(int(choice and rank() == 0))))


def barrier() -> None:
    """Blocks until every process has come here."""
    broadcast(True)


class _AllGather(torch.autograd.Function):
    """`_all_gather` with a gradient: every loss depends on our slot, so their gradients add up."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _all_gather(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return all_reduce(grads[0].clone(memory_format=torch.contiguous_format))[rank()]


def sync_statistics(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Batch norm statistics over the whole batch, from those of equally large shards.

    `mean` and `var` (C,) are those of this process's shard; the results have their shape.
    Differentiable.
    """
    means, variances = _AllGather.apply(torch.stack([mean, var])).unbind(dim=1)
    whole = means.mean(dim=0)
    return whole, (variances + (means - whole).square()).mean(dim=0)


def average_gradients(parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
    """Replaces each gradient by its mean over all processes; returns the mean of `loss` ()."""
    if world_size() == 1:
        return loss
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([values.reshape(-1) for values in (loss, *grads)])
    mean_loss, *means = (all_reduce(flat) / world_size()).split([1, *(g.numel() for g in grads)])
    for grad, mean in zip(grads, means, strict=True):
        grad.copy_(mean.view_as(grad))
    return mean_loss[0]


def require_equal_replicas(state: Mapping[str, Tensor], when: str) -> None:
    """Checks that `state` has the same bytes in every process.

    `when` starts the message: "after epoch 3 of 'student'".

    Raises
    ------
    CheckFailed
        In all processes, naming those whose state differs from that of rank 0.
    """
    if world_size() == 1:
        return
    checksum = 0
    for name, tensor in state.items():
        checksum = zlib.crc32(to_numpy(tensor).tobytes(), zlib.crc32(name.encode(), checksum))
    checksums = _all_gather(torch.tensor(checksum)).tolist()
    others = [other for other, value in enumerate(checksums) if value != checksums[0]]
    if others:
        raise CheckFailed(
            f"training: {when}, process {', '.join(map(str, others))} of {len(checksums)} holds "
            "other parameters or masks than process 0; all must be equal"
        )
