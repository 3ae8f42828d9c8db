"""Several processes train one network, each on its slice of every batch; torchrun starts them.

They hold the same parameters, masks and optimiser, and do the same with them, so that nothing but
three things crosses between them, all as sums: the statistics of batch norm, gradients with the
loss, and at the end of every epoch a checksum that proves that they are still equal. Gloo and NCCL
give every process the same bytes of a sum.

A process that runs alone finds everything here to be the identity.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from spikewright.golden.errors import CheckFailed, require
from spikewright.model.runtime import torchrun
from spikewright.model.runtime.device import host


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """The processes that torchrun started, connected. Without torchrun, or if they are: nothing."""
    if torchrun.processes() == 1 or dist.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def processes() -> int:
    """How many train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0; the first writes files and shows progress."""
    return dist.get_rank() if processes() > 1 else 0


def share(count: int) -> slice:
    """Which of `count` things in a row are this process's.

    >>> share(12)
    slice(0, 12, None)
    """
    return slice(count * rank() // processes(), count * (rank() + 1) // processes())


def check_batch(where: str, size: int) -> None:
    """Raise `BadInput` unless every process gets as many images of a batch of `size`."""
    count = processes()
    require(size % count == 0, where, "the size of a batch", size,
            f"a multiple of {count}, the number of processes")  # fmt: skip


def summed(tensor: Tensor) -> Tensor:
    """`tensor` itself, holding the sum over all processes.

    Raises
    ------
    CheckFailed
        If another process has gone.
    """
    if processes() == 1:
        return tensor
    try:
        dist.all_reduce(tensor)
    except RuntimeError as error:
        raise CheckFailed(
            f"training: process {rank()} of {processes()} lost another one; "
            "the same command goes on behind the last finished epoch"
        ) from error
    return tensor


def _gathered(tensor: Tensor) -> Tensor:
    """`tensor` of every process, (processes, *shape): a sum with zeros, which is exact."""
    slots = tensor.new_zeros((processes(), *tensor.shape))
    slots[rank()] = tensor
    return summed(slots)


def decided(choice: bool) -> bool:
    """What the first process has chosen, for all."""
    return bool(summed(torch.tensor(int(choice and rank() == 0))))


def wait() -> None:
    """Until all processes are here."""
    decided(True)


class _Gather(torch.autograd.Function):
    """`_gathered`. All losses depend on every slot: the gradient of ours is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _gathered(tensor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return summed(grads[0].clone(memory_format=torch.contiguous_format))[rank()]


def of_all(mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) over the slices of all processes, from those of this one's.

    Slices are equally large. Differentiable.
    """
    means, variances = _Gather.apply(torch.stack([mean, var])).unbind(dim=1)
    whole = means.mean(dim=0)
    return whole, (variances + (means - whole).square()).mean(dim=0)


def averaged(parameters: Iterable[nn.Parameter], loss: Tensor) -> Tensor:
    """Make each gradient the mean over all processes; returns that of `loss` ()."""
    if processes() == 1:
        return loss
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([part.reshape(-1) for part in (loss, *grads)])
    whole, *means = (summed(flat) / processes()).split([1, *(grad.numel() for grad in grads)])
    for grad, mean in zip(grads, means, strict=True):
        grad.copy_(mean.view_as(grad))
    return whole[0]


def require_equal(state: Mapping[str, Tensor], when: str) -> None:
    """Every process holds the same bytes.

    Raises
    ------
    CheckFailed
        In all of them, naming those that differ from the first.
    """
    if processes() == 1:
        return
    checksum = 0
    for name, tensor in state.items():
        checksum = zlib.crc32(host(tensor).tobytes(), zlib.crc32(name.encode(), checksum))
    sums = _gathered(torch.tensor(checksum)).tolist()
    others = [place for place, value in enumerate(sums) if value != sums[0]]
    if others:
        raise CheckFailed(
            f"training: {when}, process {', '.join(map(str, others))} of {len(sums)} holds other "
            "parameters or masks than process 0; all must be equal"
        )
