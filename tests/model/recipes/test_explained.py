"""docs/recipes.md and digits.toml explain every key of a recipe, with the code's own rules."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spikewright.model.recipes.fields import keys
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.sections import Neuron, Pruning, Quantization, Training
from spikewright.model.recipes.stages import Stage

ROOT = Path(__file__).parents[3]
TABLES: dict[str, type] = {
    "Top level": Recipe, "`[neuron]`": Neuron, "`[quantization]`": Quantization,
    "`[pruning]`": Pruning, "`[training]`": Training, "`[[stages]]`": Stage,
}  # fmt: skip


def entries(kind: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """The keys of a table with their fields; those of a table inside it dotted.

    The tables of a recipe have headings of their own.
    """
    for name, entry in keys(kind).items():
        nested = entry.metadata.get("table")
        if nested is None:
            yield prefix + name, entry
        elif kind is not Recipe:
            yield from entries(nested, f"{name}.")


def documented(heading: str) -> dict[str, list[str]]:
    """The rows of the first table after a heading by key: values, default, meaning."""
    page = (ROOT / "docs/recipes.md").read_text()
    section = re.split(rf"^### {re.escape(heading)}$", page, maxsplit=1, flags=re.M)[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.M)
    assert table is not None, heading
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in table[0].splitlines()[2:]
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


@pytest.mark.parametrize("heading", TABLES)
def test_the_page_has_every_key_with_its_values_and_default(heading: str) -> None:
    rows = documented(heading)
    fields = dict(entries(TABLES[heading]))
    assert list(rows) == list(fields)
    for key, (values, default, meaning) in rows.items():
        assert values == fields[key].metadata["rule"].expected, key
        assert meaning, key
        check_default(key, default, fields[key])


def check_default(key: str, shown: str, entry: dataclasses.Field[Any]) -> None:
    """A required key shows nothing, an absent value words, any other its TOML literal."""
    if entry.default is dataclasses.MISSING:
        assert shown == "", key
    elif entry.default in (None, ""):
        assert shown, key
        assert "`" not in shown, key
    else:
        literal = re.fullmatch("`(.+)`", shown)
        assert literal is not None, key
        value = tomllib.loads(f"value = {literal[1]}")["value"]
        assert entry.metadata["rule"].convert(value) == entry.default, key
        assert isinstance(value, bool) == isinstance(entry.default, bool), key


def test_digits_toml_explains_every_key_that_is_no_stage() -> None:
    """Each has a line with a comment; one that is commented out shows its default."""
    text = (ROOT / "model/recipes/digits.toml").read_text()
    section, explained = "Top level", dict[str, set[str]]()
    for line in text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = f"`[{header[1]}]`"
        elif key := re.match(r"(# )?(\w+) = ([^#]*)", line):
            explained.setdefault(section, set()).add(key[2])
            entry = keys(TABLES[section])[key[2]]
            if key[1]:
                check_default(key[2], f"`{key[3].strip()}`", entry)
            comment = re.search(r"\S\s+# \S", line) or key[2] == "layers"  # above it: too long
            assert comment, f"{key[2]} has no comment"
    for heading, kind in TABLES.items():
        if kind is not Stage:
            assert explained[heading] == {name for name, _ in entries(kind)} - {"stages"}, heading
