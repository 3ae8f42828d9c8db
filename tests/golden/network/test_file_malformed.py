"""Files that are not right: each is refused in one line, nothing is run, nothing is written.

Cases are built from a good file. Those that change the graph or the tensors sign the file anew,
in code of their own, so that the checks behind the signature are reached.
"""

# Through these also golden.network.schema.

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.network import file, tensor_file
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout

SIZES = {"I8": 1, "I32": 4}
NAMES = {"I8": "int8", "I32": "int32"}

GOOD = file.encode(
    Network(
        2,
        (
            Input("input", (1, 6, 7), "direct", 8),
            LIF("a", (2, 6, 7), np.array([5, 600]), np.array([-1, 2]), 1, 3, "zero", 12),
            Readout("b", (2,), np.array([7, -8]), 1, 4),
        ),
        (
            Edge(
                "input",
                "a",
                (Conv2d(np.arange(-8, 10, dtype=np.int8).reshape(2, 1, 3, 3), 5, (1, 1)),),
            ),
            Edge("a", "b", (SumPool2d((2, 3)), Linear(np.full((2, 12), -1, np.int8), 2))),
        ),
    )
)

# Everything that a chain has not: joins, parallel edges, a loop, a delay, a max pool, gains, spike
# counts at the end, activity.
GRAPH_GOOD = file.encode(
    Network(
        2,
        (
            Input("input", (1, 4, 4), "events", 2),
            LIF("a", (1, 4, 4), np.array([5]), np.array([0]), 1, 3, "zero", 12),
            LIF("b", (2,), np.array([3, 4]), np.array([0, 1]), 0, 0, "subtract", 8),
        ),
        (
            Edge("input", "a", (Identity(np.array([3]), 4),)),
            Edge("a", "a", (Identity(np.array([-2]), 4),), delay=1),
            Edge("a", "b", (MaxPool2d((2, 2)), Linear(np.ones((2, 4), np.int8), 2))),
            Edge("a", "b", (MaxPool2d((2, 2)), Linear(-np.ones((2, 4), np.int8), 2)), delay=1),
        ),
        activity={"input": np.arange(16).reshape(1, 4, 4), "b": np.array([2, 0])},
    )
)


def split(data: bytes) -> tuple[dict, bytes]:
    end = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:end]), data[end:]


