"""A device that is not the CPU, for machines that have no other: its tensors hold their values.

`Far` tensors say that they are on the device "meta". Like those of a GPU they refuse `numpy()`, and
operations with tensors of the CPU (but for numbers without dimensions, indices and copies).
Operations are computed on the CPU: what they give is what the CPU gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
MEETINGS = ("aten::copy_", "aten::_to_copy", "aten::index", "aten::index_put_")


class Far(Tensor):
    """A tensor of the far device; `near` holds its values."""

    near: Tensor
    is_meta = False  # or modules would think that there is nothing to load a state into

    @staticmethod
    def __new__(cls, near: Tensor) -> Far:
        found = Tensor._make_wrapper_subclass(
            cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(),
            dtype=near.dtype, device=DEVICE,
        )  # fmt: skip
        found.near = near
        return found

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func, args, kwargs) -> Any:
    """The result of an operation, far if its operands are, or if it is asked for there."""
    flat, _ = tree_flatten((args, kwargs))
    far = [x for x in flat if isinstance(x, Far)]
    near = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, Far) and x.ndim]
    if far and near and func._schema.name not in MEETINGS:
        raise RuntimeError(f"{func}: tensors on two devices")
    wanted = kwargs.get("device")
    there = bool(far) if wanted is None else torch.device(wanted) == DEVICE
    if func._schema.name == "aten::copy_":
        there = isinstance(args[0], Far)
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    inside = {id(x.near): x for x in far}

    def wrapped(x: Any) -> Any:
        if not isinstance(x, Tensor) or isinstance(x, Far):
            return x
        if id(x) in inside:  # an operation in place
            return inside[id(x)]
        return Far(x) if there else x

    args, kwargs = tree_map(lambda x: x.near if isinstance(x, Far) else x, (args, kwargs))
    return tree_map(wrapped, func(*args, **kwargs))


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        return computed(func, args, kwargs or {})


class _Tensors(TorchFunctionMode):
    """`torch.tensor` on "meta" leaves out the values, unseen by the mode above."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") == DEVICE:
            return torch.tensor(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)
        return func(*args, **kwargs)


@contextmanager
def far_device() -> Iterator[torch.device]:
    """Within it, what is asked for on the device that it yields holds values."""
    with _Operations(), _Tensors():
        yield DEVICE
