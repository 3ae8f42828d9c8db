"""The integer network's file: one safetensors file, schema version 1 or 2. Never pickle.

Tensors are named `NODE.threshold` and `NODE.bias` (int32, one value per channel),
`SOURCE.TARGET.weight` (int8; a second such edge ends in `.weight.1`, and so on) and
`activity.NODE` (int32, of the node's shape). The metadata has one key, `spikewright`: JSON with the
graph, and a sha256 of graph and tensors, so that a flipped bit anywhere is noticed. A file has the
lowest version that can hold its network: 1 for chains, 2 for other graphs and for activity. The
same network gives the same bytes on every machine; whatever `save` has written, `load` accepts.
See docs/network_file.md.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.atomic import write_bytes
from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.network.edges import (
    Conv2d,
    Edge,
    Identity,
    Linear,
    MaxPool2d,
    Operation,
    SumPool2d,
)
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout
from spikewright.golden.network.schema import DEFAULTS, FIELDS, GRAPH, Json, kind_of, object_of
from spikewright.golden.network.tensor_file import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    canonical,
    pack,
    unpack,
)
from spikewright.golden.reading import is_object, parse_json, read_bytes

SCHEMAS = (1, 2)
KEY = "spikewright"
MAX_NODES = 256
MAX_EDGES = 1024
MAX_META = 64
MAX_META_CHARACTERS = 200

Tensors = dict[str, NDArray[np.generic]]

_OPERATIONS: dict[str, type[Operation]] = {
    kind.__name__: kind for kind in (Linear, Conv2d, Identity, SumPool2d, MaxPool2d)
}


def save(network: Network, path: str | Path) -> None:
    """Write a network; the file appears whole or not at all.

    Raises
    ------
    BadInput
        If the place cannot be written to, or the network is beyond the limits of a file.
    """
    write_bytes(path, encode(network))


def load(path: str | Path) -> Network:
    """Read a network, checking everything.

    Raises
    ------
    BadInput
        Naming file, node or tensor, field, value, and what would be right.
    """
    where = f"network file '{path}'"
    return decode(read_bytes(path, where, "a saved network", MAX_FILE_BYTES), where)


def fingerprint(network: Network) -> str:
    """The sha256 of the network's file without its activity, 64 hex digits.

    Equal exactly if the networks are, and so are their origins.
    """
    return hashlib.sha256(encode(replace(network, activity={}))).hexdigest()


def encode(network: Network) -> bytes:
    """The file's bytes: a function of the network alone."""
    _check_sizes(network.nodes, network.edges, "network")
    _check_meta(network.meta, "network")
    tensors: Tensors = {}
    names = _WeightNames()
    graph: Json = {
        "schema": schema_of(network),
        "timesteps": int(network.timesteps),
        "nodes": [_node_out(node, tensors) for node in network.nodes],
        "edges": [_edge_out(edge, tensors, names) for edge in network.edges],
        "meta": dict(network.meta),
    }
    for node, counts in network.activity.items():
        name = f"activity.{node}"
        require(name not in tensors, f"activity of {node!r}", "tensor name", repr(name),
                "free: rename the node 'activity'")  # fmt: skip
        tensors[name] = counts.astype(np.int32)
    signed = graph | {"sha256": _digest(graph, tensors)}
    data = pack({KEY: canonical(signed).decode()}, tensors)
    header = int.from_bytes(data[:8], "little")
    for part, size, limit in (
        ("file", len(data), MAX_FILE_BYTES),
        ("header", header, MAX_HEADER_BYTES),
    ):
        require(size <= limit, "network", f"{part} size", f"{size} bytes", f"at most {limit}")
    return data


def decode(data: bytes, where: str = "network file") -> Network:
    """The network in a file's bytes; `where` names the file in messages. Raises `BadInput`."""
    metadata, tensors = unpack(data, where)
    if set(metadata) != {KEY}:
        keys = show(sorted(metadata))
        raise BadInput(f"{where}: the keys of the metadata are {keys}, must be {KEY!r} alone")
    value = parse_json(metadata[KEY], f"{where}: graph")
    version = value.get("schema") if is_object(value) else None
    require(type(version) is int and version in SCHEMAS, where, "schema", show(version),
            "1 or 2, the versions that this program reads")  # fmt: skip
    graph: Json = object_of(value, GRAPH, f"{where}: graph")
    stored = graph.pop("sha256")
    require(stored == _digest(graph, tensors), where, "sha256", show(stored),
            "that of the graph and the tensors: the file is damaged")  # fmt: skip
    try:
        network = _network_in(graph, _Tensors(dict(tensors)))
        needed = schema_of(network)
        require(cast(int, version) >= needed, "graph", "schema", version,
                f"{needed}, as version 1 holds chains alone, and no activity")  # fmt: skip
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    return network


def schema_of(network: Network) -> int:
    """The lowest version that can hold a network: its file's, so that old readers may read it.

    Version 1: a chain of linear, convolutional and sum-pooling edges in order, from the input to a
    readout, and no activity. Version 2: everything.
    """
    chain = list(itertools.pairwise(node.name for node in network.nodes))
    first = (
        chain == [(edge.source, edge.target) for edge in network.edges]
        and isinstance(network.output, Readout)
        and not any(isinstance(operation, MaxPool2d | Identity)
                    for edge in network.edges for operation in edge.operations)
        and not network.activity
    )  # fmt: skip
    return 1 if first else 2


