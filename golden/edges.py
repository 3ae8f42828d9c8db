"""The edges of an integer network: `Linear`, `Conv2d`, `SumPool2d`, or a pool before weights.

An `Edge` carries the spikes of one node to another through one or two operations. Sum pooling adds
the events of a window (an average whose area has moved into the next threshold); a window that
does not fit whole is dropped, as in PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.errors import BadInput, require
from golden.nodes import Shape, frozen

MIN_WEIGHT_BITS = 2
MAX_WEIGHT_BITS = 8

Weights = NDArray[np.integer[Any]]
"""Integers of any width; an operation keeps a frozen int8 copy."""


def _check_weight(where: str, weight: object, bits: int, ndim: int) -> Weights:
    require(MIN_WEIGHT_BITS <= bits <= MAX_WEIGHT_BITS, where, "weight_bits", bits,
            f"{MIN_WEIGHT_BITS}..{MAX_WEIGHT_BITS}")  # fmt: skip
    array = frozen(weight, np.int8, where, "weight")
    require(array.ndim == ndim and array.size > 0, where, "weight shape", array.shape,
            f"{ndim} axes, none empty")  # fmt: skip
    top = 2 ** (bits - 1)
    for bad in array[(array < -top) | (array > top - 1)][:1]:
        require(False, where, "weight", int(bad), f"{-top}..{top - 1} ({bits} bits)")
    return array


@dataclass(frozen=True, eq=False)
class Linear:
    """Every source neuron to every target neuron. `weight` is int8 (out, in).

    The source is flattened in C order; the target has shape (N,).
    """

    weight: Weights
    weight_bits: int

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "weight", _check_weight("Linear", self.weight, self.weight_bits, 2)
        )

    def output_shape(self, shape: Shape) -> Shape:
        """The shape behind this operation for a source of `shape`."""
        need = int(np.prod(shape))
        require(
            self.weight.shape[1] == need,
            "Linear",
            "weight shape",
            self.weight.shape,
            f"(out, {need})",
        )
        return (self.weight.shape[0],)


@dataclass(frozen=True, eq=False)
class Conv2d:
    """A correlation as in PyTorch, stride 1. `weight` is int8 (out, in, kernel_y, kernel_x).

    `padding` is (rows, columns) of zeros added on both sides.
    """

    weight: Weights
    weight_bits: int
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "weight", _check_weight("Conv2d", self.weight, self.weight_bits, 4)
        )
        padding = tuple(int(p) for p in self.padding)
        object.__setattr__(self, "padding", padding)
        require(
            len(padding) == 2 and min(padding) >= 0,
            "Conv2d",
            "padding",
            padding,
            "two numbers >= 0",
        )
        kernel = self.weight.shape[2:]
        fits = padding[0] < kernel[0] and padding[1] < kernel[1]
        require(fits, "Conv2d", "padding", padding, f"smaller than the kernel {kernel}")
        require(max(kernel) <= 16, "Conv2d", "kernel", kernel, "at most 16 x 16")

    def output_shape(self, shape: Shape) -> Shape:
        """The shape behind this operation for a source of `shape`."""
        require(len(shape) == 3, "Conv2d", "source shape", shape, "(C, H, W)")
        out, channels, ky, kx = self.weight.shape
        require(
            channels == shape[0],
            "Conv2d",
            "weight shape",
            self.weight.shape,
            f"(out, {shape[0]}, ky, kx)",
        )
        height = shape[1] + 2 * self.padding[0] - ky + 1
        width = shape[2] + 2 * self.padding[1] - kx + 1
        require(
            height >= 1 and width >= 1,
            "Conv2d",
            "kernel",
            (ky, kx),
            f"no larger than the padded {shape}",
        )
        return (out, height, width)


@dataclass(frozen=True, eq=False)
class SumPool2d:
    """The sum over windows of `kernel_size` = (rows, columns) that do not overlap."""

    kernel_size: tuple[int, int]

    def __post_init__(self) -> None:
        size = tuple(int(k) for k in self.kernel_size)
        object.__setattr__(self, "kernel_size", size)
        require(
            len(size) == 2 and all(1 <= k <= 16 for k in size),
            "SumPool2d",
            "kernel_size",
            size,
            "1..16 each",
        )

    def output_shape(self, shape: Shape) -> Shape:
        """The shape behind this operation for a source of `shape`."""
        require(len(shape) == 3, "SumPool2d", "source shape", shape, "(C, H, W)")
        pooled = (shape[0], shape[1] // self.kernel_size[0], shape[2] // self.kernel_size[1])
        require(
            min(pooled) >= 1,
            "SumPool2d",
            "kernel_size",
            self.kernel_size,
            f"no larger than {shape[1:]}",
        )
        return pooled


Operation = Linear | Conv2d | SumPool2d


@dataclass(frozen=True, eq=False)
class Edge:
    """From node `source` to node `target` through `operations`.

    Allowed: (Linear,), (Conv2d,), (SumPool2d,), (SumPool2d, Linear), (SumPool2d, Conv2d).
    """

    source: str
    target: str
    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        kinds = tuple(type(operation).__name__ for operation in self.operations)
        weighted = kinds[-1:] in (("Linear",), ("Conv2d",))
        allowed = kinds == ("SumPool2d",) or (weighted and kinds[:-1] in ((), ("SumPool2d",)))
        if not allowed:
            raise BadInput(
                f"{self.where}: operations are {kinds}, must be Linear, Conv2d or SumPool2d, "
                "or a SumPool2d followed by Linear or Conv2d"
            )

    @property
    def where(self) -> str:
        """How messages name this edge."""
        return f"edge {self.source!r} -> {self.target!r}"

    @property
    def pool(self) -> SumPool2d | None:
        """The leading pool, if there is one."""
        first = self.operations[0]
        return first if isinstance(first, SumPool2d) else None

    @property
    def synapse(self) -> Linear | Conv2d | None:
        """The operation that holds weights; None for a bare pool, whose weights are all 1."""
        last = self.operations[-1]
        return None if isinstance(last, SumPool2d) else last

    def output_shape(self, shape: Shape) -> Shape:
        """The shape at the target for a source of `shape`."""
        for operation in self.operations:
            try:
                shape = operation.output_shape(shape)
            except BadInput as error:
                raise BadInput(f"{self.where}: {error}") from None
        return shape
