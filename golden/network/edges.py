"""The edges of an integer network: a pool, weights, or a pool before weights.

An `Edge` carries the events of one node to another through one or two operations, in the same step
or one step later. Sum pooling adds the events of a window (an average whose area has moved into
the next threshold), max pooling sends one spike if any of the window's neurons has fired. A window
that does not fit whole, of a pool or of a convolution, is dropped, as in PyTorch.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import plain_numbers
from spikewright.golden.errors import BadInput, require
from spikewright.golden.network.nodes import Shape, frozen

MIN_WEIGHT_BITS = 2
MAX_WEIGHT_BITS = 8
MAX_STRIDE = 16

Weights = NDArray[np.integer[Any]]
"""Integers of any width; an operation keeps a frozen int8 copy."""


def _check_weight(
    where: str, weight: object, bits: int, ndim: int, field: str = "weight"
) -> Weights:
    require(MIN_WEIGHT_BITS <= bits <= MAX_WEIGHT_BITS, where, "weight_bits", bits,
            f"{MIN_WEIGHT_BITS}..{MAX_WEIGHT_BITS}")  # fmt: skip
    array = frozen(weight, np.int8, where, field)
    require(array.ndim == ndim and array.size > 0, where, f"{field} shape", array.shape,
            f"{ndim} axes, none empty")  # fmt: skip
    top = 2 ** (bits - 1)
    for bad in array[(array < -top) | (array > top - 1)][:1]:
        require(False, where, field, int(bad), f"{-top}..{top - 1} ({bits} bits)")
    return array


def _integers(
    kind: str, field: str, values: object, lengths: tuple[int, ...], want: str
) -> tuple[int, ...]:
    """A field of an operation as a tuple of integers, as many as `lengths` allows."""
    try:
        numbers = tuple(
            operator.index(cast(Any, value)) for value in cast(Iterable[object], values)
        )
    except TypeError:  # one number without a list, or a fraction
        numbers = ()
    require(len(numbers) in lengths, kind, field, values, want)
    return numbers


def _integer(value: object) -> int:
    """A number given as any integer type; -1, which no field allows, for anything else."""
    try:
        return operator.index(cast(Any, value))
    except TypeError:
        return -1


@dataclass(frozen=True, eq=False)
class Linear:
    """Every source neuron to every target neuron. `weight` is int8 (out, in).

    The source is flattened in C order; the target has shape (N,).
    """

    weight: Weights
    weight_bits: int

    def __post_init__(self) -> None:
        plain_numbers(self)
        object.__setattr__(
            self, "weight", _check_weight("Linear", self.weight, self.weight_bits, 2)
        )

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for a source of `shape`."""
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
    """A correlation as in PyTorch. `weight` is int8 (out, in / groups, kernel_y, kernel_x).

    Attributes
    ----------
    padding
        Zeros added around the map: (rows, columns) on both sides, or (top, bottom, left, right);
        kept as those four numbers, each smaller than the kernel.
    stride
        (rows, columns) from one window to the next, 1..16 each. A window that does not fit whole
        is dropped; sources between windows reach no target.
    groups
        The channels of source and target in as many equal parts, in order; each part of the
        target sees its own part of the source. As many groups as source channels: depthwise.
    """

    weight: Weights
    weight_bits: int
    padding: tuple[int, ...] = (0, 0, 0, 0)
    stride: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        plain_numbers(self)
        weight = _check_weight("Conv2d", self.weight, self.weight_bits, 4)
        object.__setattr__(self, "weight", weight)
        kernel = weight.shape[2:]
        require(max(kernel) <= 16, "Conv2d", "kernel", kernel, "at most 16 x 16")
        self._check_padding(kernel)
        wanted = f"two numbers 1..{MAX_STRIDE}"
        stride = _integers("Conv2d", "stride", self.stride, (2,), wanted)
        good = all(1 <= s <= MAX_STRIDE for s in stride)
        require(good, "Conv2d", "stride", stride, wanted)
        object.__setattr__(self, "stride", stride)
        wanted = f"a number >= 1 that divides the {len(weight)} target channels"
        groups = _integer(self.groups)
        divides = groups >= 1 and len(weight) % groups == 0
        require(divides, "Conv2d", "groups", self.groups, wanted)
        object.__setattr__(self, "groups", groups)

    def _check_padding(self, kernel: tuple[int, ...]) -> None:
        wanted = "two numbers >= 0 (rows, columns), or four (top, bottom, left, right)"
        padding = _integers("Conv2d", "padding", self.padding, (2, 4), wanted)
        require(min(padding) >= 0, "Conv2d", "padding", padding, wanted)
        sides = padding if len(padding) == 4 else (padding[0],) * 2 + (padding[1],) * 2
        fits = max(sides[:2]) < kernel[0] and max(sides[2:]) < kernel[1]
        require(fits, "Conv2d", "padding", padding, f"smaller than the kernel {kernel}")
        object.__setattr__(self, "padding", sides)

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for a source of `shape`; floors, as PyTorch does."""
        require(len(shape) == 3, "Conv2d", "source shape", shape, "(C, H, W)")
        out, channels, ky, kx = self.weight.shape
        require(
            shape[0] % self.groups == 0,
            "Conv2d",
            "groups",
            self.groups,
            f"a divisor of the {shape[0]} source channels",
        )
        require(
            channels == shape[0] // self.groups,
            "Conv2d",
            "weight shape",
            self.weight.shape,
            f"(out, {shape[0] // self.groups}, ky, kx)",
        )
        top, bottom, left, right = self.padding
        spare = shape[1] + top + bottom - ky, shape[2] + left + right - kx
        require(
            min(spare) >= 0,
            "Conv2d",
            "kernel",
            (ky, kx),
            f"no larger than the padded {shape}",
        )
        return (out, spare[0] // self.stride[0] + 1, spare[1] // self.stride[1] + 1)


@dataclass(frozen=True, eq=False)
class Identity:
    """Every source neuron to the target neuron at its position. `gain` is int8, one per channel.

    A depthwise convolution of 1 x 1: what a residual connection does.
    """

    gain: Weights
    weight_bits: int

    def __post_init__(self) -> None:
        plain_numbers(self)
        gain = _check_weight("Identity", self.gain, self.weight_bits, 1, "gain")
        object.__setattr__(self, "gain", gain)

    @property
    def weight(self) -> Weights:
        """The gains, (channels,)."""
        return self.gain

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for a source of `shape`."""
        need = (shape[0],)
        require(self.gain.shape == need, "Identity", "gain shape", self.gain.shape, str(need))
        return shape


