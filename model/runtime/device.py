"""Selects the device of a run, makes its arithmetic exact, and copies tensors back to the CPU.

The forward pass holds integers below 2^24 in float32, products included (`model.layers.neuron`
checks the limits). On a GPU they stay exact only with

* no TF32, which rounds the factors of a product to 11 bits;
* no autocast, which would compute in 16 bits;
* deterministic kernels, so that the same run gives the same bytes again;
* no cuDNN convolution of integers: see `model.ops.convolution`.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.errors import BadInput, require

CPU = torch.device("cpu")


def select_device(name: str, local_rank: int | None = None) -> torch.device:
    """The device that a run trains on.

    Parameters
    ----------
    name
        "cpu", "cuda" (the first GPU), "cuda:N", or "auto": a GPU if there is one, else the CPU.
    local_rank
        The rank of this process on its machine, where torchrun started several: process N uses
        GPU N. None without torchrun.

    Raises
    ------
    BadInput
        If `name` is not one of these, or there is no such GPU.
    """
    match = re.fullmatch(r"cpu|auto|cuda(?::([0-9]{1,4}))?", name)
    if match is None:
        raise BadInput(f"training: device is {name!r}, must be cpu, cuda, cuda:N or auto")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return CPU
    require(count > 0, "training", "device", repr(name), "cpu or auto: torch finds no GPU here")
    if local_rank is not None:
        require(match[1] is None, "training", "device", repr(name),
                "'cuda' where several processes run: each takes a GPU of its own")  # fmt: skip
        require(local_rank < count, "training", "processes on this machine",
                f"{local_rank + 1} or more", f"at most {count}, one for each GPU")  # fmt: skip
    number = int(match[1] or local_rank or 0)
    require(number < count, "training", "device", repr(name), f"cuda:0 to cuda:{count - 1}")
    return torch.device("cuda", number)


@contextmanager
def exact_on(device: torch.device) -> Iterator[None]:
    """Full float32 and deterministic kernels on a GPU; changes nothing on other devices."""
    if device.type != "cuda":
        yield
        return
    # cuBLAS reads it at its first use; with other workspace sizes it may add in another order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    with cudnn, torch.autocast("cuda", enabled=False):
        yield


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """The values of a tensor on any device, without gradient; shares memory with a CPU tensor."""
    return np.asarray(tensor.detach().cpu().numpy())


def to_cpu(state: Any) -> Any:
    """`state` with all its tensors on the CPU, without gradients.

    `state` nests dictionaries, lists and tuples of tensors and plain values, as `state_dict` does.
    """
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        moved = copy.copy(state)  # keeps the `_metadata` attribute of a module's state_dict
        moved.update((key, to_cpu(value)) for key, value in state.items())
        return moved
    if isinstance(state, list | tuple):
        return type(state)(to_cpu(value) for value in state)
    return state
