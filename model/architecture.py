"""Parses the layer words of a recipe, such as `["16C3", "P2", "32R3s2", "M2", "10"]`.

``16C3``    a convolution to 16 channels, kernel 3, padded so that the size stays; then LIF neurons
``16C3p0``  the same with that padding; even kernels must say it
``16C3s2``  the same with that stride; after a padding if both are given
``32R3s2``  a residual block: two layers of 32 channels, the first with the stride; the block's
            input also drives the second, through a gain for each channel where the shapes are
            equal, else through a 1 x 1 convolution with the stride
``P2``      sum pooling over windows of 2 x 2, before the layer or block that follows
``M2``      max pooling: a pooled event is the OR of the spikes in its window
``128``     a fully connected layer to 128 LIF neurons
``10``      in the last place: the readout, which integrates and never fires
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from spikewright.golden.errors import BadInput
from spikewright.golden.network.edges import MAX_STRIDE
from spikewright.golden.network.nodes import Shape

INPUT = "input"
"""The name of the network's input, the origin of its first events."""

GAIN_BITS = 8
"""Bits of a gain: its scale is that of small weights, so it needs the whole range of int8."""

_NUMBER = "([0-9]{1,9})"
_CONVOLUTION = re.compile(f"{_NUMBER}C{_NUMBER}(?:p{_NUMBER})?(?:s{_NUMBER})?")
_RESIDUAL = re.compile(f"{_NUMBER}R{_NUMBER}(?:s{_NUMBER})?")
_POOL = re.compile(f"([PM]){_NUMBER}")
_LINEAR = re.compile(_NUMBER)


@dataclass(frozen=True, kw_only=True)
class Path:
    """The synapses through which the events of `origin` reach a layer: a pool and weights.

    Attributes
    ----------
    name, origin
        Of the path's layer, and of the layer that sends the events.
    kind
        The weights: "conv", "linear", or "identity" with a gain for each channel.
    source, shape
        (C, H, W) or (N,) of the incoming events, and of the neurons.
    pool, maximum
        Side of the pooling window, 1 without a pool; True: the OR of its spikes, not their sum.
    kernel, padding, stride
        Of a convolution.
    weight_bits
        Of the integer weights, sign included.
    highest
        The largest value of an incoming event, before the pool.
    one
        The value of an incoming event that is 1.0 for initial thresholds and biases.
    """

    name: str
    origin: str
    kind: Literal["conv", "linear", "identity"]
    source: Shape
    pool: int = 1
    maximum: bool = False
    kernel: int = 1
    padding: int = 0
    stride: int = 1
    shape: Shape
    weight_bits: int
    highest: int
    one: int

    @property
    def pooled(self) -> Shape:
        """The shape after the pool, the input of the weights."""
        if self.pool == 1:
            return self.source
        channels, height, width = self.source
        return channels, height // self.pool, width // self.pool

    @property
    def weight_shape(self) -> Shape:
        """(out, in, k, k) or (out, in); (out,) for the gains of an identity."""
        if self.kind == "conv":
            return self.shape[0], self.pooled[0], self.kernel, self.kernel
        if self.kind == "identity":
            return (self.shape[0],)
        return self.shape[0], math.prod(self.pooled)

    @property
    def fan_in(self) -> int:
        """The number of weights into one neuron."""
        return math.prod(self.weight_shape[1:])

    @property
    def multiplicity(self) -> int:
        """The most incoming events that add up in one pooled value."""
        return 1 if self.maximum else self.pool * self.pool

    @property
    def largest_input(self) -> int:
        """The largest pooled value, the input of a weight in one step."""
        return self.highest * self.multiplicity

    @property
    def unit(self) -> int:
        """The pooled value that is 1.0 for initial thresholds and biases."""
        return self.one * self.multiplicity


