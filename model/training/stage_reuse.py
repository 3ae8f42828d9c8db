"""Runs that begin with the same stages need them once: what a run before has finished is taken up.

A stage depends on its recipe, its data and the stages before it, and on nothing else: taken from
another run, it is byte for byte what training would have made of it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spikewright.golden.errors import BadInput
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training import checkpoint


def common(ours: Recipe, theirs: Recipe) -> int:
    """How many stages, from the first on, are the same in both; never the last of either."""
    count = 0
    for mine, other in zip(ours.plan()[:-1], theirs.plan()[:-1], strict=False):
        if mine != other or _of_stage(ours, count) != _of_stage(theirs, count):
            break
        count += 1
    return count


def _of_stage(recipe: Recipe, place: int) -> dict[str, Any]:
    content = recipe.of_stage(recipe.plan()[place]).as_dict()
    return {key: value for key, value in content.items() if key not in ("name", "stages")}


def finished(recipe: Recipe, data_crc32: int, folders: Sequence[Path]) -> list[Mapping[str, Any]]:
    """The finished stages, as a checkpoint holds them, that any run in `folders` has in common.

    Runs that have other training data, or no checkpoint that can be read, have none.
    """
    best: list[Mapping[str, Any]] = []
    for folder in folders:
        try:
            state, theirs = checkpoint.read(folder)
        except BadInput:
            continue
        done = state.get("done", [])[: common(recipe, theirs)]
        if len(done) > len(best) and state.get("data_crc32") == data_crc32:
            best = done
    return best
