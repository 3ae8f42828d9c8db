"""The network file: same bytes everywhere, readable by the safetensors package, whole or absent."""

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from spikewright.golden import atomic
from spikewright.golden.errors import BadInput
from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.testing import random_chain

ROOT = Path(__file__).parents[3]


def example() -> Network:
    return Network(
        2,
        (
            Input("input", (1, 6, 7), "direct", 8),
            LIF("conv1", (2, 6, 7), np.array([5, 600]), np.array([-1, 2]), 1, 3, "zero", 12),
            Readout("readout", (2,), np.array([7, -8]), 1, 4),
        ),
        (
            Edge(
                "input",
                "conv1",
                (Conv2d(np.arange(-8, 10, dtype=np.int8).reshape(2, 1, 3, 3), 5, (1, 1)),),
            ),
            Edge("conv1", "readout", (SumPool2d((2, 3)), Linear(np.full((2, 12), -1, np.int8), 2))),
        ),
        {"name": "example", "seed": "1"},
    )


def assert_equal(left: Any, right: Any) -> None:
    """Field by field, so that this does not trust the file's own encoding."""
    assert type(left) is type(right)
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype
        assert np.array_equal(left, right)
    elif hasattr(left, "__dataclass_fields__"):
        for field in fields(left):
            assert_equal(getattr(left, field.name), getattr(right, field.name))
    elif isinstance(left, Mapping):
        assert list(left) == list(right)
        for key in left:
            assert_equal(left[key], right[key])
    elif isinstance(left, tuple):
        assert len(left) == len(right)
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    else:
        assert left == right


@pytest.mark.parametrize("seed", range(40))
def test_round_trip(seed: int, tmp_path: Path) -> None:
    network = random_chain.random_network(seed)
    path = tmp_path / "n.safetensors"
    file.save(network, path)
    assert_equal(file.load(path), network)
    assert path.read_bytes() == file.encode(file.load(str(path)))
    assert os.listdir(tmp_path) == ["n.safetensors"]


def looped() -> Network:
    """The example with a loop, a merged skip of its spikes, and activity."""
    base = example()
    gains = Identity(np.array([1, -2]), 3)
    skip = Linear(np.ones((2, 18), np.int8), 2)
    return replace(
        base,
        edges=(
            *base.edges,
            Edge("conv1", "conv1", (gains,), delay=1),
            Edge("conv1", "readout", (MaxPool2d((2, 2)), skip)),
        ),
        activity={"input": np.arange(42).reshape(1, 6, 7)},
    )


@pytest.mark.parametrize(
    ("make", "schema", "fingerprint"),
    [
        (example, 1, "b95b2fbc811c15c727229eb02bb7a92bd77987227a5dcea87146a65124192c1b"),
        (looped, 2, "b37552342578f91d416dc64aef986e01a07f43a50ad3d9aed92d991b4b400868"),
    ],
)
def test_formats_stay(make: Callable[[], Network], schema: int, fingerprint: str) -> None:
    """If this fails, files that users hold have changed: raise the schema, keep reading these."""
    network = make()
    assert file.schema_of(network) == schema
    assert f'\\"schema\\":{schema},' in file.encode(network).decode("latin-1")
    assert file.fingerprint(network) == fingerprint
    assert_equal(file.decode(file.encode(network)), network)


def test_the_lowest_schema_is_written() -> None:
    base = example()
    more = base.edges[1]
    last = LIF("readout", (2,), np.array([1, 1]), np.array([0, 0]), 0, 0, "zero", 4)
    graphs = {
        "a parallel edge": replace(base, edges=(*base.edges, more)),
        "a skip": replace(
            base, edges=(*base.edges, Edge("input", "readout", (Linear(np.ones((2, 42), int), 2),)))
        ),
        "another order of edges": replace(base, edges=base.edges[::-1]),
        "spike counts": replace(base, nodes=(*base.nodes[:-1], last)),
        "a max pool": replace(
            base,
            edges=(base.edges[0], replace(more, operations=(MaxPool2d((2, 3)), more.synapse))),
        ),
        "activity": replace(base, activity={"conv1": np.zeros((2, 6, 7), int)}),
    }
    assert {name: file.schema_of(graph) for name, graph in graphs.items()} == dict.fromkeys(
        graphs, 2
    )
    for graph in graphs.values():
        assert_equal(file.decode(file.encode(graph)), graph)


def test_activity_does_not_show_in_the_fingerprint() -> None:
    base = example()
    active = replace(base, activity={"conv1": np.arange(84).reshape(2, 6, 7), "input": 0 * FRAME})
    assert file.fingerprint(active) == file.fingerprint(base)
    assert file.encode(active) != file.encode(base)
    again = file.decode(file.encode(active))
    assert list(again.activity) == ["conv1", "input"]
    assert again.activity["conv1"].dtype == np.int64
    assert_equal(again, active)


FRAME = np.ones((1, 6, 7), int)


