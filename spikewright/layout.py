"""Where things lie in a build folder, and how its JSON files are written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikewright.golden import atomic, reading, records
from spikewright.golden.errors import BadInput, show

SCHEMA = 1


@dataclass(frozen=True)
class BuildFolder:
    """`build/NAME`: what was compiled, what was measured, and the report about both."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name: what the network is called in the report."""
        return self.path.resolve().name

    @property
    def network(self) -> Path:
        """The integer network that was compiled."""
        return self.path / "network.safetensors"

    @property
    def manifest(self) -> Path:
        """Lanes, widths, memory map, hashes, versions, seed."""
        return self.path / "manifest.json"

    @property
    def stimulus(self) -> Path:
        """The inputs, and their labels, that `verify` and `profile` use."""
        return self.path / "stimulus.safetensors"

    @property
    def training(self) -> Path:
        """Checkpoint, history and trained network."""
        return self.path / "train"

    @property
    def html(self) -> Path:
        """The report."""
        return self.path / "report" / "report.html"

    def result(self, name: str) -> Path:
        """`report/NAME.json`."""
        return self.path / "report" / f"{name}.json"

    def synthesis(self, target: str) -> Path:
        """`synth/TARGET`: netlist, reports of the router, and `report.json`."""
        return self.path / "synth" / target

    @property
    def steps(self) -> Path:
        """Which inputs gave which outputs: how finished work is recognised."""
        return self.path / "log" / "steps.json"

    def require_built(self) -> None:
        """Raise `BadInput` unless this folder holds a finished build."""
        for path in (self.network, self.manifest):
            if not path.is_file():
                raise BadInput(
                    f"{self.path}: {path.name} is missing, so this is no build folder; "
                    "make one with `spikewright build NETWORK --out FOLDER`"
                )


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, in a folder that is made if it is missing.

    Raises
    ------
    BadInput
        If it cannot be written, or something is there that is no file.
    """
    with atomic.made(path.parent):
        atomic.write_bytes(path, data)


def to_json(values: Mapping[str, Any]) -> str:
    """One JSON object with sorted keys and the schema number, ending in a newline."""
    whole = {"schema": SCHEMA, **values}
    return json.dumps(whole, indent=2, sort_keys=True, default=_plain, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """NumPy numbers and arrays, and paths, as JSON has them."""
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write `values` as a JSON object, atomically; the same values give the same bytes."""
    write_bytes(path, to_json(values).encode())


def read_json(path: Path, form: Any, command: str) -> dict[str, Any]:
    """Those keys of a file of `write_json` that `form` has: see `golden.records`.

    `command` writes it; it is the remedy in messages.

    Raises
    ------
    BadInput
        If the file is missing, damaged, of another schema, or a value is of another type.
    """
    where, remedy = str(path), f"run `spikewright {command} --force`"
    values = reading.read_json(path, where, f"a result: {remedy}")
    if not reading.is_object(values) or values.get("schema") != SCHEMA:
        schema = values.get("schema") if reading.is_object(values) else values
        raise BadInput(f"{where}: schema is {show(schema)}, must be {SCHEMA}: {remedy}")
    return records.checked(form, values, where, remedy)