def _digest(graph: Json, tensors: Tensors) -> str:
    """The sha256 of graph and tensors."""
    digest = hashlib.sha256(canonical(graph))
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(canonical([name, tensor.dtype.name, list(tensor.shape)]))
        digest.update(np.ascontiguousarray(tensor).astype(tensor.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _node_out(node: Node, tensors: Tensors) -> Json:
    if not isinstance(node, Input):
        tensors[f"{node.name}.bias"] = node.bias.astype(np.int32)
    if isinstance(node, LIF):
        tensors[f"{node.name}.threshold"] = node.threshold.astype(np.int32)
    return _fields_out(node)


@dataclass
class _WeightNames:
    """The names of weight tensors; parallel edges are counted."""

    seen: Counter[str] = field(default_factory=Counter[str])

    def next(self, source: str, target: str) -> str:
        name = f"{source}.{target}.weight"
        self.seen[name] += 1
        return name if self.seen[name] == 1 else f"{name}.{self.seen[name] - 1}"


def _edge_out(edge: Edge, tensors: Tensors, names: _WeightNames) -> Json:
    if edge.synapse is not None:
        tensors[names.next(edge.source, edge.target)] = edge.synapse.weight
    operations = [_fields_out(operation) for operation in edge.operations]
    plain: Json = {"source": edge.source, "target": edge.target, "operations": operations}
    return plain | ({"delay": edge.delay} if edge.delay else {})


def _fields_out(item: Node | Operation) -> Json:
    """The fields as JSON holds them, also where a caller gave NumPy numbers."""
    kind = type(item).__name__
    plain: Json = {"kind": kind}
    for name, want in FIELDS[kind].items():
        value = getattr(item, name)
        plain[name] = [int(n) for n in value] if want is list else want(value)
    if isinstance(item, Conv2d):
        top, bottom, left, right = item.padding
        plain["padding"] = [top, left] if (top, left) == (bottom, right) else [*item.padding]
    usual = DEFAULTS.get(kind, {})
    return {key: value for key, value in plain.items() if usual.get(key) != value}


@dataclass
class _Tensors:
    """The file's tensors; each is taken once, and none may be left."""

    left: Tensors

    def take(self, name: str, dtype: type[np.generic]) -> NDArray[Any]:
        if name not in self.left:
            raise BadInput(f"tensor {name!r} is missing, must be there: the graph needs it")
        tensor = self.left.pop(name)
        want = np.dtype(dtype)
        require(tensor.dtype == want, f"tensor {name!r}", "dtype", tensor.dtype, want.name)
        return tensor

    def take_activity(self, nodes: Sequence[Node]) -> dict[str, NDArray[Any]]:
        """The remaining tensors called `activity.NODE`, by node."""
        names = [node.name for node in nodes if f"activity.{node.name}" in self.left]
        return {name: self.take(f"activity.{name}", np.int32) for name in names}

    def finish(self) -> None:
        if self.left:
            name = show(min(self.left))
            raise BadInput(
                f"tensor {name} is unknown, must not be there: the graph has no use for it"
            )


def _network_in(graph: Json, tensors: _Tensors) -> Network:
    nodes, edges = cast(list[object], graph["nodes"]), cast(list[object], graph["edges"])
    _check_sizes(nodes, edges, "graph")
    _check_meta(cast(Json, graph["meta"]), "graph")
    names = _WeightNames()
    built = tuple(_node_in(node, f"node {index}", tensors) for index, node in enumerate(nodes))
    network = Network(
        cast(int, graph["timesteps"]),
        built,
        tuple(_edge_in(edge, f"edge {index}", tensors, names) for index, edge in enumerate(edges)),
        cast(dict[str, str], graph["meta"]),
        tensors.take_activity(built),
    )
    tensors.finish()
    return network


def _node_in(value: object, where: str, tensors: _Tensors) -> Node:
    kind, fields = kind_of(value, ("Input", "LIF", "Readout"), where)
    if kind == "Input":
        return Input(**fields)
    fields["bias"] = tensors.take(f"{fields['name']}.bias", np.int32)
    if kind == "Readout":
        return Readout(**fields)
    fields["threshold"] = tensors.take(f"{fields['name']}.threshold", np.int32)
    return LIF(**fields)


def _edge_in(value: object, where: str, tensors: _Tensors, names: _WeightNames) -> Edge:
    plain = DEFAULTS["Edge"] | value if is_object(value) else value
    fields = object_of(plain, FIELDS["Edge"], where)
    source, target = fields["source"], fields["target"]
    operations: list[Operation] = []
    for item in fields["operations"]:
        kind, options = kind_of(item, tuple(_OPERATIONS), f"{where}: operation")
        try:
            if "weight_bits" in FIELDS[kind]:
                weight = tensors.take(names.next(source, target), np.int8)
                operations.append(cast(Any, _OPERATIONS[kind])(weight, **options))
            else:
                operations.append(cast(Any, _OPERATIONS[kind])(**options))
        except BadInput as error:
            raise BadInput(f"edge {source!r} -> {target!r}: {error}") from None
    return Edge(source, target, tuple(operations), fields["delay"])


def _check_sizes(nodes: Sequence[object], edges: Sequence[object], where: str) -> None:
    for what, items, most in (("nodes", nodes, MAX_NODES), ("edges", edges, MAX_EDGES)):
        require(len(items) <= most, where, f"number of {what}", len(items), f"at most {most}")


def _check_meta(meta: Mapping[Any, object], where: str) -> None:
    """Short strings: they end in file names, reports and messages."""
    require(len(meta) <= MAX_META, where, "number of meta keys", len(meta), f"at most {MAX_META}")
    right = f"a string of at most {MAX_META_CHARACTERS} characters"
    for key, value in meta.items():
        for what, text in (("meta key", key), (f"meta {show(key)}", value)):
            fits = isinstance(text, str) and len(text) <= MAX_META_CHARACTERS
            require(fits, where, what, show(text), right)
