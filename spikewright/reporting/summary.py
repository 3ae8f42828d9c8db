"""Everything that the report shows, gathered from a build folder into one dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spikewright import stimulus, tool_check
from spikewright.golden.equality_chain import Link
from spikewright.golden.errors import BadInput, require
from spikewright.golden.image.image_file import read_manifest
from spikewright.golden.models import engine
from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.nodes import LIF, Readout
from spikewright.layout import BuildFolder, read_json
from spikewright.reporting.page import Shown
from spikewright.results.base import Result
from spikewright.results.measured import ProfileResult, Verification

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network

CYCLE_KINDS = ("busy", "sweep", "waiting", "stalled", "idle")
FIGURES = (
    "name", "timesteps", "weight_bits", "density", "images", "compared_spikes",
    "compared_membranes", "compared_logits", "compared_cycles", "cycle_differences", "mismatches",
    "first_mismatch", "simulator", "stalls_percent",
    "stimulus", "spike_rate", "zeta", "stuck_layers", "corners", "corner_images",
    "fingerprint",
)  # fmt: skip
_CHECK = {
    "fingerprint": str, "links": [Link], "accuracy": float | None, "accuracy_images": int,
}  # fmt: skip
MEASURED = ("cycles_per_inference", "latency_cycles", "utilization", "synops", "energy")


def gather(folder: BuildFolder) -> dict[str, Any]:
    """What `report/summary.json` holds, and what the report is drawn from.

    Raises
    ------
    BadInput
        If the build was not verified or profiled, or another build was: it says what to run.
    """
    try:
        return _gather(folder)
    except KeyError as error:  # written by another version, or by hand
        raise BadInput(
            f"{folder.path}: a result in report/ has no {error}; "
            f"run `spikewright verify {folder.path}`, then `profile`, with --force"
        ) from None


def _gather(folder: BuildFolder) -> dict[str, Any]:
    folder.require_built()
    network = file.load(folder.network)
    fingerprint = file.fingerprint(network)
    verification = _result(folder, "verification", Verification, "verify", fingerprint)
    profile = _result(folder, "profile", ProfileResult, "profile", fingerprint)
    check = _checked(folder, fingerprint)
    scored = check or verification
    return {
        **{name: verification[name] for name in FIGURES},
        **{name: profile[name] for name in MEASURED},
        "accuracy": scored["accuracy"],
        "accuracy_images": scored["accuracy_images"],
        "profile_images": profile["images"],
        "links": [*(check["links"] if check else []), *verification["links"]],
        "layers": _layers(network, profile),
        "provenance": _provenance(network, folder, verification),
    }


def example(folder: BuildFolder) -> Shown:
    """The first image of the build's stimulus, with what it did in every layer."""
    network = file.load(folder.network)
    held = stimulus.load(folder.stimulus, network)
    one = held.first(1)
    label = None if one.labels is None else int(one.labels[0])
    trace = engine.run(network, one.inputs)
    return Shown(np.asarray(one.inputs[0]), trace, label, f"The first of the {held.source}")


def _result(
    folder: BuildFolder, name: str, kind: type[Result], command: str, fingerprint: str
) -> dict[str, Any]:
    path, command = folder.result(name), f"{command} {folder.path}"
    if not path.is_file():
        raise BadInput(f"{folder.path}: report/{name}.json is missing; run `spikewright {command}`")
    found = read_json(path, kind, command)
    require(found["images"] > 0, str(path), "images", found["images"],
            f"at least 1; run `spikewright {command} --force`")  # fmt: skip
    if found["fingerprint"] != fingerprint:
        raise BadInput(
            f"{path}: is about another network than network.safetensors; "
            f"run `spikewright {command}`"
        )
    return found


def _checked(folder: BuildFolder, fingerprint: str) -> dict[str, Any] | None:
    """What `demo` compared with torch, if it was this network."""
    path = folder.result("check")
    found = read_json(path, _CHECK, "demo") if path.exists() else None
    return found if found and found["fingerprint"] == fingerprint else None


