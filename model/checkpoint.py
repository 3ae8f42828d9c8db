"""Checkpoints that survive anything: written whole or not at all, read without running code."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from golden.atomic import write_bytes
from golden.errors import BadInput
from model.recipe import Recipe

NAME = "checkpoint.pt"
SCHEMA = 1


def make_folder(folder: Path) -> None:
    """Create the output folder.

    Raises
    ------
    BadInput
        If it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"folder {folder}: cannot be made ({error.strerror}), must be a writable folder"
        ) from None
    if not os.access(folder, os.W_OK):
        raise BadInput(f"folder {folder}: is not writable, must be a writable folder")


def save(folder: Path, recipe: Recipe, state: Mapping[str, Any]) -> None:
    """Write `state` (tensors and plain values) with the recipe that it belongs to."""
    buffer = io.BytesIO()
    torch.save(
        {"schema": SCHEMA, "recipe": json.dumps(recipe.as_dict(), sort_keys=True), **state}, buffer
    )
    write_bytes(folder / NAME, buffer.getvalue())


def load(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The state in `folder`, or None if there is none.

    Raises
    ------
    BadInput
        If it is damaged, of another version, or of another recipe: then it names the first key
        that differs.
    """
    path = folder / NAME
    if not path.exists():
        return None
    advice = "use another folder, or remove it to train from the start"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        schema, found = state["schema"], json.loads(state["recipe"])
    except Exception as error:  # a damaged file can raise anything
        raise BadInput(
            f"{path}: is no readable checkpoint ({type(error).__name__}); {advice}"
        ) from None
    if schema != SCHEMA:
        raise BadInput(f"{path}: schema is {schema}, must be {SCHEMA}; {advice}")
    for key, old, new in _differences(found, recipe.as_dict()):
        raise BadInput(
            f"{path}: belongs to another recipe: {key} is {old!r} there and {new!r} here; {advice}"
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
