"""Whether a stage's sparsity can be had: checked with the recipe, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from golden.errors import require
from model import units
from model.architecture import Path

RANDOM = ("random", "momentum")
"""The ways of `sparse` that begin with random masks."""


class Wanted(Protocol):
    """The part of `model.tables.Pruning` that is checked."""

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


def check(sparse: str, pruning: Wanted, layers: Sequence[Path], where: str) -> None:
    """The table [pruning] fits the way in which the stage prunes.

    Raises
    ------
    BadInput
        Naming the key, and what would be right.
    """
    if sparse == "none":
        return
    if sparse == "admm":
        require(pruning.structure == "none", where, "pruning.structure",
                repr(pruning.structure), "'none' with sparse = 'admm'")  # fmt: skip
    if sparse not in RANDOM:
        require(pruning.structure != "channel", where, "pruning.structure", "'channel'",
                f"'none' or 'bank' with sparse = '{sparse}'")  # fmt: skip
        return
    require(pruning.allocation in ("uniform", "erk"), where, "pruning.allocation",
            repr(pruning.allocation), f"'uniform' or 'erk' with sparse = '{sparse}', since random "
            "weights have no ranking")  # fmt: skip
    require(pruning.structure != "bank", where, "pruning.structure", "'bank'",
            f"'none' or 'channel' with sparse = '{sparse}'")  # fmt: skip
    least = units.least_density(layers, pruning.structure)
    require(pruning.density >= least, where, "pruning.density", pruning.density,
            f"at least {least}, which leaves every layer a channel")  # fmt: skip