def test_a_node_called_activity_and_one_called_bias() -> None:
    base = example()
    nodes = (
        base.input,
        replace(base.hidden[0], name="activity"),
        replace(base.output, name="bias"),
    )
    ends = (("input", "activity"), ("activity", "bias"))
    edges = tuple(
        replace(edge, source=source, target=target)
        for edge, (source, target) in zip(base.edges, ends, strict=True)
    )
    network = replace(base, nodes=nodes, edges=edges)
    assert_equal(file.decode(file.encode(network)), network)
    assert_equal(
        file.decode(file.encode(replace(network, activity={"input": FRAME}))),
        replace(network, activity={"input": FRAME}),
    )
    spiking = replace(
        network,
        nodes=(*nodes[:2], LIF("bias", (2,), np.array([1, 1]), np.array([0, 0]), 0, 0, "zero", 4)),
        activity={"bias": np.array([1, 2])},
    )
    with pytest.raises(BadInput, match=r"tensor name is 'activity\.bias', must be free: rename"):
        file.encode(spiking)


def test_more_edges_than_a_file_may_hold() -> None:
    base = example()
    network = replace(base, edges=(base.edges[0], *[base.edges[1]] * 1024))
    with pytest.raises(BadInput, match="number of edges is 1025, must be at most 1024"):
        file.encode(network)


def test_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "from spikewright.golden.network import file\n"
        "from spikewright.golden.testing import random_chain\n"
        "print(*(file.fingerprint(random_chain.random_network(seed)) for seed in range(9)))"
    )
    found = set()
    for seed in ("0", "1", "4711"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        out = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
        )
        found.add(out.stdout)
    assert len(found) == 1
    assert len(found.pop().split()) == 9


def test_numpy_numbers_and_meta_order_do_not_show() -> None:
    network = example()
    source, lif, readout = network.nodes
    assert isinstance(source, Input)
    assert isinstance(lif, LIF)
    bits: Any = np.uint8(8)
    leak: Any = np.int16(1)
    steps: Any = np.int64(2)
    nodes = (replace(source, bits=bits), replace(lif, leak_mul=leak), readout)
    other = Network(steps, nodes, network.edges, {"seed": "1", "name": "example"})
    assert file.encode(other) == file.encode(network)


def test_fingerprint_sees_every_field() -> None:
    base = example()
    lif = base.hidden[0]
    variants = [replace(base, timesteps=3), replace(base, meta={})]
    for change in (
        {"threshold": np.array([5, 601])},
        {"bias": np.array([0, 2])},
        {"leak_mul": 2},
        {"leak_shift": 4},
        {"reset": "subtract"},
        {"membrane_bits": 13},
    ):
        variants.append(replace(base, nodes=(base.nodes[0], replace(lif, **change), base.nodes[2])))
    for change in ({"coding": "events"}, {"bits": 7}, {"signed": True}):
        variants.append(replace(base, nodes=(replace(base.input, **change), *base.nodes[1:])))
    first = base.edges[0].operations[0]
    assert isinstance(first, Conv2d)
    # The last two leave the map's shape as it is.
    one_less = np.zeros((2, 1, 2, 3), np.int8)
    for other in (
        replace(first, weight_bits=6),
        Conv2d(one_less, 5, (1, 0, 1, 1)),
        Conv2d(one_less, 5, (0, 1, 1, 1)),
    ):
        edges = (Edge("input", "conv1", (other,)), base.edges[1])
        variants.append(replace(base, edges=edges))
    prints = [file.fingerprint(network) for network in [base, *variants]]
    assert len(set(prints)) == len(prints) == 15


