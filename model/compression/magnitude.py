"""Unstructured magnitude pruning: masks of single weights, and how layers share the budget.

``lamp``     one ranking of all weights by w^2 / (sum of w'^2 over the layer's |w'| >= |w|)
             (Lee et al., ICLR 2021)
``erk``      layer density proportional to (sum of the sides) / (product of the sides): the
             Erdos-Renyi kernel (Evci et al., ICML 2020)
``global``   one ranking of all weights by |w|
``uniform``  the same density in every layer

The budget is the number of weights to keep, rounded down, and a kept weight may still be quantised
to 0. So the density counted on nonzero integers never exceeds the requested one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
Masks = list[NDArray[np.bool_]]


def lamp_scores(weights: Weights) -> Weights:
    """The LAMP score of every weight of one layer, in the shape of `weights`.

    >>> lamp_scores(np.array([1.0, 2.0])).tolist()
    [0.2, 1.0]
    """
    squares = np.square(weights, dtype=np.float64).reshape(-1)
    order = np.argsort(squares, kind="stable")
    larger = np.cumsum(squares[order][::-1])[::-1]
    scores = np.zeros_like(squares)
    scores[order] = squares[order] / np.where(larger > 0, larger, 1)
    return scores.reshape(weights.shape)


def erk_densities(shapes: Sequence[tuple[int, ...]], density: float) -> list[float]:
    """The Erdos-Renyi-kernel density of each layer; layers that would exceed 1 are kept dense.

    >>> [round(d, 4) for d in erk_densities([(4, 4), (16, 16)], 0.25)]
    [0.85, 0.2125]
    """
    sizes = [math.prod(shape) for shape in shapes]
    raw = [sum(shape) / math.prod(shape) for shape in shapes]
    whole: set[int] = set()
    while True:
        budget = density * sum(sizes) - sum(sizes[i] for i in whole)
        spread = sum(raw[i] * sizes[i] for i in range(len(sizes)) if i not in whole)
        factor = budget / spread if spread > 0 else 0.0
        over = [i for i in range(len(sizes)) if i not in whole and factor * raw[i] > 1]
        if not over:
            return [1.0 if i in whole else max(0.0, factor * raw[i]) for i in range(len(sizes))]
        whole.update(over)


def _largest(scores: Weights, keep: int) -> NDArray[np.bool_]:
    """A mask of the `keep` largest scores; of equal ones the later index stays."""
    mask = np.zeros(scores.size, bool)
    order = np.argsort(scores.reshape(-1), kind="stable")
    mask[order[scores.size - keep :]] = True
    return mask.reshape(scores.shape)


def magnitude_masks(weights: Sequence[Weights], density: float, allocation: str) -> Masks:
    """The masks of all layers, of the shapes of `weights`; together at most `density` is kept.

    `allocation` is one of those above.
    """
    if allocation in ("lamp", "global"):
        score = lamp_scores if allocation == "lamp" else np.abs
        scores = [np.asarray(score(w), np.float64).reshape(-1) for w in weights]
        keep = math.floor(density * sum(s.size for s in scores))
        mask = _largest(np.concatenate(scores), keep)
        cuts = np.cumsum([s.size for s in scores])[:-1]
        return [
            part.reshape(w.shape) for part, w in zip(np.split(mask, cuts), weights, strict=True)
        ]
    shapes = [w.shape for w in weights]
    shares = erk_densities(shapes, density) if allocation == "erk" else [density] * len(shapes)
    # the tiny term: 0.3 of 10 weights are 3, although 0.3 * 10 may be rounded to just below
    return [
        _largest(np.abs(w), math.floor(share * w.size + 1e-9))
        for w, share in zip(weights, shares, strict=True)
    ]