def join(header: object, payload: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + payload


def sign(graph: dict, header: dict, payload: bytes) -> dict:
    digest = hashlib.sha256(compact({k: v for k, v in graph.items() if k != "sha256"}))
    for name in sorted(header):
        if name != "__metadata__":
            tensor = header[name]
            begin, end = tensor["data_offsets"]
            digest.update(
                compact([name, NAMES[tensor["dtype"]], tensor["shape"]]) + payload[begin:end]
            )
    return graph | {"sha256": digest.hexdigest()}


def compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def in_header(change: Callable[[dict], object]) -> bytes:
    """The good file with a changed header; the payload as it was."""
    header, payload = split(GOOD)
    change(header)
    return join(header, payload)


def in_graph(change: Callable[[dict], object], signed: bool = True, base: bytes = GOOD) -> bytes:
    header, payload = split(base)
    graph = json.loads(header["__metadata__"]["spikewright"])
    change(graph)
    graph = sign(graph, header, payload) if signed else graph
    header["__metadata__"] = {"spikewright": json.dumps(graph)}
    return join(header, payload)


def in_tensors(change: Callable[[dict[str, np.ndarray]], object], base: bytes = GOOD) -> bytes:
    """Changed tensors (NumPy arrays by name), laid out and signed properly."""
    header, payload = split(base)
    graph = json.loads(header.pop("__metadata__")["spikewright"])
    kinds = {"I8": np.int8, "I32": np.int32}
    tensors = {}
    for name, entry in header.items():
        raw = payload[slice(*entry["data_offsets"])]
        tensors[name] = np.frombuffer(raw, kinds[entry["dtype"]]).reshape(entry["shape"])
    change(tensors)
    header, payload = {}, b""
    for name, array in tensors.items():
        kind = "I8" if array.dtype == np.int8 else "I32"
        place = [len(payload), len(payload) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        payload += array.tobytes()
    header["__metadata__"] = {"spikewright": json.dumps(sign(graph, header, payload))}
    return join(header, payload)


def put(path: str, value: object) -> Callable[[dict], None]:
    """put("a/0/b", value) sets an entry; put("a/b", DROP) removes it."""
    *places, key = (int(place) if place.isdigit() else place for place in path.split("/"))

    def change(item: dict) -> None:
        for place in places:
            item = item[place]
        if value is DROP:
            del item[key]
        else:
            item[key] = value

    return change


DROP = object()


class Canary:
    """Touches a file if ever it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch canary",)


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Canary()))
    return stream.getvalue()


def array_file() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


HEADER, PAYLOAD = split(GOOD)
TEXT = json.dumps(HEADER)
BIAS = HEADER["a.bias"]["data_offsets"]
MANY = {f"t{index}": {"dtype": "I8", "shape": [0], "data_offsets": [0, 0]} for index in range(9000)}
GRAPH = json.loads(HEADER["__metadata__"]["spikewright"])

# name: (bytes of the file, pattern of the refusal)
CASES: dict[str, tuple[bytes, str]] = {
    # What is no safetensors file at all.
    "empty": (b"", "size is 0 bytes"),
    "seven bytes": (GOOD[:7], "size is 7 bytes"),
    "text": (b"hello world, this is no network", "header length"),
    "all zero": (bytes(64), "not JSON"),
    "all ones": (b"\xff" * 64, "header length"),
    **{
        f"pickle, protocol {n}": (
            pickle.dumps([Canary()] * 9, n),
            "is a pickle, which is never opened",
        )
        for n in range(2, 6)
    },
    "pickle, protocol 0": (pickle.dumps(Canary(), 0), "header length"),
    "pickle in the header": (join(pickle.dumps(Canary()), b""), "not JSON"),
    "zip": (zipped(), "is a zip archive"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "is an HDF5 file"),
    "numpy": (array_file(), "is a NumPy array file"),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(90), "is a gzip file"),
    # Length and text of the header.
    "header longer than the file": (struct.pack("<Q", len(GOOD)) + GOOD[8:], "header length is"),
    "header of 2^63 bytes": (struct.pack("<Q", 2**63) + GOOD[8:], f"is {2**63} bytes"),
    "header of 1 MiB and one": (join(b" " * (2**20 + 1), b""), "at most 1048576, the limit"),
    "header of 0 bytes": (join(b"", PAYLOAD), "not JSON"),
    "header one short": (struct.pack("<Q", len(TEXT) - 1) + TEXT.encode() + PAYLOAD, "not JSON"),
    "header not UTF-8": (join(b'{"\xff": 1}', b""), "not JSON"),
    "header with a byte order mark": (join(b"\xef\xbb\xbf" + TEXT.encode(), PAYLOAD), "not JSON"),
    "header a list": (join([], b""), "header is a list"),
    "header a number": (join(b"7", b""), "header is a int"),
    "header nested": (join(b"[" * 2**19, b""), "nested too deeply"),
    "header nested objects": (join(b'{"a":' * 10**5, b""), "nested too deeply"),
    "header with NaN": (join(b'{"a": NaN}', b""), "holds NaN"),
    "header with infinity": (join(b'{"a": -Infinity}', b""), "holds -Infinity"),
    "number of 5000 digits": (join(b'{"a": ' + b"9" * 5000 + b"}", b""), "not JSON"),
    "header twice": (join(TEXT.encode() * 2, PAYLOAD), "not JSON"),
    "duplicate tensor": (
        join(TEXT[:-1].encode() + b', "a.bias": {}}', PAYLOAD),
        "key 'a.bias' appears twice",
    ),
    "duplicate field": (
        join(TEXT.replace('"shape": [2]', '"shape": [2], "shape": [2]', 1).encode(), PAYLOAD),
        "key 'shape' appears twice",
    ),
    "data missing": (GOOD[:-1], "data_offsets is"),
    "data too long": (GOOD + b"\0", "data is 67 bytes long"),
    "no tensors": (join({"__metadata__": HEADER["__metadata__"]}, b""), "sha256"),
    "many tensors": (join(MANY | {"__metadata__": HEADER["__metadata__"]}, b""), "sha256"),
    "sha256 missing": (in_graph(put("sha256", DROP), signed=False), "field 'sha256' is missing"),
    "sha256 wrong": (in_graph(put("sha256", "0" * 64), signed=False), "the file is damaged"),
    "sha256 long": (in_graph(put("sha256", "0" * 99), signed=False), "sha256"),
    "changed, not signed": (in_graph(put("timesteps", 3), signed=False), "the file is damaged"),
    "edge twice": (in_graph(put("edges/1", GRAPH["edges"][0])), "missing"),
    "edge of three operations": (
        in_graph(put("edges/0/operations", GRAPH["edges"][0]["operations"] * 3)),
        "one or two",
    ),
}

# name: (place in the header, value put there, pattern of the refusal)
IN_HEADER: dict[str, tuple[str, object, str]] = {
    "tensor a number": ("a.bias", 1, "tensor 'a.bias': is 1, must be dtype"),
    "tensor without dtype": ("a.bias/dtype", DROP, "must be dtype, shape"),
    "tensor with more": ("a.bias/pickle", "x", "and nothing else"),
    "dtype unknown": ("a.bias/dtype", "I64", "dtype is 'I64', must be I8 or I32"),
    "dtype a float": ("a.bias/dtype", "F32", "dtype is 'F32'"),
    "dtype a list": ("a.bias/dtype", [], r"dtype is \[\]"),
    "shape negative": ("a.bias/shape", [-2], r"shape is \[-2\]"),
    "shape a float": ("a.bias/shape", [2.0], r"shape is \[2.0\]"),
    "shape true": ("a.bias/shape", [True], r"shape is \[True\]"),
    "shape a string": ("a.bias/shape", "2", "shape is '2'"),
    "shape huge": ("a.bias/shape", [2**40, 2**40], f"{2**82} bytes apart"),
    "shape of many axes": ("a.bias/shape", [2] + [1] * 99, "100 axes"),
    "shape too small": ("a.bias/shape", [1], "4 bytes apart"),
    "shape too large": ("a.bias/shape", [3], "12 bytes apart"),
    "offsets one": ("a.bias/data_offsets", [0], "data_offsets is"),
    "offsets reversed": ("a.bias/data_offsets", BIAS[::-1], "data_offsets is"),
    "offsets negative": ("a.bias/data_offsets", [-8, 0], "integers >= 0"),
    "offsets beyond the data": ("a.bias/data_offsets", [10**6, 10**6 + 8], "within the 66 bytes"),
    "offsets huge": ("a.bias/data_offsets", [2**64, 2**64 + 8], "a.bias.data_offsets.0 is 1844"),
    "overlap": ("a.threshold/data_offsets", BIAS, "no overlap, no gap"),
    "gap": ("a.threshold", DROP, "no overlap, no gap"),
    "no metadata": ("__metadata__", DROP, "keys of the metadata"),
    "metadata a list": ("__metadata__", [], "__metadata__"),
    "metadata of a number": ("__metadata__/spikewright", 1, "object of strings"),
    "metadata of another program": ("__metadata__", {"format": "pt"}, "format"),
    "metadata with more": ("__metadata__/more", "x", "alone"),
    "graph no JSON": ("__metadata__/spikewright", "{", "graph: is not JSON"),
    "graph a list": ("__metadata__/spikewright", "[]", "schema is None"),
    "graph with a key twice": (
        "__metadata__/spikewright",
        '{"schema": 1, "schema": 1}',
        "appears twice",
    ),
}

# name: (place in the graph, value put there, pattern of the refusal); signed anew
IN_GRAPH: dict[str, tuple[str, object, str]] = {
    "schema 3": ("schema", 3, "schema is 3, must be 1 or 2, the versions that this"),
    "schema 0": ("schema", 0, "schema is 0"),
    "schema a string": ("schema", "1", "schema is '1'"),
    "schema true": ("schema", True, "schema is True"),
    "schema missing": ("schema", DROP, "schema is None"),
    "unknown key": ("extra", 1, "key is 'extra', must be one of schema"),
    "timesteps 0": ("timesteps", 0, r"timesteps is 0, must be 1\.\."),
    "timesteps huge": ("timesteps", 10**9, "timesteps is 1000000000"),
    "timesteps enormous": ("timesteps", 10**400, "timesteps is a number of about 400 digits"),
    "timesteps a float": ("timesteps", 2.0, "timesteps is 2.0, must be an integer"),
    "timesteps true": ("timesteps", True, "timesteps is True"),
    "meta a list": ("meta", [], "meta is"),
    "meta of a number": ("meta", {"seed": 1}, "meta 'seed' is 1, must be a string"),
    "nodes missing": ("nodes", DROP, "field 'nodes' is missing"),
    "nodes an object": ("nodes", {}, "nodes is"),
    "no nodes": ("nodes", [], "number of nodes is 0"),
    "many nodes": ("nodes", [{}] * 5000, "number of nodes is 5000"),
    "many edges": ("edges", [{}] * 5000, "number of edges is 5000"),
    "edge dropped": ("edges/1", DROP, "node 'a': edges out of it is 0, must be at least 1"),
    "node a string": ("nodes/1", "lif", "node 1: kind is None"),
    "kind unknown": ("nodes/1/kind", "CubaLIF", "kind is 'CubaLIF', must be Input, LIF"),
    "kind a list": ("nodes/1/kind", [], "node 1: kind"),
    "kind misplaced": ("nodes/1/kind", "Readout", "node 1: key is"),
    "name not a name": ("nodes/1/name", "../../a", "missing"),
    "name long": ("nodes/1/name", "a" * 10**5, "node 1: name is 'aaa"),
    "name a number": ("nodes/1/name", 1, "node 1: name is 1"),
    "field missing": ("nodes/1/reset", DROP, "node 1: field 'reset' is missing"),
    "field unknown": ("nodes/1/tau", 2, "node 1: key is 'tau'"),
    "shape of zero": ("nodes/1/shape", [2, 0, 7], "'a': shape"),
    "node shape negative": ("nodes/1/shape", [2, -6, 7], "'a': shape"),
    "node shape of floats": ("nodes/1/shape", [2, 6, 7.5], "node 1: shape"),
    "node shape flat": ("nodes/1/shape", [2, 42], "'a': shape"),
    "node shape deep": ("nodes/1/shape", [2] * 9, "node 1: shape"),
    "node shape huge": ("nodes/1/shape", [2, 65536, 65536], "'a': shape"),
    "node shape wrong": ("nodes/1/shape", [2, 7, 6], r"shape is \(2, 7, 6\), must be \(2, 6, 7\)"),
    "leak_shift 9": ("nodes/1/leak_shift", 9, "leak_shift is 9"),
    "leak_mul too large": ("nodes/1/leak_mul", 9, "leak_mul is 9"),
    "reset unknown": ("nodes/1/reset", "none", "reset is 'none'"),
    "membrane_bits 1": ("nodes/1/membrane_bits", 1, "membrane_bits is 1"),
    "membrane_bits too few": ("nodes/1/membrane_bits", 10, "threshold is 600"),
    "coding unknown": ("nodes/0/coding", "rate", "coding is 'rate'"),
    "bits 9": ("nodes/0/bits", 9, "bits is 9"),
    "signed a number": ("nodes/0/signed", 1, "signed is 1, must be true or false"),
    "edge dangling": ("edges/0/target", "c", "c.weight' is missing"),
    "edge back": ("edges/1/target", "input", "input.weight' is missing"),
    "edge without operations": ("edges/0/operations", [], "operations is"),
    "operation unknown": ("edges/0/operations/0/kind", "eval", "kind is 'eval'"),
    "two pools": (
        "edges/1/operations",
        [{"kind": "SumPool2d", "kernel_size": [1, 1]}] * 2,
        "operations is",
    ),
    "pool of zero": ("edges/1/operations/0/kernel_size", [0, 2], "kernel_size"),
    "pool of one number": ("edges/1/operations/0/kernel_size", [2], "kernel_size"),
    "padding of three": ("edges/0/operations/0/padding", [1, 1, 1], "padding"),
    "padding as large as the kernel": ("edges/0/operations/0/padding", [3, 1], "padding"),
    "padding of five": ("edges/0/operations/0/padding", [1] * 5, "at most four integers"),
    "padding below 0": ("edges/0/operations/0/padding", [1, -1, 1, 1], r"padding is \(1, -1"),
    "padding of one side too large": ("edges/0/operations/0/padding", [1, 3, 1, 1], "smaller"),
    "padding of another shape": ("edges/0/operations/0/padding", [1, 0, 1, 1], "shape"),
    "stride of one number": ("edges/0/operations/0/stride", [1], r"stride is \[1\], must be two"),
    "stride of three": ("edges/0/operations/0/stride", [1, 1, 1], "must be two numbers 1..16"),
    "stride 0": ("edges/0/operations/0/stride", [0, 1], r"stride is \(0, 1\), must be two"),
    "stride 17": ("edges/0/operations/0/stride", [1, 17], "must be two numbers 1..16"),
    "stride a number": ("edges/0/operations/0/stride", 2, "stride is 2, must be a list"),
    "stride of fractions": ("edges/0/operations/0/stride", [1.5, 1], "stride is"),
    "stride of another shape": ("edges/0/operations/0/stride", [2, 1], "shape"),
    "groups 0": ("edges/0/operations/0/groups", 0, "groups is 0, must be a number >= 1"),
    "groups below 0": ("edges/0/operations/0/groups", -1, "groups is -1, must be a number"),
    "groups that do not divide": ("edges/0/operations/0/groups", 3, "divides the 2 target"),
    "groups of another source": ("edges/0/operations/0/groups", 2, "a divisor of the 1 source"),
    "groups true": ("edges/0/operations/0/groups", True, "groups is True, must be an integer"),
    "groups of a linear": ("edges/1/operations/1/groups", 1, "key is 'groups'"),
    "padding a string": ("edges/0/operations/0/padding", "same", "padding is 'same'"),
    "weight_bits 9": ("edges/0/operations/0/weight_bits", 9, "weight_bits is 9"),
    "weight_bits too few": ("edges/0/operations/0/weight_bits", 4, "weight is 8"),
}

# name: (tensor, its new value, pattern of the refusal); signed anew
IN_TENSORS: dict[str, tuple[str, object, str]] = {
    "tensor missing": ("a.bias", DROP, "tensor 'a.bias' is missing"),
    "weights missing": ("a.b.weight", DROP, "tensor 'a.b.weight' is missing"),
    "tensor unknown": ("a.extra", np.zeros(3, np.int8), "tensor 'a.extra' is unknown"),
    "weights as int32": ("a.b.weight", np.zeros((2, 12), np.int32), "dtype is int32, must be int8"),
    "bias as int8": ("a.bias", np.zeros(2, np.int8), "dtype is int8, must be int32"),
    "weights transposed": ("a.b.weight", np.zeros((12, 2), np.int8), "weight shape"),
    "weights flat": ("a.b.weight", np.zeros(24, np.int8), "2 axes"),
    "kernel without taps": ("input.a.weight", np.zeros((2, 1, 0, 3), np.int8), "weight shape"),
    "thresholds too many": ("a.threshold", np.full(3, 5, np.int32), "threshold shape"),
    "threshold 0": ("a.threshold", np.array([0, 5], np.int32), "threshold is 0"),
    "threshold negative": (
        "a.threshold",
        np.array([5, -(2**31)], np.int32),
        "threshold is -2147483648",
    ),
    "threshold above the clamp": (
        "a.threshold",
        np.array([2048, 5], np.int32),
        r"threshold is 2048, must be 1\.\.",
    ),
    "bias of -2^31": ("b.bias", np.array([-(2**31), 0], np.int32), "bias"),
    "bias of two axes": ("b.bias", np.zeros((2, 1), np.int32), "bias shape"),
}

# The same two tables for the graph.
IN_GRAPH_GRAPH: dict[str, tuple[str, object, str]] = {
    "a graph of schema 1": ("schema", 1, "schema is 1, must be 2, as version 1 holds chains"),
    "delay 2": ("edges/1/delay", 2, "edge 'a' -> 'a': delay is 2, must be 0 or 1"),
    "delay below 0": ("edges/1/delay", -1, "delay is -1, must be 0 or 1"),
    "delay true": ("edges/1/delay", True, "edge 1: delay is True, must be an integer"),
    "delay null": ("edges/1/delay", None, "edge 1: delay is None, must be an integer"),
    "delay a fraction": ("edges/1/delay", 1.0, "edge 1: delay is 1.0, must be an integer"),
    "delay enormous": ("edges/1/delay", 10**400, "edges.1.delay is a number of about 400 digits"),
    "delay dropped": ("edges/1/delay", DROP, "delay is 0, must be 1, as the edge does not go"),
    "delay of the input": ("edges/0/delay", 1, "edge 'input' -> 'a': delay is 1, must be 0"),
    "edge with more": ("edges/1/queue", 1, "edge 1: key is 'queue'"),
    "edge a list": ("edges/1", [], r"edge 1: is \[\], must be an object"),
    "source a number": ("edges/1/source", 1, "edge 1: source is 1"),
    "source long": ("edges/1/source", "a" * 10**5, "edge 1: source is 'aaa"),
    "source the output": ("edges/1/source", "b", "b.a.weight' is missing"),
    "max pool of zero": ("edges/2/operations/0/kernel_size", [0, 2], "MaxPool2d: kernel_size"),
    "max pool of one number": ("edges/2/operations/0/kernel_size", [2], "MaxPool2d: kernel_size"),
    "max pool of 17": ("edges/2/operations/0/kernel_size", [2, 17], "MaxPool2d: kernel_size"),
    "max pool over the map": ("edges/2/operations/0/kernel_size", [5, 1], "no larger than"),
    "max pool without size": (
        "edges/2/operations/0/kernel_size", DROP, "field 'kernel_size' is missing",
    ),
    "max pool of true": ("edges/2/operations/0/kernel_size", [True, 2], "kernel_size is"),
    "max pool with weights": ("edges/2/operations/0/weight_bits", 2, "key is 'weight_bits'"),
    "max pool of the input": (
        "edges/0/operations", [{"kind": "MaxPool2d", "kernel_size": [1, 1]}],
        "pool is MaxPool2d, must be SumPool2d or none",
    ),
    "gain with stride": ("edges/0/operations/0/stride", [1, 1], "key is 'stride'"),
    "gain without bits": ("edges/0/operations/0/weight_bits", DROP, "'weight_bits' is missing"),
    "gain of too few bits": ("edges/0/operations/0/weight_bits", 2, "gain is 3, must be -2..1"),
    "gain of nine bits": ("edges/0/operations/0/weight_bits", 9, "weight_bits is 9"),
    "parallel edge dropped": ("edges/3", DROP, "tensor 'a.b.weight.1' is unknown"),
    "weights of a bare pool": (
        "edges/3/operations", [{"kind": "MaxPool2d", "kernel_size": [2, 2]}], "shape",
    ),
    "output a map": ("nodes/2/shape", [2, 1, 1], r"must be \(classes,\), as it is the output"),
    "many parallel edges": ("edges", [{}] * 1025, "number of edges is 1025, must be at most 1024"),
}  # fmt: skip
IN_GRAPH_TENSORS: dict[str, tuple[str, object, str]] = {
    "gain of two axes": ("input.a.weight", np.ones((1, 1), np.int8), "gain shape"),
    "gain of no channel": ("input.a.weight", np.ones(0, np.int8), "gain shape"),
    "gain of more channels": ("input.a.weight", np.ones(2, np.int8), r"gain shape is \(2,\)"),
    "gain as int32": ("input.a.weight", np.ones(1, np.int32), "dtype is int32, must be int8"),
    "gain of the loop missing": ("a.a.weight", DROP, "tensor 'a.a.weight' is missing"),
    "second weights missing": ("a.b.weight.1", DROP, "tensor 'a.b.weight.1' is missing"),
    "third weights": ("a.b.weight.2", np.ones((2, 4), np.int8), "'a.b.weight.2' is unknown"),
    "second weights counted from 0": (
        "a.b.weight.0", np.ones((2, 4), np.int8), "'a.b.weight.0' is unknown",
    ),
    "activity as int8": ("activity.b", np.ones(2, np.int8), "dtype is int8, must be int32"),
    "activity below 0": ("activity.b", np.array([0, -1], np.int32), "count is -1, must be 0"),
    "activity of another shape": ("activity.b", np.ones(3, np.int32), r"shape is \(3,\)"),
    "activity flat": ("activity.input", np.ones(16, np.int32), r"shape is \(16,\), must be"),
    "activity of no node": ("activity.c", np.ones(2, np.int32), "'activity.c' is unknown"),
    "activity of something": ("activity.", np.ones(2, np.int32), "'activity.' is unknown"),
    "activity of a long name": (
        f"activity.{'c' * 9999}", np.ones(2, np.int32), "tensor 'activity.ccc.* is unknown",
    ),
}  # fmt: skip
GRAPHS = ((in_graph, IN_GRAPH_GRAPH), (in_tensors, IN_GRAPH_TENSORS))

for change_in, table in GRAPHS:
    for name, (place, value, message) in table.items():
        assert name not in CASES
        CASES[name] = change_in(put(place, value), base=GRAPH_GOOD), message
for make, table in ((in_header, IN_HEADER), (in_graph, IN_GRAPH), (in_tensors, IN_TENSORS)):
    for name, (place, value, message) in table.items():
        assert name not in CASES
        CASES[name] = make(put(place, value)), message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_good_file_is_good() -> None:
    """The tools of this test rebuild a file that loads: refusals have their own reasons."""
    for data in (
        GOOD,
        in_header(lambda h: None),
        in_graph(lambda g: None),
        in_tensors(lambda t: None),
    ):
        assert file.encode(file.decode(data)) == GOOD
    for data in (
        GRAPH_GOOD,
        in_graph(lambda g: None, base=GRAPH_GOOD),
        in_tensors(lambda t: None, base=GRAPH_GOOD),
        in_graph(put("edges/0/delay", 0), base=GRAPH_GOOD),  # what is usual may be said
    ):
        assert file.encode(file.decode(data)) == GRAPH_GOOD
    assert file.encode(file.decode(in_graph(put("schema", 2)))) == GOOD
    assert len(CASES) >= 190


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_refused(case: tuple[bytes, str], folder: Path) -> None:
    data, message = case
    path = folder / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=message) as refusal:
        file.load(path)
    text = str(refusal.value)
    assert "bad.safetensors" in text
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))
    text.encode("utf-8")
    assert os.listdir(folder) == ["bad.safetensors"]


def test_too_large_a_file_is_not_read(folder: Path) -> None:
    path = folder / "bad.safetensors"
    with path.open("wb") as stream:
        stream.write(GOOD)
        stream.truncate(tensor_file.MAX_FILE_BYTES + 1)  # sparse: takes no disk
    with pytest.raises(BadInput, match="size is 268435457 bytes, must be at most 268435456"):
        file.load(path)
