"""The memory image on disk: the structure in a build's `manifest.json`, the words in `rtl/*.mem`.

The latter are the files from which the Verilog's memories are initialised.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any, cast, get_type_hints

import numpy as np

from spikewright.golden.arrays import Array, Ints
from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.image.memory_image import CoreImage, EdgeImage, Image, InputImage
from spikewright.golden.image.rows import Layout, Memory, word_dtype
from spikewright.golden.reading import is_object, read_bytes, read_json
from spikewright.golden.records import checked

SCHEMA = 3
REMEDY = "build again"
MAX_MEMORY_BYTES = 2**30

_LAYOUT = list[list[str | int]]


def _form(kind: type) -> dict[str, Any]:
    """What the JSON of a part holds: its fields, a layout as pairs of name and width."""
    hints = get_type_hints(kind)
    return {name: _LAYOUT if hint is Layout else hint for name, hint in hints.items()}


_CORE = _form(CoreImage) | {
    "edges": [_form(EdgeImage)],
    "memories": {str: {"fields": _LAYOUT, "depth": int, "sha256": str}},
}
_IMAGE = {
    "timesteps": int, "input": _form(InputImage), "fingerprint": str, "counting": bool,
    "cores": [_CORE], "sha256": str,
}  # fmt: skip


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
    content = {
        "schema": SCHEMA,
        "timesteps": image.timesteps,
        "input": _plain(image.input),
        "fingerprint": image.fingerprint,
        "counting": image.counting,
        "cores": cores,
    }
    return content | {"sha256": _digest(content)}


def _digest(content: dict[str, Any]) -> str:
    """The sha256 of the description of an image, so that an edited manifest is noticed."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
    where = str(folder / "manifest.json")
    found, prefix = _manifest(folder)
    image = checked({"image": _IMAGE}, {"image": found}, where, REMEDY)["image"]
    content = {key: value for key, value in found.items() if key != "sha256"}
    digest = show(image["sha256"])
    require(image["sha256"] == _digest(content), where, "sha256 of the image", digest,
            f"that of the rest of it, which was edited; {REMEDY}")  # fmt: skip
    try:
        cores = tuple(_load_core(folder / "rtl", prefix, dict(row)) for row in image["cores"])
        source = InputImage(**_typed(image["input"]))
        return Image(image["timesteps"], source, cores, image["fingerprint"], image["counting"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{where}: its image is damaged ({type(error).__name__}: {error}); {REMEDY}"
        ) from None


def read_manifest(folder: str | Path, form: dict[str, Any]) -> dict[str, Any]:
    """Those keys of a build's manifest that `form` has; see `golden.records`.

    Raises
    ------
    BadInput
        If there is no such file, or a key is missing or of another type.
    """
    where = str(Path(folder) / "manifest.json")
    found = read_json(where, where, "the manifest that `spikewright build` writes")
    return checked(form, found, where, REMEDY)


def rtl_prefix(folder: str | Path) -> str:
    """What the names of modules and files in `rtl/` of a build folder begin with.

    Raises
    ------
    BadInput
        If the folder has no manifest of a build.
    """
    return _manifest(folder)[1]


def rtl_sources(folder: str | Path) -> list[str]:
    """The names of the Verilog files in `rtl/` of a build folder, in the order of compilation.

    Raises
    ------
    BadInput
        If the folder is no build.
    """
    listed = Path(folder) / "rtl" / f"{rtl_prefix(folder)}filelist.f"
    return (
        read_bytes(listed, str(listed), f"of this build; {REMEDY}").decode(errors="replace").split()
    )


def _manifest(folder: str | Path) -> tuple[dict[str, Any], str]:
    """The image of a manifest as JSON values, whose schema is ours, and the prefix of names."""
    found = read_manifest(folder, {"image": Any, "prefix?": str})
    image = found["image"] if is_object(found["image"]) else {}
    require(image.get("schema") == SCHEMA, str(Path(folder) / "manifest.json"),
            "schema of the image", image.get("schema"), f"{SCHEMA}; {REMEDY}")  # fmt: skip
    return image, found.get("prefix", "")


def _load_core(folder: Path, prefix: str, row: dict[str, Any]) -> CoreImage:
    memories: dict[str, Memory] = {}
    for name, about in row.pop("memories").items():
        path = folder / f"{prefix}{row['node']}_{name}.mem"
        text = read_bytes(path, str(path), f"of this build; {REMEDY}", MAX_MEMORY_BYTES)
        if hashlib.sha256(text).hexdigest() != about["sha256"]:
            raise BadInput(f"{path}: differs from the hash in manifest.json; {REMEDY}")
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
