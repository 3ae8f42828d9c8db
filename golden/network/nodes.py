"""The nodes of an integer network: `Input`, `LIF` and `Readout`.

One step of one LIF neuron, in integers, arithmetic shift, no wrap-around anywhere::

    I     = bias + sum of weights of the presynaptic spikes
    v     = v - ((v * leak_mul) >> leak_shift)
    v     = v + I
    fired = v >= threshold
    v     = v - threshold if fired and reset == "subtract"; 0 if fired and reset == "zero"
    v     = clamp(v, membrane_bits)

where the shift floors (so v = -1 decays to 0) and the clamp happens once, at the end of the step.
A `Readout` integrates in the same way, but never fires, resets or clamps: its membrane after the
last step is the logits.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikewright.golden.arrays import Ints, plain_numbers
from spikewright.golden.errors import require

MAX_LEAK_SHIFT = 8
MAX_MEMBRANE_BITS = 24
MAX_INPUT_BITS = 8
BIAS_LIMIT = 2**31 - 1

Shape = tuple[int, ...]
Integer = TypeVar("Integer", bound=np.integer[Any])

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


def frozen(values: object, dtype: type[Integer], where: str, field: str) -> NDArray[Integer]:
    """A read-only, C-ordered copy; floats and values outside the type are refused."""
    array = np.asarray(values)
    require(array.dtype.kind in "iu", where, f"{field} type", array.dtype, "an integer array")
    info = np.iinfo(dtype)
    inside = array.size == 0 or (int(array.min()) >= info.min and int(array.max()) <= info.max)
    require(inside, where, f"{field} range", "too wide", f"within {info.min}..{info.max}")
    copy = np.array(array, dtype=dtype, order="C")
    copy.setflags(write=False)
    return copy


def _check_name(kind: str, name: object) -> str:
    require(
        isinstance(name, str) and _NAME.fullmatch(name) is not None,
        kind, "name", repr(name), "a lower-case identifier of at most 32 characters",
    )  # fmt: skip
    return f"node {name!r}"


def _check_shape(where: str, shape: Shape) -> Shape:
    shape = tuple(int(side) for side in shape)
    require(len(shape) in (1, 3), where, "shape", shape, "(N,) or (C, H, W)")
    require(all(1 <= side <= 65536 for side in shape), where, "shape", shape, "made of 1..65536")
    require(math.prod(shape) <= 2**22, where, "shape", shape, f"of at most {2**22} neurons")
    return shape


def _check_leak(where: str, leak_mul: int, leak_shift: int) -> None:
    top = MAX_LEAK_SHIFT
    require(0 <= leak_shift <= top, where, "leak_shift", leak_shift, f"0..{top}")
    limit = 2**leak_shift
    require(0 <= leak_mul <= limit, where, "leak_mul", leak_mul, f"0..2^leak_shift = {limit}")


def _check_bias(where: str, bias: object, channels: int) -> Ints:
    array = frozen(bias, np.int64, where, "bias")
    require(array.shape == (channels,), where, "bias shape", array.shape, f"({channels},)")
    inside = bool((np.abs(array) <= BIAS_LIMIT).all())
    require(inside, where, "bias", "out of range", f"within +-{BIAS_LIMIT}")
    return array


@dataclass(frozen=True, eq=False)
class Input:
    """Where integers enter.

    `coding` "direct": one frame per inference, shape `shape`, integrated again at every step.
    `coding` "events": one frame of counts per step; 1 bit unsigned is a plain spike.
    Values are 0..2^bits - 1, or -2^(bits-1)..2^(bits-1) - 1 if `signed`. Zero sends nothing.
    """

    name: str
    shape: Shape
    coding: Literal["direct", "events"]
    bits: int
    signed: bool = False

    def __post_init__(self) -> None:
        plain_numbers(self)
        where = _check_name("input", self.name)
        object.__setattr__(self, "shape", _check_shape(where, self.shape))
        require(self.coding in ("direct", "events"), where, "coding", repr(self.coding),
                "'direct' or 'events'")  # fmt: skip
        require(1 <= self.bits <= MAX_INPUT_BITS, where, "bits", self.bits, f"1..{MAX_INPUT_BITS}")
        require(
            not (self.signed and self.bits < 2), where, "bits", self.bits, "at least 2 if signed"
        )

    @property
    def lowest(self) -> int:
        """The smallest value that may enter."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest value that may enter."""
        return 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1

    def check(self, inputs: ArrayLike, timesteps: int) -> Ints:
        """`inputs` as int64: (batch, *shape) if direct, (batch, timesteps, *shape) if events.

        Raises
        ------
        BadInput
            If type, shape or a value does not fit.
        """
        where = f"input {self.name!r}"
        array = np.asarray(inputs)
        require(array.dtype.kind in "iub", where, "type", array.dtype, "integer")
        frame = self.shape if self.coding == "direct" else (timesteps, *self.shape)
        right = array.shape[1:] == frame and array.ndim == len(frame) + 1
        require(right, where, "shape", array.shape,
                f"(batch, {', '.join(map(str, frame))})")  # fmt: skip
        # Before the conversion, which wraps what int64 does not hold.
        for bad in array[(array < self.lowest) | (array > self.highest)][:1]:
            require(False, where, "value", int(bad), f"{self.lowest}..{self.highest}")
        return array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class LIF:
    """Leaky integrate-and-fire neurons; `leak_mul` = 0 makes them IF.

    `threshold` and `bias` have one entry per channel (`shape[0]`). `membrane_bits` is the width
    of the clamped state between steps; 1 <= threshold <= 2^(membrane_bits - 1) - 1.
    """

    name: str
    shape: Shape
    threshold: Ints
    bias: Ints
    leak_mul: int
    leak_shift: int
    reset: Literal["subtract", "zero"]
    membrane_bits: int

    def __post_init__(self) -> None:
        plain_numbers(self)
        where = _check_name("lif", self.name)
        object.__setattr__(self, "shape", _check_shape(where, self.shape))
        bits = self.membrane_bits
        require(
            2 <= bits <= MAX_MEMBRANE_BITS, where, "membrane_bits", bits, f"2..{MAX_MEMBRANE_BITS}"
        )
        threshold = frozen(self.threshold, np.int64, where, "threshold")
        channels = self.shape[0]
        require(
            threshold.shape == (channels,),
            where,
            "threshold shape",
            threshold.shape,
            f"({channels},)",
        )
        for bad in threshold[(threshold < 1) | (threshold > self.highest)][:1]:
            require(
                False,
                where,
                "threshold",
                int(bad),
                f"1..2^(membrane_bits - 1) - 1 = {self.highest}",
            )
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "bias", _check_bias(where, self.bias, channels))
        _check_leak(where, self.leak_mul, self.leak_shift)
        require(
            self.reset in ("subtract", "zero"),
            where,
            "reset",
            repr(self.reset),
            "'subtract' or 'zero'",
        )

    @property
    def lowest(self) -> int:
        """The lower end of the clamp."""
        return -(2 ** (self.membrane_bits - 1))

    @property
    def highest(self) -> int:
        """The upper end of the clamp."""
        return 2 ** (self.membrane_bits - 1) - 1


@dataclass(frozen=True, eq=False)
class Readout:
    """Integrators that never fire: their membranes after the last step are the logits.

    `bias` has one entry per channel and is added at every step. Ties: the lowest index wins.
    """

    name: str
    shape: Shape
    bias: Ints
    leak_mul: int = 0
    leak_shift: int = 0

    def __post_init__(self) -> None:
        plain_numbers(self)
        where = _check_name("readout", self.name)
        object.__setattr__(self, "shape", _check_shape(where, self.shape))
        require(len(self.shape) == 1, where, "shape", self.shape, "(classes,)")
        object.__setattr__(self, "bias", _check_bias(where, self.bias, self.shape[0]))
        _check_leak(where, self.leak_mul, self.leak_shift)


Node = Input | LIF | Readout
