"""Checkpoints that survive anything: written whole or not at all, read without running code."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from spikewright.golden.atomic import write_bytes
from spikewright.golden.errors import BadInput
from spikewright.golden.reading import opened
from spikewright.model.recipes import recipe as recipes
from spikewright.model.recipes.recipe import Recipe

NAME = "checkpoint.pt"
SCHEMA = 1
ADVICE = "use another folder, or remove it to train from the start"


def save(folder: Path, recipe: Recipe, state: Mapping[str, Any]) -> None:
    """Write `state` (tensors and plain values) with the recipe that it belongs to."""
    buffer = io.BytesIO()
    torch.save(
        {"schema": SCHEMA, "recipe": json.dumps(recipe.as_dict(), sort_keys=True), **state}, buffer
    )
    write_bytes(folder / NAME, buffer.getvalue())


def read(folder: Path) -> tuple[dict[str, Any], Recipe]:
    """The state in `folder`, and the recipe that it belongs to.

    Raises
    ------
    BadInput
        If there is none, or it is damaged or of another version.
    """
    path = folder / NAME
    with opened(path, str(path), f"a checkpoint; {ADVICE}") as stream:
        try:
            state = torch.load(stream, map_location="cpu", weights_only=True)
            schema, found = state["schema"], json.loads(state["recipe"])
        except Exception as error:  # a damaged file can raise anything
            raise BadInput(
                f"{path}: is no readable checkpoint ({type(error).__name__}); {ADVICE}"
            ) from None
    if schema != SCHEMA:
        raise BadInput(f"{path}: schema is {schema}, must be {SCHEMA}; {ADVICE}")
    return state, recipes.from_dict(found, str(path))


def load(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The state in `folder`, or None if there is none.

    Raises
    ------
    BadInput
        As `read`; or if it is of another recipe: then it names the first key that differs.
    """
    path = folder / NAME
    if not path.exists():
        return None
    state, found = read(folder)
    for key, old, new in _differences(found.as_dict(), recipe.as_dict()):
        raise BadInput(
            f"{path}: belongs to another recipe: {key} is {old!r} there and {new!r} here; {ADVICE}"
        )
    return state


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            found.append((prefix + key, a, b))
    return found
