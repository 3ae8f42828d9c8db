"""The memory image on disk: the structure in a build's `manifest.json`, the words in `rtl/*.mem`.

The latter are the files from which the Verilog's memories are initialised.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np

from spikewright.golden.arrays import Array, Ints
from spikewright.golden.errors import BadInput
from spikewright.golden.image.memory_image import CoreImage, EdgeImage, Image, InputImage
from spikewright.golden.image.rows import Layout, Memory, word_dtype

SCHEMA = 2


def memory_files(image: Image, prefix: str = "") -> dict[str, bytes]:
    """The `.mem` files of an image: name -> text, one binary word a line, as $readmemb reads it.

    Names begin with `prefix`.
    """
    files: dict[str, bytes] = {}
    for core in image.cores:
        for name, memory in core.memories.items():
            digits = _digits(memory.layout)
            lines = np.full((len(memory.words), len(digits) + 1), ord("\n"), np.uint8)
            lines[:, :-1] = (memory.words[:, None] >> digits & 1).astype(np.uint8) + ord("0")
            files[f"{prefix}{core.node}_{name}.mem"] = lines.tobytes()
    return files


def _digits(layout: Layout) -> Ints:
    """The bit numbers of a word in the order in which its digits are written: highest first."""
    return np.arange(layout.width - 1, -1, -1)


def describe(image: Image) -> dict[str, Any]:
    """The structure of an image as JSON values; the words stay in the `.mem` files."""
    files = memory_files(image)
    cores: list[dict[str, Any]] = []
    for core in image.cores:
        row = _plain(core)
        row["edges"] = [_plain(edge) for edge in core.edges]
        row["memories"] = {
            name: {
                "fields": list(memory.layout.fields),
                "depth": len(memory.words),
                "sha256": hashlib.sha256(files[f"{core.node}_{name}.mem"]).hexdigest(),
            }
            for name, memory in core.memories.items()
        }
        cores.append(row)
    return {
        "schema": SCHEMA,
        "timesteps": image.timesteps,
        "input": _plain(image.input),
        "fingerprint": image.fingerprint,
        "counting": image.counting,
        "cores": cores,
    }


def _plain(part: CoreImage | EdgeImage | InputImage) -> dict[str, Any]:
    """The fields of a part as JSON values; memories and edges are left out."""
    values = {
        f.name: getattr(part, f.name) for f in fields(part) if f.name not in ("edges", "memories")
    }
    return {
        name: list(value.fields) if isinstance(value, Layout) else value
        for name, value in values.items()
    }


def load_image(folder: str | Path) -> Image:
    """The image of a build folder, read back from `manifest.json` and `rtl/*.mem`.

    Raises
    ------
    BadInput
        If a file is missing, damaged, of another schema, or differs from its hash in the manifest.
    """
    folder = Path(folder)
    path = folder / "manifest.json"
    image, prefix = _manifest(path)
    try:
        cores = tuple(_load_core(folder / "rtl", prefix, dict(row)) for row in image["cores"])
        source = InputImage(**_typed(image["input"]))
        return Image(image["timesteps"], source, cores, image["fingerprint"], image["counting"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"{path}: its image is damaged ({type(error).__name__}: {error}); build again"
        ) from None


def rtl_prefix(folder: str | Path) -> str:
    """What the names of modules and files in `rtl/` of a build folder begin with.

    Raises
    ------
    BadInput
        If the folder has no manifest of a build.
    """
    return _manifest(Path(folder) / "manifest.json")[1]


def rtl_sources(folder: str | Path) -> list[str]:
    """The names of the Verilog files in `rtl/` of a build folder, in the order of compilation.

    Raises
    ------
    BadInput
        If the folder is no build.
    """
    listed = Path(folder) / "rtl" / f"{rtl_prefix(folder)}filelist.f"
    if not listed.is_file():
        raise BadInput(f"{listed}: not found; make it with `spikewright build`")
    return listed.read_text().split()


def _manifest(path: Path) -> tuple[dict[str, Any], str]:
    """The image of a manifest as JSON values, and the prefix of names."""
    try:
        manifest = json.loads(path.read_text())
        image, prefix = manifest["image"], str(manifest.get("prefix", ""))
        schema = image["schema"]
    except FileNotFoundError:
        raise BadInput(f"{path}: not found; make it with `spikewright build`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not the manifest of a build ({error})") from None
    if schema != SCHEMA:
        raise BadInput(f"{path}: schema is {schema}, must be {SCHEMA}; build again")
    return image, prefix


def _load_core(folder: Path, prefix: str, row: dict[str, Any]) -> CoreImage:
    memories: dict[str, Memory] = {}
    for name, about in row.pop("memories").items():
        path = folder / f"{prefix}{row['node']}_{name}.mem"
        try:
            text = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror}); build again") from None
        if hashlib.sha256(text).hexdigest() != about["sha256"]:
            raise BadInput(f"{path}: differs from the hash in manifest.json; build again")
        layout = _layout(about["fields"])
        numbers = _digits(layout)
        lines = np.frombuffer(text, np.uint8).reshape(-1, len(numbers) + 1)
        dtype = word_dtype(layout.width)
        digits: Array = lines[:, :-1].astype(dtype) - ord("0")
        words = np.asarray(digits @ (np.ones(1, dtype) << numbers.astype(dtype)), dtype)
        memories[name] = Memory(layout, words)
    edges = tuple(EdgeImage(**_typed(edge)) for edge in row.pop("edges"))
    return CoreImage(edges=edges, memories=memories, **_typed(row))


def _typed(row: dict[str, Any]) -> dict[str, Any]:
    """JSON values as the fields of a part: lists become tuples, `event` a layout."""
    values = {
        name: tuple(cast(list[Any], value)) if isinstance(value, list) else value
        for name, value in row.items()
    }
    return values | ({"event": _layout(row["event"])} if "event" in row else {})


def _layout(pairs: list[list[Any]]) -> Layout:
    return Layout(tuple((field, width) for field, width in pairs))
