"""Steps that are done once: a step runs again only when one of its inputs has changed.

A step's inputs are named values: options, hashes of files, and a hash of the source code that
does the work. Its outputs are files. `log/steps.json` remembers both, by content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from spikewright.console import Console
from spikewright.golden.errors import BadInput
from spikewright.layout import BuildFolder, read_json, write_json

Inputs = Mapping[str, Any]

_STEP = {"inputs": str, "outputs": {str: str}}
_NOTHING: dict[str, Any] = {"inputs": "", "outputs": {}}

_HERE = Path(__file__).parent
_PARTS = ("golden", "hw", "model", "sim")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def bytes_hash(data: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


@cache
def source_hash(*parts: str) -> str:
    """One hash over the source files of these parts of the kit, so that new code runs again.

    A part is `golden`, `hw`, `model` or `sim`, or `face`: what lies in `spikewright` beside them.
    """
    digest = hashlib.sha256()
    for part in parts:
        files = [path for path in _files(part) if path.suffix in {".py", ".toml", ".j2", ".v"}]
        assert files, f"the part {part!r} of the kit has no source files"
        for path in files:
            digest.update(path.relative_to(_HERE).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(part: str) -> list[Path]:
    """All files of a part; the other parts lie in the folder of the face, as links or for real."""
    if part != "face":
        return sorted((_HERE / part).rglob("*"))
    own = [path for path in _HERE.iterdir() if path.name not in _PARTS]
    return sorted(file for path in own for file in (path.rglob("*") if path.is_dir() else [path]))


def build_hash(folder: BuildFolder) -> str:
    """One hash over all that a result about this build depends on, our code included.

    Raises
    ------
    BadInput
        If the folder is no finished build.
    """
    folder.require_built()
    files = [folder.network, folder.manifest, folder.stimulus]
    files += sorted(path for path in (folder.path / "rtl").rglob("*") if path.is_file())
    digest = hashlib.sha256(source_hash("golden", "hw", "sim", "face").encode())
    for path in files:
        digest.update(f"{path.relative_to(folder.path).as_posix()} {file_hash(path)}\n".encode())
    return digest.hexdigest()


class Steps:
    """The steps of one build folder."""

    def __init__(self, folder: BuildFolder, console: Console, force: bool = False) -> None:
        self.folder, self.console, self.force = folder, console, force

    def run(
        self, name: str, inputs: Inputs, outputs: Sequence[Path], work: Callable[[], object]
    ) -> bool:
        """Do `work`, which writes `outputs`, unless it was done from the same `inputs`.

        Returns whether it ran. A step that fails or is interrupted is not remembered.
        """
        key = hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()
        if not self.force and self._stands(name, key, outputs):
            self.console.kept(name)
            return False
        with self.console.step(name):
            work()
            self._remember(name, key, outputs)
        return True

    def finished(self, name: str, outputs: Sequence[Path]) -> bool:
        """Whether the step was done, from whatever inputs, and its outputs are untouched."""
        hashes = self._known().get(name, _NOTHING)["outputs"]
        return len(hashes) == len(outputs) and all(
            path.is_file() and hashes.get(self._short(path)) == file_hash(path) for path in outputs
        )

    def _stands(self, name: str, key: str, outputs: Sequence[Path]) -> bool:
        known = self._known().get(name, _NOTHING)
        return known["inputs"] == key and self.finished(name, outputs)

    def _remember(self, name: str, key: str, outputs: Sequence[Path]) -> None:
        for path in outputs:
            assert path.is_file(), f"step {name!r} did not write {path}"
        done = {"inputs": key, "outputs": {self._short(p): file_hash(p) for p in outputs}}
        write_json(self.folder.steps, {"steps": {**self._known(), name: done}})

    def _known(self) -> dict[str, Any]:
        try:
            return read_json(self.folder.steps, {"steps": {str: _STEP}}, "")["steps"]
        except BadInput:
            return {}  # missing or damaged: the work is done again

    def _short(self, path: Path) -> str:
        return path.relative_to(self.folder.path).as_posix()