def _layers(network: Network, profile: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    measured = {row["node"]: row for row in profile["layers"]}
    for node in network.neurons:
        row, images = measured[node.name], profile["images"]
        edges = network.into(node.name)
        synapses = [edge.synapse for edge in edges]
        trained = [s for s in synapses if isinstance(s, Linear | Conv2d)]
        weights = sum(synapse.weight.size for synapse in trained)
        kept = sum(int(np.count_nonzero(synapse.weight)) for synapse in trained)
        sources = dict.fromkeys(_shape(network.node(edge.source).shape) for edge in edges)
        rows.append(
            {
                "node": node.name,
                "kind": _kind(node),
                "source_shape": ", ".join(sources),
                "shape": _shape(node.shape),
                "connection": _connections(edges),
                "neurons": int(np.prod(node.shape)),
                "weights": weights,
                "kept": kept,
                "weight_bits": max((synapse.weight_bits for synapse in trained), default=None),
                "density": kept / weights if weights else None,
                "spike_rate": row["spike_rate"] if isinstance(node, LIF) else None,
                "zeta": row["zeta"] if isinstance(node, LIF) else None,
                "events_in": row["events_in"],
                "synops": row["synops"],
                "lanes": row["lanes"],
                "cycles": {k: row["counters"][f"{k}_cycles"] / images for k in CYCLE_KINDS},
                "utilization": row["utilization"],
                "memory_bits": row["memory_bits"],
                "memory_bits_total": sum(row["memory_bits"].values()),
            }
        )
    return rows


def _kind(node: LIF | Readout) -> str:
    if isinstance(node, Readout):
        return "readout"
    leak = f"leak {node.leak_mul}/{2**node.leak_shift}" if node.leak_mul else "no leak"
    return f"{leak}, {node.reset}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _connections(edges: tuple[Edge, ...]) -> str:
    """How events arrive; the sender is named where several meet."""
    if len(edges) == 1:
        return _connection(edges[0])
    late = ("", ", a step later")
    return "; ".join(f"{edge.source}: {_connection(edge)}{late[edge.delay]}" for edge in edges)


def _connection(edge: Edge) -> str:
    parts = []
    if edge.pool is not None:
        kind = type(edge.pool).__name__.removesuffix("2d")
        parts.append(f"{kind} {_shape(edge.pool.kernel_size)}")
    if isinstance(edge.synapse, Conv2d):
        parts.append(f"Conv {_shape(edge.synapse.weight.shape[2:])}")
        parts[-1] += _options(edge.synapse)
    elif edge.synapse is not None:
        parts.append(type(edge.synapse).__name__)
    return " → ".join(parts)


def _options(convolution: Conv2d) -> str:
    """What a convolution has beside its kernel; one number where all are the same."""
    words = ""
    for name, numbers, usual in (
        ("padding", convolution.padding, 0),
        ("stride", convolution.stride, 1),
        ("groups", (convolution.groups,), 1),
    ):
        if any(number != usual for number in numbers):
            same = len(set(numbers)) == 1
            words += f", {name} {numbers[0] if same else '/'.join(map(str, numbers))}"
    return words


def _provenance(
    network: Network, folder: BuildFolder, verification: Mapping[str, Any]
) -> dict[str, Any]:
    manifest = read_manifest(folder.path, {"files": {str: str}, "prefix": str})
    source = f"{manifest['prefix']}accelerator.v"
    where = f"{folder.manifest}: files"
    require(source in manifest["files"], where, source, "missing", "there; build again")
    about = {
        "network (sha-256)": verification["fingerprint"],
        "accelerator.v (sha-256)": manifest["files"][source],
        "origin": ", ".join(f"{key} {value}" for key, value in network.meta.items()) or "not told",
        "inputs": f"{verification['stimulus']}, {verification['images']} images",
        "simulation": f"{verification['simulator']}, stalls of "
        f"{', '.join(map(str, verification['stalls_percent']))} %, seed {verification['seed']}",
    }
    versions = tool_check.versions()
    about["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    return about
