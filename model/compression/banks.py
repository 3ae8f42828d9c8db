"""Bank-balanced masks: every lane of the hardware gets the same number of weights of a row.

A row is all weights of one presynaptic address (of a convolution: one source channel, all taps),
a bank the output channels of one lane: channel c is in bank c mod `banks`. In each row, every bank
keeps the same number of weights, at least one; rows differ in that number. So a unit of pruning is
a *slice*: of one row, the j-th largest weight of every bank. Slices are ranked by the mean score of
their weights, with the scores and allocations of `model.compression.magnitude`; the first slice of
every row stays. Masks of falling density are nested as long as no kept weight is zero, which
`model.layers.synapse` ensures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import require
from spikewright.model.compression.magnitude import Masks, Weights, erk_densities, lamp_scores

Ints = NDArray[np.int64]


def _by_bank(weights: Weights, banks: int) -> tuple[Weights, Ints]:
    """Weights as (rows, banks, entries), -1 in the padding, and their flat indices."""
    indices = np.arange(weights.size).reshape(weights.shape)
    channels, rows = weights.shape[:2]
    local = -(-channels // banks)
    padding = [(0, local * banks - channels), *[(0, 0)] * (weights.ndim - 1)]
    flat = np.pad(indices, padding, constant_values=-1)
    flat = flat.reshape(local, banks, rows, -1).transpose(2, 1, 0, 3).reshape(rows, banks, -1)
    values = np.where(flat < 0, -1.0, weights.reshape(-1)[flat])
    return values, flat


def _slices(scores: Weights, banks: int) -> tuple[Weights, Ints]:
    """Mean score (rows, slices) and flat indices (rows, slices, banks) of every full slice."""
    values, flat = _by_bank(scores, banks)
    order = np.argsort(-values, axis=2, kind="stable")
    values = np.take_along_axis(values, order, 2)
    whole = int((values >= 0).sum(axis=2).min())
    members = np.take_along_axis(flat, order, 2)[:, :, :whole].transpose(0, 2, 1)
    return values[:, :, :whole].mean(axis=1), members


def _keep(scores: Sequence[Weights], banks: Sequence[int], budget: int) -> Masks:
    """Masks of the best slices of all layers together, with at most `budget` weights."""
    layers = [_slices(s, b) for s, b in zip(scores, banks, strict=True)]
    ranks = []
    for means, _ in layers:
        first = np.arange(means.shape[1]) == 0
        ranks.append(np.where(first, np.inf, means).reshape(-1))
    sizes = np.concatenate(
        [np.full(r.size, b, np.int64) for r, b in zip(ranks, banks, strict=True)]
    )
    order = np.argsort(-np.concatenate(ranks), kind="stable")
    kept = np.zeros(len(order), bool)
    prefix = int(np.searchsorted(np.cumsum(sizes[order]), budget, side="right"))
    kept[order[:prefix]] = True
    left = budget - int(sizes[order[:prefix]].sum())
    for unit in order[prefix:]:
        if left < sizes.min():
            break
        if sizes[unit] <= left:
            kept[unit] = True
            left -= int(sizes[unit])
    masks, start = [], 0
    for score, (means, members) in zip(scores, layers, strict=True):
        mask = np.zeros(score.size, bool)
        slices = kept[start : start + means.size].reshape(means.shape)
        mask[members[slices]] = True
        masks.append(mask.reshape(score.shape))
        start += means.size
    return masks


def least_weights(shape: tuple[int, ...], banks: int) -> int:
    """The fewest weights that a layer can keep: one for each bank in every row.

    >>> least_weights((32, 16, 3, 3), 8)
    128
    """
    return shape[1] * banks


def bank_masks(
    weights: Sequence[Weights], density: float, allocation: str, banks: Sequence[int]
) -> Masks:
    """The masks of all layers, of the shapes of `weights`; together at most `density` is kept.

    Parameters
    ----------
    weights
        Of each layer, (out, in) or (out, in, k, k).
    allocation
        How layers share the budget, as in `model.compression.magnitude`.
    banks
        The number of banks of each layer.

    Raises
    ------
    BadInput
        As `check_banks`.
    """
    shapes = [w.shape for w in weights]
    names = [str(layer) for layer in range(len(shapes))]
    check_banks("pruning", names, shapes, density, allocation, banks)
    if allocation in ("lamp", "global"):
        score = lamp_scores if allocation == "lamp" else np.abs
        scores = [np.asarray(score(w), np.float64) for w in weights]
        return _keep(scores, banks, _budget(density, sum(w.size for w in weights)))
    return [
        _keep([np.abs(w)], [b], _budget(share, w.size))[0]
        for w, b, share in zip(weights, banks, _shares(shapes, density, allocation), strict=True)
    ]


def _budget(share: float, weights: int) -> int:
    # the tiny term: 0.3 of 10 weights are 3, although 0.3 * 10 may be rounded to just below
    return math.floor(share * weights + 1e-9)


def _shares(shapes: Sequence[tuple[int, ...]], density: float, allocation: str) -> list[float]:
    return erk_densities(shapes, density) if allocation == "erk" else [density] * len(shapes)


def check_banks(
    where: str, names: Sequence[str], shapes: Sequence[tuple[int, ...]], density: float,
    allocation: str, banks: Sequence[int],
) -> None:  # fmt: skip
    """Checks that every layer has a channel, and every row keeps a weight, for each bank.

    Parameters
    ----------
    names, shapes, banks
        Of each layer: its name, the shape of its weights, its banks.
    density
        Of all weights; below 1.

    Raises
    ------
    BadInput
        Naming the layer, and the banks or the density that would be right.
    """
    for name, shape, count in zip(names, shapes, banks, strict=True):
        require(count <= shape[0], where, f"banks of layer {name!r}", count,
                f"at most its {shape[0]} channels")  # fmt: skip
    least = [least_weights(shape, count) for shape, count in zip(shapes, banks, strict=True)]
    sizes = [math.prod(shape) for shape in shapes]
    if allocation in ("lamp", "global"):
        lowest = math.ceil(sum(least) / sum(sizes) * 1e4) / 1e4
        require(sum(least) <= _budget(density, sum(sizes)), where, "density", density,
                f"at least {lowest}, which leaves every row one weight in each bank; "
                "or fewer banks")  # fmt: skip
        return
    shares = _shares(shapes, density, allocation)
    for name, shape, size, share in zip(names, shapes, sizes, shares, strict=True):
        most = _budget(share, size) // shape[1]
        count = banks[names.index(name)]
        remedy = f"at most {most}" if most else "joined by a higher density"
        require(count <= most, where, f"banks of layer {name!r}", count,
                f"{remedy}, as its rows of {size // shape[1]} weights keep "
                f"{share * size / shape[1]:.2f} each")  # fmt: skip
