"""From readable layer names to layers with shapes: `["16C3", "P2", "32C3", "P2", "10"]`.

``16C3``    a convolution to 16 channels, kernel 3, padded so that the size stays; then LIF neurons
``16C3p0``  the same with that padding; even kernels must say it
``P2``      sum pooling over windows of 2 x 2, in front of the layer that follows
``128``     a fully connected layer to 128 LIF neurons
``10``      in the last place: the readout, which integrates and never fires
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from golden.errors import BadInput
from golden.nodes import Shape

_CONVOLUTION = re.compile(r"([0-9]+)C([0-9]+)(?:p([0-9]+))?")
_POOL = re.compile(r"P([0-9]+)")
_LINEAR = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Layer:
    """One layer of neurons with the synapses in front of it.

    `source` is the shape that arrives, `pooled` that behind the pool, `shape` that of the neurons.
    `highest` is the largest value of an arriving event, before pooling; `one` is the value that
    counts as 1.0 where untrained thresholds and biases are concerned.
    """

    name: str
    kind: Literal["conv", "linear"]
    source: Shape
    pool: int
    kernel: int
    padding: int
    shape: Shape
    weight_bits: int
    readout: bool
    highest: int
    one: int

    @property
    def pooled(self) -> Shape:
        """The shape behind the pool, which the weights see."""
        if self.pool == 1:
            return self.source
        channels, height, width = self.source
        return channels, height // self.pool, width // self.pool

    @property
    def weight_shape(self) -> Shape:
        """(out, in, k, k) or (out, in)."""
        if self.kind == "conv":
            return self.shape[0], self.pooled[0], self.kernel, self.kernel
        return self.shape[0], math.prod(self.pooled)

    @property
    def fan_in(self) -> int:
        """The number of weights of one neuron."""
        return math.prod(self.weight_shape[1:])

    @property
    def largest_input(self) -> int:
        """The largest value that one weight can meet in one step."""
        return self.highest * self.pool * self.pool

    @property
    def unit(self) -> int:
        """What counts as 1.0 behind the pool."""
        return self.one * self.pool * self.pool


def parse(
    where: str, names: tuple[str, ...], source: Shape, highest: int, one: int, bits: tuple[int, ...]
) -> tuple[Layer, ...]:
    """The layers that `names` spell, for an input of shape `source` with values up to `highest`.

    `one` is the input value that counts as 1.0: the highest pixel, or a single event.

    `bits` holds the weight bits of every layer with weights, or one number for all of them.

    Raises
    ------
    BadInput
        Naming `where` and the word that is not understood or does not fit.
    """
    layers: list[Layer] = []
    pool = 1
    if len(source) != 3:
        raise BadInput(f"{where}: the input has shape {source}, must have (C, H, W)")
    weighted = [word for word in names if not _POOL.fullmatch(word)]
    if len(bits) not in (1, len(weighted)):
        raise BadInput(
            f"{where}: weight_bits has {len(bits)} entries, must be 1 number or one for each "
            f"of the {len(weighted)} layers with weights"
        )
    for place, word in enumerate(names):
        here = f"{where}: layers[{place}] is {word!r}"
        if match := _POOL.fullmatch(word):
            if pool != 1:
                raise BadInput(f"{here}, must not follow another pool")
            pool = int(match[1])
            _check_pool(here, pool, source)
            continue
        index = len(layers)
        layer_bits = bits[index % len(bits)]
        layer = _weighted(
            here, word, index, place == len(names) - 1, source, pool, layer_bits, (highest, one)
        )
        layers.append(layer)
        source, pool, highest, one = layer.shape, 1, 1, 1
    if pool != 1 or not layers or not layers[-1].readout or layers[-1].kind != "linear":
        raise BadInput(
            f"{where}: layers end with {names[-1:]}, must end with the number of classes, "
            "such as '10'"
        )
    return tuple(layers)


def _check_pool(here: str, pool: int, source: Shape) -> None:
    if not 2 <= pool <= 16:
        raise BadInput(f"{here}, must pool over 2..16")
    if len(source) != 3 or pool > min(source[1:]):
        raise BadInput(f"{here}, must not be larger than what it pools, which has shape {source}")


def _weighted(
    here: str,
    word: str,
    index: int,
    last: bool,
    source: Shape,
    pool: int,
    bits: int,
    top: tuple[int, int],
) -> Layer:
    name = "readout" if last else f"{'conv' if 'C' in word else 'fc'}{index + 1}"
    if match := _CONVOLUTION.fullmatch(word):
        channels, kernel = int(match[1]), int(match[2])
        padding = int(match[3]) if match[3] else kernel // 2
        if not (1 <= channels <= 65536 and 1 <= kernel <= 16 and padding < kernel):
            raise BadInput(
                f"{here}, must have 1..65536 channels, a kernel of 1..16 and a padding below it"
            )
        if match[3] is None and kernel % 2 == 0:
            raise BadInput(
                f"{here}, must say its padding, as in '{word}p0', since its kernel is even"
            )
        if len(source) != 3:
            raise BadInput(f"{here}, must not follow a fully connected layer")
        height, width = (side // pool + 2 * padding - kernel + 1 for side in source[1:])
        if min(height, width) < 1:
            raise BadInput(
                f"{here}, must have a kernel no larger than its padded input of shape {source}"
            )
        return Layer(
            name, "conv", source, pool, kernel, padding, (channels, height, width), bits, last, *top
        )
    if _LINEAR.fullmatch(word) and 1 <= int(word) <= 65536:
        return Layer(name, "linear", source, pool, 1, 0, (int(word),), bits, last, *top)
    raise BadInput(f"{here}, must be a layer such as '16C3', '16C3p0', 'P2', '128' or '10'")