def _check_window(kind: str, kernel_size: object) -> tuple[int, int]:
    wanted = "two numbers 1..16 (rows, columns)"
    size = _integers(kind, "kernel_size", kernel_size, (2,), wanted)
    require(all(1 <= k <= 16 for k in size), kind, "kernel_size", size, wanted)
    return (size[0], size[1])


def _pooled_shape(kind: str, size: tuple[int, int], shape: Shape) -> Shape:
    require(len(shape) == 3, kind, "source shape", shape, "(C, H, W)")
    pooled = (shape[0], shape[1] // size[0], shape[2] // size[1])
    require(min(pooled) >= 1, kind, "kernel_size", size, f"no larger than {shape[1:]}")
    return pooled


@dataclass(frozen=True, eq=False)
class SumPool2d:
    """The sum over windows of `kernel_size` = (rows, columns) that do not overlap."""

    kernel_size: tuple[int, int]

    def __post_init__(self) -> None:
        plain_numbers(self)
        object.__setattr__(self, "kernel_size", _check_window("SumPool2d", self.kernel_size))

    @property
    def multiplicity(self) -> int:
        """How many source events may meet in one pooled value."""
        return self.kernel_size[0] * self.kernel_size[1]

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for a source of `shape`."""
        return _pooled_shape("SumPool2d", self.kernel_size, shape)


@dataclass(frozen=True, eq=False)
class MaxPool2d:
    """The OR of the spikes in windows of `kernel_size` = (rows, columns) that do not overlap."""

    kernel_size: tuple[int, int]

    def __post_init__(self) -> None:
        plain_numbers(self)
        object.__setattr__(self, "kernel_size", _check_window("MaxPool2d", self.kernel_size))

    @property
    def multiplicity(self) -> int:
        """How often a pooled spike counts: once."""
        return 1

    def output_shape(self, shape: Shape) -> Shape:
        """The output shape for a source of `shape`."""
        return _pooled_shape("MaxPool2d", self.kernel_size, shape)


Pool = SumPool2d | MaxPool2d
Synapse = Linear | Conv2d | Identity
Operation = Pool | Synapse


@dataclass(frozen=True, eq=False)
class Edge:
    """From node `source` to node `target` through `operations`.

    Allowed: a pool, a synapse (`Linear`, `Conv2d`, `Identity`), or a pool and then a synapse.
    `delay` is 0, or 1: then the edge carries the spikes of the step before, and nothing in the
    first step of an inference.
    """

    source: str
    target: str
    operations: tuple[Operation, ...]
    delay: int = 0

    def __post_init__(self) -> None:
        plain_numbers(self)
        object.__setattr__(self, "operations", tuple(self.operations))
        kinds = tuple(type(operation).__name__ for operation in self.operations)
        pools = tuple(isinstance(operation, Pool) for operation in self.operations)
        require(pools in ((True,), (False,), (True, False)), self.where, "operations", kinds,
                "a pool, a synapse, or a pool and then a synapse")  # fmt: skip
        delay = _integer(self.delay)
        require(delay in (0, 1), self.where, "delay", self.delay, "0 or 1")
        object.__setattr__(self, "delay", delay)

    @property
    def where(self) -> str:
        """How messages name this edge."""
        return f"edge {self.source!r} -> {self.target!r}"

    @property
    def pool(self) -> Pool | None:
        """The leading pool, if there is one."""
        first = self.operations[0]
        return first if isinstance(first, Pool) else None

    @property
    def synapse(self) -> Synapse | None:
        """The operation that holds weights; None for a bare pool, whose weights are all 1."""
        last = self.operations[-1]
        return None if isinstance(last, Pool) else last

    def output_shape(self, shape: Shape) -> Shape:
        """The shape at the target for a source of `shape`."""
        for operation in self.operations:
            try:
                shape = operation.output_shape(shape)
            except BadInput as error:
                raise BadInput(f"{self.where}: {error}") from None
        return shape