@dataclass(frozen=True, kw_only=True)
class Layer(Path):
    """A layer of neurons and the path into it.

    `readout` marks the output layer. `shortcut` is a second path into the same neurons, of kind
    "conv" or "identity".
    """

    readout: bool = False
    shortcut: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths into the neurons, this one first."""
        return (self,) if self.shortcut is None else (self, self.shortcut)


def weighted(layers: Iterable[Layer]) -> list[Path]:
    """The paths with weights to train and prune, in order: all but gains."""
    return [path for layer in layers for path in layer.paths if path.kind != "identity"]


@dataclass(frozen=True)
class _Incoming:
    """The input of the next layer: events of `origin`, and the pool that was parsed before it."""

    origin: str
    source: Shape
    highest: int
    one: int
    pool: int = 1
    maximum: bool = False


def parse(
    where: str, names: tuple[str, ...], source: Shape, highest: int, one: int, bits: tuple[int, ...]
) -> tuple[Layer, ...]:
    """The layers of the words `names`.

    Parameters
    ----------
    where
        The start of messages.
    source, highest
        Shape (C, H, W) of the network's input, and its largest value.
    one
        The input value that is 1.0 for initial thresholds and biases: the highest pixel, or 1.
    bits
        The weight bits of every layer with weights, or one number for all. A residual block counts
        as two layers; its shortcut has the bits of the second.

    Raises
    ------
    BadInput
        Naming `where` and the word that is unknown or does not fit.
    """
    if len(source) != 3:
        raise BadInput(f"{where}: the input has shape {source}, must have (C, H, W)")
    count = sum(0 if _POOL.fullmatch(w) else 2 if _RESIDUAL.fullmatch(w) else 1 for w in names)
    if len(bits) not in (1, count):
        raise BadInput(
            f"{where}: weight_bits has {len(bits)} entries, must be 1 number or one for each "
            f"of the {count} layers with weights"
        )
    layers: list[Layer] = []
    at = _Incoming(INPUT, source, highest, one)
    for index, word in enumerate(names):
        here = f"{where}: layers[{index}] is {word!r}"
        if match := _POOL.fullmatch(word):
            at = _pooled(here, at, int(match[2]), match[1] == "M")
            continue
        word_bits = [bits[(len(layers) + n) % len(bits)] for n in range(2)]
        if match := _RESIDUAL.fullmatch(word):
            layers += _block(here, match, len(layers), at, word_bits)
        else:
            last = index == len(names) - 1
            layers.append(_layer(here, word, len(layers), last, at, word_bits[0]))
        at = _Incoming(layers[-1].name, layers[-1].shape, 1, 1)
    if at.pool != 1 or not layers or not layers[-1].readout or layers[-1].kind != "linear":
        raise BadInput(
            f"{where}: layers end with {names[-1:]}, must end with the number of classes, "
            "such as '10'"
        )
    return tuple(layers)


def _pooled(here: str, at: _Incoming, pool: int, maximum: bool) -> _Incoming:
    if at.pool != 1:
        raise BadInput(f"{here}, must not follow another pool")
    if not 2 <= pool <= 16:
        raise BadInput(f"{here}, must pool over 2..16")
    if len(at.source) != 3 or pool > min(at.source[1:]):
        raise BadInput(
            f"{here}, must not be larger than what it pools, which has shape {at.source}"
        )
    if maximum and at.origin == INPUT:
        raise BadInput(f"{here}, must not pool the input, which sends values; 'P{pool}' may")
    return replace(at, pool=pool, maximum=maximum)


def _layer(here: str, word: str, index: int, last: bool, at: _Incoming, bits: int) -> Layer:
    name = "readout" if last else f"{'conv' if 'C' in word else 'fc'}{index + 1}"
    if match := _CONVOLUTION.fullmatch(word):
        channels, kernel = int(match[1]), int(match[2])
        padding = int(match[3]) if match[3] else kernel // 2
        if match[3] is None and kernel % 2 == 0 and 1 <= kernel <= 16:
            raise BadInput(
                f"{here}, must say its padding, as in '{word}p0', since its kernel is even"
            )
        path = _convolution(here, name, at, channels, kernel, padding, int(match[4] or 1), bits)
        return Layer(**vars(path), readout=last)
    if _LINEAR.fullmatch(word) and 1 <= int(word) <= 65536:
        return Layer(
            **vars(at), kind="linear", shape=(int(word),), weight_bits=bits, name=name, readout=last
        )
    raise BadInput(
        f"{here}, must be a layer such as '16C3', '16C3p0', '16R3s2', 'P2', 'M2', '128' or '10'"
    )


def _convolution(
    here: str,
    name: str,
    at: _Incoming,
    channels: int,
    kernel: int,
    padding: int,
    stride: int,
    bits: int,
) -> Path:
    if not (1 <= channels <= 65536 and 1 <= kernel <= 16 and padding < kernel):
        raise BadInput(
            f"{here}, must have 1..65536 channels, a kernel of 1..16 and a padding below it"
        )
    if not 1 <= stride <= MAX_STRIDE:
        raise BadInput(f"{here}, must have a stride of 1..{MAX_STRIDE}")
    if len(at.source) != 3:
        raise BadInput(f"{here}, must not follow a fully connected layer")
    spare = [side // at.pool + 2 * padding - kernel for side in at.source[1:]]
    if min(spare) < 0:
        raise BadInput(
            f"{here}, must have a kernel no larger than its padded input of shape {at.source}"
        )
    height, width = (room // stride + 1 for room in spare)
    shape = (channels, height, width)
    return Path(
        **vars(at), name=name, kind="conv", kernel=kernel, padding=padding, stride=stride,
        shape=shape, weight_bits=bits,
    )  # fmt: skip


def _block(
    here: str, match: re.Match[str], index: int, at: _Incoming, bits: list[int]
) -> list[Layer]:
    channels, kernel, stride = int(match[1]), int(match[2]), int(match[3] or 1)
    if at.origin == INPUT:
        raise BadInput(f"{here}, must follow a layer, whose spikes it adds")
    if kernel % 2 == 0:
        raise BadInput(f"{here}, must have an odd kernel")
    names = [f"res{index + 1}", f"res{index + 2}", f"res{index + 2}.shortcut"]
    half = kernel // 2
    first = _convolution(here, names[0], at, channels, kernel, half, stride, bits[0])
    middle = _Incoming(first.name, first.shape, 1, 1)
    second = _convolution(here, names[1], middle, channels, kernel, half, 1, bits[1])
    if first.pooled == second.shape:
        shortcut = Path(
            **vars(at), name=names[2], kind="identity", shape=second.shape, weight_bits=GAIN_BITS
        )
    else:
        shortcut = _convolution(here, names[2], at, channels, 1, 0, stride, bits[1])
    return [Layer(**vars(first)), Layer(**vars(second), shortcut=shortcut)]