def _options(data: bytes) -> dict[str, Any]:
    """The convolution of a file of `example`, as its graph writes it."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["spikewright"])["edges"][0]["operations"][0]


@pytest.mark.parametrize(
    ("change", "written"),
    [
        ({}, {"padding": [1, 1]}),
        ({"padding": (1, 1, 1, 1)}, {"padding": [1, 1]}),
        ({"padding": (2, 0, 1, 1)}, {"padding": [2, 0, 1, 1]}),
        ({"padding": (2, 2, 2, 2), "stride": (2, 3)}, {"padding": [2, 2], "stride": [2, 3]}),
        ({"groups": 2}, {"padding": [1, 1], "groups": 2}),
    ],
)
def test_options_are_written_where_they_are_not_the_usual(
    change: dict[str, Any], written: dict[str, Any]
) -> None:
    base = example()
    first = base.edges[0].operations[0]
    assert isinstance(first, Conv2d)
    inputs = change.get("groups", 1)
    edge = Edge("input", "conv1", (replace(first, **change),))
    out = edge.output_shape((inputs, 6, 7))
    network = Network(
        2,
        (
            replace(base.input, shape=(inputs, 6, 7)),
            replace(base.hidden[0], shape=out),
            base.output,
        ),
        (
            edge,
            Edge("conv1", "readout", (Linear(np.ones((2, int(np.prod(out))), np.int8), 2),)),
        ),
    )
    data = file.encode(network)
    assert _options(data) == {"kind": "Conv2d", "weight_bits": 5} | written
    assert_equal(file.decode(data), network)


@pytest.mark.parametrize(
    "name",
    [
        "cifar-attention",
        "digits",
        "fashion-stacked",
        "mnist-conv",
        "mnist-fc",
        "mnist-sparse",
        "n-mnist",
    ],
)
def test_shipped_networks_keep_their_bytes(name: str) -> None:
    path = ROOT / "examples" / "networks" / f"{name}.safetensors"
    assert file.encode(file.load(path)) == path.read_bytes()


def test_the_safetensors_package_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    file.save(example(), path)
    tensors = safetensors.numpy.load_file(path)
    assert {name: (str(t.dtype), t.shape) for name, t in tensors.items()} == {
        "conv1.bias": ("int32", (2,)),
        "conv1.threshold": ("int32", (2,)),
        "conv1.readout.weight": ("int8", (2, 12)),
        "input.conv1.weight": ("int8", (2, 1, 3, 3)),
        "readout.bias": ("int32", (2,)),
    }
    assert tensors["conv1.threshold"].tolist() == [5, 600]
    with safetensors.safe_open(path, "np") as opened:
        assert list(opened.metadata()) == ["spikewright"]


def test_a_file_that_the_safetensors_package_wrote(tmp_path: Path) -> None:
    """Another order of tensors and keys, another padding: still the same network."""
    path = tmp_path / "n.safetensors"
    file.save(example(), path)
    with safetensors.safe_open(path, "np") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in reversed(opened.keys())}
    again = tmp_path / "again.safetensors"
    safetensors.numpy.save_file(tensors, again, metadata)
    assert_equal(file.load(again), example())


def test_data_begin_at_eight_bytes() -> None:
    data = file.encode(example())
    assert struct.unpack("<Q", data[:8])[0] % 8 == 0


def test_saving_replaces_a_file_and_keeps_it_when_it_fails(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(b"old")
    file.save(example(), path)
    saved = path.read_bytes()
    assert saved == file.encode(example())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(BadInput, match=r"cannot write .*n\.safetensors.*: No space left"):
        file.save(random_chain.random_network(1), path)
    assert path.read_bytes() == saved
    assert os.listdir(tmp_path) == ["n.safetensors"]


def test_interrupted_saving_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        file.save(example(), tmp_path / "n.safetensors")
    assert os.listdir(tmp_path) == []


def unwritable(tmp_path: Path) -> list[Path]:
    (tmp_path / "plain").write_bytes(b"")
    return [
        tmp_path / "missing" / "n.safetensors",
        tmp_path / "plain" / "n.safetensors",
        tmp_path,
        Path("/proc/n.safetensors"),
        tmp_path / ("n" * 300),
        tmp_path / "null\0byte",
    ]


def test_unwritable_places(tmp_path: Path) -> None:
    for path in unwritable(tmp_path):
        with pytest.raises(BadInput, match="cannot write"):
            file.save(example(), path)
    assert os.listdir(tmp_path) == ["plain"]


def test_unreadable_places(tmp_path: Path) -> None:
    for path in unwritable(tmp_path):
        with pytest.raises(
            BadInput, match=r"network file .*: (is missing|is a folder|cannot be read|name is)"
        ):
            file.load(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is a pipe, must be a saved network"):
        file.load(tmp_path / "pipe")


@pytest.mark.parametrize("meta", [{"a": 1}, {1: "a"}, {"a": None}], ids=str)
def test_meta_are_strings(meta: dict, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="meta"):
        file.save(replace(example(), meta=meta), tmp_path / "n")
    assert os.listdir(tmp_path) == []


def test_what_would_be_refused_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"meta 'name' is 'xxx.*xxx', must be .* 200 characters"):
        file.save(replace(example(), meta={"name": "x" * 201}), tmp_path / "n")
    with pytest.raises(BadInput, match="number of meta keys is 65, must be at most 64"):
        file.save(replace(example(), meta=dict.fromkeys(map(str, range(65)), "")), tmp_path / "n")
    chain = [f"n{index}" for index in range(300)]
    one = np.array([1])
    nodes = [LIF(name, (1,), one, one, 0, 0, "zero", 4) for name in chain]
    edges = [
        Edge(a, b, (Linear(np.ones((1, 1), np.int8), 2),))
        for a, b in zip(chain, [*chain[1:], "out"], strict=True)
    ]
    first = Edge("input", "n0", (Linear(np.ones((1, 1), np.int8), 2),))
    network = Network(
        1, (Input("input", (1,), "direct", 1), *nodes, Readout("out", (1,), one)), (first, *edges)
    )
    with pytest.raises(BadInput, match="number of nodes is 302"):
        file.save(network, tmp_path / "n")
    assert os.listdir(tmp_path) == []
