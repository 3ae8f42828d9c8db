"""Units of pruning: single weights, or all weights that read one channel.

A *unit* is one weight (structure "none"), or the weights of one source channel to all channels of
the layer, all taps (structure "channel"; after a linear layer a channel is one neuron). Dropping it
empties whole rows of the hardware; for that, where a block and its shortcut read the same channels,
a unit contains the weights of both. Such paths are a *group*; all units of a group have one size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.model.architecture import Path
from spikewright.model.compression.magnitude import erk_densities

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


def groups(layers: Sequence[Path], structure: str) -> list[list[int]]:
    """The indices of the paths in each group: single paths, or all that read the same channels."""
    if structure == "none":
        return [[index] for index in range(len(layers))]
    by_origin: dict[str, list[int]] = {}
    for index, layer in enumerate(layers):
        by_origin.setdefault(layer.origin, []).append(index)
    return list(by_origin.values())


def split_groups(
    weights: Sequence[NDArray[Any]], layers: Sequence[Path], structure: str
) -> list[NDArray[Any]]:
    """Weights or masks of all paths, as (units, weights of a unit) for every group."""
    return [
        np.concatenate([split(weights[n], layers[n], structure) for n in group], axis=1)
        for group in groups(layers, structure)
    ]


def join_masks(kept: Sequence[Bools], layers: Sequence[Path], structure: str) -> list[Bools]:
    """The mask of every path, in the shape of its weights, from the `kept` units of every group."""
    masks: dict[int, Bools] = {}
    for units, group in zip(kept, groups(layers, structure), strict=True):
        for index in group:
            layer = layers[index]
            size = math.prod(layer.weight_shape) // len(units)
            masks[index] = join(np.repeat(units[:, None], size, 1), layer, structure)
    return [masks[index] for index in range(len(layers))]


def split(weights: NDArray[Any], layer: Path, structure: str) -> NDArray[Any]:
    """The weights or mask of one path as (units, weights of a unit)."""
    if structure == "none":
        return weights.reshape(-1, 1)
    out, channels = layer.weight_shape[0], layer.pooled[0]
    return weights.reshape(out, channels, -1).swapaxes(0, 1).reshape(channels, -1)


def join(units: NDArray[Any], layer: Path, structure: str) -> NDArray[Any]:
    """The inverse of `split`."""
    if structure == "none":
        return units.reshape(layer.weight_shape)
    out, channels = layer.weight_shape[0], layer.pooled[0]
    return units.reshape(channels, out, -1).swapaxes(0, 1).reshape(layer.weight_shape)


def budget(density: float, layers: Sequence[Path]) -> int:
    """The number of weights to keep at this density."""
    total = sum(math.prod(layer.weight_shape) for layer in layers)
    # the tiny term: 0.3 of 10 weights are 3, although 0.3 * 10 may be rounded to just below
    return math.floor(density * total + 1e-9)


def apportion(total: int, shares: Reals, sizes: Ints, caps: Ints) -> Ints:
    """Apportions at most `total` weights to layers, as numbers of units.

    Layers get weights in proportion to `shares`, in units of `sizes` weights, at most `caps` units.
    What rounding and caps leave over goes to the layers that lack most, as long as a unit fits.
    With units of one weight the total is met exactly, unless all caps are reached.

    >>> apportion(10, np.array([1.0, 3.0]), np.array([1, 1]), np.array([9, 9])).tolist()
    [2, 8]
    >>> apportion(10, np.array([1.0, 3.0]), np.array([1, 4]), np.array([9, 1])).tolist()
    [6, 1]
    """
    got = np.zeros(len(shares), np.int64)
    while True:
        left = total - int((got * sizes).sum())
        free = (got < caps) & (sizes <= left)
        if not free.any():
            return got
        weights = np.where(free, np.maximum(shares, 1e-12), 0.0)
        wanted = weights / weights.sum() * left / sizes
        more = np.minimum(np.floor(wanted).astype(np.int64), caps - got) * free
        if not more.any():
            more[np.argmax(np.where(free, wanted, -1.0))] = 1
        got += more


def random_masks(
    layers: Sequence[Path], density: float, allocation: str, structure: str, seed: int
) -> list[Bools]:
    """Random masks of all paths: each group keeps at least one unit.

    `allocation` is "uniform" or "erk".
    """
    shapes = [layer.weight_shape for layer in layers]
    parts = split_groups([np.zeros(shape, bool) for shape in shapes], layers, structure)
    counts, sizes = (np.array([part.shape[axis] for part in parts]) for axis in (0, 1))
    densities = erk_densities(shapes, density) if allocation == "erk" else [density] * len(shapes)
    weights = [d * math.prod(s) for d, s in zip(densities, shapes, strict=True)]
    shares = np.array([sum(weights[n] for n in group) for group in groups(layers, structure)])
    first = np.ones_like(counts)
    rest = np.maximum(shares - sizes, 0)
    keep = first + apportion(budget(density, layers) - int(sizes.sum()), rest, sizes, counts - 1)
    generator = np.random.default_rng([seed, len(layers)])
    kept = []
    for count, units in zip(keep, counts, strict=True):
        mask = np.zeros(units, bool)
        mask[generator.permutation(units)[:count]] = True
        kept.append(mask)
    return join_masks(kept, layers, structure)


def least_density(layers: Sequence[Path], structure: str) -> float:
    """The lowest density at which every layer keeps one unit, rounded up to 1e-4."""
    sizes = [
        1 if structure == "none" else math.prod(layer.weight_shape) // layer.pooled[0]
        for layer in layers
    ]
    total = sum(math.prod(layer.weight_shape) for layer in layers)
    return math.ceil(sum(sizes) / total * 1e4) / 1e4
