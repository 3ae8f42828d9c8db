"""The tables of a recipe: what its neurons, weights, masks and training are like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikewright.model.data.augment import Augmentation
from spikewright.model.recipes import methods
from spikewright.model.recipes.fields import (
    boolean,
    choice,
    field,
    integer,
    integers,
    number,
    opened,
    word_or_boolean,
    word_or_number,
)

SURROGATES = ("triangle", "rectangle", "arctan", "fast_sigmoid", "sigmoid")
ALLOCATIONS = ("lamp", "erk", "global", "uniform")


@dataclass(frozen=True)
class Neuron:
    """How the LIF neurons work. `leak` is "none", "learned" or a fixed fraction lost per step."""

    leak: str | float = field(word_or_number(0, 1, "none", "learned"), "none")
    leak_shift: int = field(integer(0, 8), 4)
    reset: str = field(choice("subtract", "zero"), "subtract")
    membrane_bits: int = field(integer(4, 24), 14)
    surrogate: str = field(choice(*SURROGATES), "triangle")
    batch_norm: bool = field(boolean(), True)


@dataclass(frozen=True)
class Quantization:
    """Weight bits, for all layers or layer by layer."""

    weight_bits: tuple[int, ...] = field(integers(2, 8), (4,))


@dataclass(frozen=True)
class Pruning:
    """The share of weights to keep (1.0: no pruning), how layers share it, and when it is due.

    `structure` "bank" keeps the same number of weights in each of `banks` banks of every row,
    "channel" all or none of the weights that read one channel. `drop` is the share of weights that
    sparse learning moves at first. `nonzero` lets no kept weight quantise to 0, as banks do.
    """

    density: float = field(number(0.001, 1), 1.0)
    allocation: str = field(choice(*ALLOCATIONS), "lamp")
    structure: str = field(choice("none", "bank", "channel"), "none")
    banks: tuple[int, ...] = field(integers(1, 64), (8,))
    begin: float = field(number(0, 1), 0.10)
    end: float = field(number(0, 1), 0.60)
    updates_per_epoch: int = field(integer(1, 1000), 5)
    drop: float = field(number(0, 0.99), 0.5, quiet=True)
    nonzero: bool = field(boolean(), False, quiet=True)

    def banks_of(self, layers: int) -> tuple[int, ...]:
        """The banks of each of so many layers; () if weights are kept each for itself.

        >>> Pruning(0.1, structure="bank").banks_of(2), Pruning(0.1).banks_of(2)
        ((8, 8), ())
        """
        if self.structure != "bank":
            return ()
        return self.banks * layers if len(self.banks) == 1 else self.banks


@dataclass(frozen=True)
class Training:
    """The optimisation, and what happens to its images.

    `optimizer` "sgd" has Nesterov's momentum; decay is decoupled. Biases, gains of batch norm,
    thresholds and leaks learn at `bias_rate` times the learning rate, and so on; 0 holds them.
    `init` is how fresh weights start: see `model.training.initialise`.

    `shift` is the largest random shift in pixels, what moves in is 0 or mirrored at the `border`;
    `flip` mirrors at random, or "alternating" from epoch to epoch; `cutout` is the side of
    a square that is set to zero. With `images` only so many of the training images are used, evenly
    spread over all; 0: all.

    The keys that methods add are in `options`, and each is an attribute too.

    On `calibration` training images the events of every neuron are counted, for the compiler.
    """

    epochs: int = field(integer(1, 10000))
    batch_size: int = field(integer(2, 65536), 64)
    learning_rate: float = field(number(1e-6, 100), 0.004)
    warmup: float = field(number(0, 0.5), 0.03)
    schedule: str = field(choice("cosine", "linear", "constant"), "cosine", quiet=True)
    final_rate: float = field(number(0, 1), 0.0, quiet=True)
    optimizer: str = field(choice("adam", "sgd"), "adam", quiet=True)
    momentum: float = field(number(0.01, 0.999), 0.9, quiet=True)
    weight_decay: float = field(number(0, 1), 0.0, quiet=True)
    bias_rate: float = field(number(0, 1000), 1.0, quiet=True)
    gain_rate: float = field(number(0, 1000), 1.0, quiet=True)
    threshold_rate: float = field(number(0, 1000), 1.0, quiet=True)
    leak_rate: float = field(number(0, 1000), 1.0, quiet=True)
    label_smoothing: float = field(number(0, 0.9), 0.0, quiet=True)
    init: str = field(choice("uniform", "dirac", "whitening"), "uniform", quiet=True)
    freeze: float = field(number(0, 1), 0.70)
    shift: int = field(integer(0, 4), 0)
    border: str = field(choice("zeros", "reflect"), "zeros", quiet=True)
    flip: bool | str = field(word_or_boolean("alternating"), False, quiet=True)
    cutout: int = field(integer(0, 16), 0, quiet=True)
    options: dict[str, Any] = opened(methods.training_keys)  # noqa: RUF009 (a dataclass field)
    images: int = field(integer(0, 10**9), 0, quiet=True)
    validation: float = field(number(0.01, 0.5), 0.1)
    calibration: int = field(integer(0, 65536), 512)
    seed: int = field(integer(0, 2**31 - 1), 0)
    threads: int = field(integer(1, 64), 1)

    def __getattr__(self, name: str) -> Any:
        """The value of a method's key."""
        return methods.value_of(self, methods.training_keys, name)

    @property
    def augmentation(self) -> Augmentation:
        """What is done to training images."""
        return Augmentation(
            self.shift, bool(self.flip), self.cutout, self.border == "reflect",
            self.flip == "alternating",
        )  # fmt: skip
