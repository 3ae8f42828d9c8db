"""Whether a stage's sparsity can be had: checked with the recipe, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from spikewright.golden.errors import require
from spikewright.model.architecture import Layer, Path, weighted
from spikewright.model.compression import pruning_units
from spikewright.model.compression.magnitude import erk_densities


class Wanted(Protocol):
    """The part of `model.recipes.sections.Pruning` that is checked."""

    @property
    def density(self) -> float:
        """Of all weights."""
        ...

    @property
    def allocation(self) -> str:
        """How layers share it."""
        ...

    @property
    def structure(self) -> str:
        """What is kept or dropped as a whole."""
        ...


def check_ranked(word: str, pruning: Wanted, layers: Sequence[Layer], where: str) -> None:
    """The table [pruning] fits a method, `sparse` = `word`, that ranks weights by magnitude.

    Raises
    ------
    BadInput
        Naming the key, and what would be right.
    """
    require(pruning.structure != "channel", where, "pruning.structure", "'channel'",
            f"'none' or 'bank' with sparse = '{word}'")  # fmt: skip
    if pruning.density == 1 or pruning.structure == "bank":  # banks have a check of their own
        return
    paths = weighted(layers)
    if not (reason := _emptied(paths, pruning.density, pruning.allocation)):
        return
    grid = (step / 1000 for step in range(1, 1001))
    least = next(d for d in grid if not _emptied(paths, d, pruning.allocation))
    require(False, where, "pruning.density", pruning.density, f"at least {least}: {reason}")


def check_random(word: str, pruning: Wanted, layers: Sequence[Layer], where: str) -> None:
    """The table [pruning] fits a method, `sparse` = `word`, that begins with random masks.

    Raises
    ------
    BadInput
        Naming the key, and what would be right.
    """
    require(pruning.allocation in ("uniform", "erk"), where, "pruning.allocation",
            repr(pruning.allocation), f"'uniform' or 'erk' with sparse = '{word}', since random "
            "weights have no ranking")  # fmt: skip
    require(pruning.structure != "bank", where, "pruning.structure", "'bank'",
            f"'none' or 'channel' with sparse = '{word}'")  # fmt: skip
    least = pruning_units.least_density(weighted(layers), pruning.structure)
    require(pruning.density >= least, where, "pruning.density", pruning.density,
            f"at least {least}, which leaves every layer a channel")  # fmt: skip


def _emptied(paths: Sequence[Path], density: float, allocation: str) -> str:
    """Which layer `magnitude.magnitude_masks` leaves without weights, whatever they are, or "".

    One ranking of all weights need not empty a layer unless it keeps fewer weights than there are
    layers; "lamp" does not, as the largest weight of every layer has the highest score.
    """
    shapes = [path.weight_shape for path in paths]
    sizes = [math.prod(shape) for shape in shapes]
    if allocation in ("lamp", "global"):
        kept = math.floor(density * sum(sizes))
        return "" if kept >= len(paths) else f"of {len(paths)} layers {kept} would keep a weight"
    shares = erk_densities(shapes, density) if allocation == "erk" else [density] * len(shapes)
    for path, share, size in zip(paths, shares, sizes, strict=True):
        if math.floor(share * size + 1e-9) < 1:
            return f"layer {path.name!r} would keep none of its {size} weights"
    return ""
