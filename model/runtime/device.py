"""Where tensors live: the device of a run, exact arithmetic on it, and the way back to NumPy.

What float32 must hold exactly are whole numbers below 2^24, their products with whole numbers
included (`model.layers.neuron` sees to the limits). A GPU keeps that promise only if it is asked
to:

* no TF32, which rounds the factors of a product to 11 bits;
* no autocast, which would compute in 16 bits;
* deterministic kernels, so that the same run gives the same bytes again;
* no convolution by cuDNN where whole numbers are convolved: see `model.ops.convolution`.
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


def chosen(name: str, local_rank: int | None = None) -> torch.device:
    """The device of a run.

    Parameters
    ----------
    name
        "cpu", "cuda" (the first GPU), "cuda:N", or "auto": a GPU if there is one, else the CPU.
    local_rank
        Which of several processes on this machine asks: each takes the GPU of its number.

    Raises
    ------
    BadInput
        If there is no such device.
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
    """Full float32 and deterministic kernels on a GPU; nothing changes for other devices."""
    if device.type != "cuda":
        yield
        return
    # cuBLAS reads it when it is first used; other sizes of workspace may add in another order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    with cudnn, torch.autocast("cuda", enabled=False):
        yield


def host(tensor: Tensor) -> NDArray[Any]:
    """The values of a tensor of any device; of one on the CPU, the very memory."""
    return np.asarray(tensor.detach().cpu().numpy())


def on_host(state: Any) -> Any:
    """`state`, nested dictionaries and lists of tensors and plain values; tensors on the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        found = copy.copy(state)  # a network's state has attributes, too
        found.update((key, on_host(value)) for key, value in state.items())
        return found
    if isinstance(state, list | tuple):
        return type(state)(on_host(value) for value in state)
    return state
