"""The memory image: every table, row and constant that the accelerator executes, word by word.

The compiler makes it, hardware memories are filled from it, `golden.interpreter` executes it. On
disk it is the `manifest.json` of a build (structure) and the `rtl/*.mem` files (words), the very
files from which the Verilog's memories are initialised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from golden.errors import BadInput
from golden.rows import Layout, Memory, bits_for

SCHEMA = 1


@dataclass(frozen=True, eq=False)
class CoreImage:
    """One core: the lanes that compute one node, and the decoder that feeds them.

    A neuron (channel, y, x) sits in lane `code & (2^lane_bits - 1)` at address
    `(y * width + x) * local_channels + (code >> lane_bits)`, where `code = codes[channel]`.

    Memories (L lanes, `_l` per lane)
        table_y, table_x: for every source row, column: `mask` of valid taps, `row` (under a
        stride the residue) and `base` (the quotient) to add. taps: for every kernel position
        (under a stride its quotient) the `offset` and the place `ky`, `kx` in the masks.
        pointers_l, entries_l: the weight rows. constants_l: `threshold` and `bias` of every
        local channel.
    """

    node: str
    kind: Literal["lif", "readout"]
    shape: tuple[int, ...]
    lanes: int
    local_channels: int
    codes: tuple[int, ...]
    event: Layout
    value_signed: bool
    direct: bool
    row_bits: int
    leak_mul: int
    leak_shift: int
    reset: Literal["subtract", "zero", "none"]
    clamp_bits: int
    state_bits: int
    acc_bits: int
    drive_bits: int
    memories: Mapping[str, Memory]

    @property
    def size(self) -> tuple[int, int, int]:
        """The node's shape as (channels, height, width)."""
        channels, height, width = (*self.shape, 1, 1)[:3]
        return channels, height, width

    @property
    def words(self) -> int:
        """Membrane words in each lane."""
        _, height, width = self.size
        return height * width * self.local_channels

    @property
    def address_bits(self) -> int:
        """Bits of a membrane address; at least 1."""
        return max(bits_for(self.words), 1)

    @property
    def lane_bits(self) -> int:
        """Bits of a lane number, the low bits of a channel code."""
        return bits_for(self.lanes)

    @property
    def code_bits(self) -> int:
        """Bits of a channel code."""
        return self.lane_bits + bits_for(self.local_channels)

    @property
    def word_bits(self) -> int:
        """Bits of a membrane word: the accumulator, or state and drive side by side."""
        return self.state_bits + self.drive_bits if self.direct else self.acc_bits

    @property
    def neurons(self) -> NDArray[np.int32]:
        """(lanes, words): the flat C-order index of the neuron there, or -1 for padding."""
        _, height, width = self.size
        table = np.full((self.lanes, height * width, self.local_channels), -1, np.int32)
        positions = np.arange(height * width)
        for channel, code in enumerate(self.codes):
            lane, local = code & ((1 << self.lane_bits) - 1), code >> self.lane_bits
            table[lane, :, local] = channel * height * width + positions
        return table.reshape(self.lanes, self.words)

    @property
    def memory_bits(self) -> dict[str, int]:
        """Storage in bits: weights (entries), pointers, membranes, and tables with constants."""
        total = {"weights": 0, "pointers": 0, "tables": 0}
        for name, memory in self.memories.items():
            key = {"entries": "weights", "pointers": "pointers"}.get(
                name.rsplit("_", 1)[0], "tables"
            )
            total[key] += memory.bits
        return total | {"membranes": self.lanes * self.words * self.word_bits}


@dataclass(frozen=True, eq=False)
class Image:
    """All cores of an accelerator. `fingerprint` is that of the network it was compiled from."""

    timesteps: int
    input_shape: tuple[int, ...]
    cores: tuple[CoreImage, ...]
    fingerprint: str

    @property
    def input_layout(self) -> Layout:
        """The fields of one input event, as `in_data` carries them."""
        return self.cores[0].event

    @property
    def output_layout(self) -> Layout:
        """The fields of one logit, as `out_data` carries them."""
        last = self.cores[-1]
        return Layout.of(index=max(bits_for(int(np.prod(last.shape))), 1), value=last.state_bits)


def memory_files(image: Image) -> dict[str, bytes]:
    """The `.mem` files of an image: name -> text, one binary word a line, as $readmemb reads it."""
    files = {}
    for core in image.cores:
        for name, memory in core.memories.items():
            width = memory.layout.width
            lines = (format(int(word), f"0{width}b") for word in memory.words)
            files[f"{core.node}_{name}.mem"] = ("\n".join(lines) + "\n").encode()
    return files


def describe(image: Image) -> dict[str, Any]:
    """The structure of an image as JSON values; the words stay in the `.mem` files."""
    files = memory_files(image)
    cores = []
    for core in image.cores:
        row = {
            f.name: getattr(core, f.name)
            for f in fields(core)
            if f.name not in ("event", "memories")
        }
        row["event"] = list(core.event.fields)
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
        "input_shape": list(image.input_shape),
        "fingerprint": image.fingerprint,
        "cores": cores,
    }


def load_image(folder: str | Path) -> Image:
    """The image of a build folder, read back from `manifest.json` and `rtl/*.mem`.

    Raises
    ------
    BadInput
        If a file is missing, damaged, of another schema, or differs from the hash in the manifest.
    """
    folder = Path(folder)
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        image = manifest["image"]
        schema = image["schema"]
    except FileNotFoundError:
        raise BadInput(f"{path}: not found; make it with `spikewright build`") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not the manifest of a build ({error})") from None
    if schema != SCHEMA:
        raise BadInput(f"{path}: schema is {schema}, must be {SCHEMA}; build again")
    try:
        cores = tuple(_load_core(folder / "rtl", dict(row)) for row in image["cores"])
        return Image(image["timesteps"], tuple(image["input_shape"]), cores, image["fingerprint"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"{path}: its image is damaged ({type(error).__name__}: {error}); build again"
        ) from None


def _load_core(folder: Path, row: dict[str, Any]) -> CoreImage:
    memories = {}
    for name, about in row.pop("memories").items():
        path = folder / f"{row['node']}_{name}.mem"
        try:
            text = path.read_bytes()
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror}); build again") from None
        if hashlib.sha256(text).hexdigest() != about["sha256"]:
            raise BadInput(f"{path}: differs from the hash in manifest.json; build again")
        layout = Layout(tuple((field, width) for field, width in about["fields"]))
        memories[name] = Memory(layout, np.array([int(line, 2) for line in text.split()], np.int64))
    event = Layout(tuple((field, width) for field, width in row.pop("event")))
    shape, codes = tuple(row.pop("shape")), tuple(row.pop("codes"))
    return CoreImage(shape=shape, codes=codes, event=event, memories=memories, **row)
