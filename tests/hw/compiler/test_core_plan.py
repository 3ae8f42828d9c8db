"""Graphs in the compiler: joins, windows, queues, spike counts, refusals; 500 images executed."""

from collections import Counter

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image import interpreter
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import compare
from spikewright.golden.testing.random_chain import random_inputs
from spikewright.golden.testing.random_graph import GRAPH_FEATURES, features, random_graph
from spikewright.hw.compiler.compile_network import MAX_CORES, compile_network
from spikewright.hw.options import BuildOptions

seen = Counter()


@pytest.mark.parametrize("block", range(10))
def test_500_random_graphs_equal_the_reference(block):
    for seed in range(50 * block, 50 * block + 50):
        network = random_graph(seed)
        inputs = network.check_inputs(random_inputs(network, 3, seed))
        rng = np.random.default_rng(seed)
        lanes = {n.name: int(rng.integers(1, min(9, n.shape[0]) + 1)) for n in network.neurons}
        if isinstance(network.output, Readout):
            name = network.output.name
            lanes[name] = 1 << (lanes[name].bit_length() - 1)
        image = compile_network(network, BuildOptions(lanes))
        comparison = compare(reference.run(network, inputs), interpreter.run(image, inputs))
        assert comparison.mismatches == 0, f"seed {seed}: {comparison.first}"
        assert comparison.membranes > 0
        seen.update(features(network))
        seen.update(_forms(image))
    if block == 9:
        wanted = {*GRAPH_FEATURES, "relative", "absolute", "pointers", "no pointers",
                  "full queue", "short queue"}  # fmt: skip
        assert wanted - set(seen) == set()


def _forms(image):
    """What was chosen for the cores and edges of an image."""
    for core in image.cores:
        yield "relative" if core.relative else "absolute"
        for length in core.row_lengths:
            yield "pointers" if length is None else "no pointers"
        for edge in core.edges:
            if edge.delay:
                yield "short queue" if edge.depth == 4 else "full queue"


def lif(name, shape):
    channels = np.zeros(shape[0], int)
    return LIF(name, shape, channels + 2, channels, 1, 2, "subtract", 8)


def conv(out, inputs, seed=0):
    return Conv2d(np.random.default_rng(seed).integers(-3, 4, (out, inputs, 3, 3)), 3, (1, 1))


def graph(*edges, shape=(2, 6, 6), names=("a", "b", "c"), output=None):
    """Maps of one shape joined as given, and all of the last one into a readout."""
    end = output or Readout("out", (3,), np.zeros(3, int))
    weight = np.random.default_rng(1).integers(-3, 4, (3, int(np.prod(shape))))
    nodes = [Input("input", shape, "events", 1), *(lif(name, shape) for name in names), end]
    return Network(3, tuple(nodes), (*edges, Edge(names[-1], "out", (Linear(weight, 3),))))


def chain(*more, names=("a", "b", "c"), **options):
    """The maps one behind the other, and further edges."""
    pairs = zip(("input", *names), names, strict=False)
    edges = (Edge(source, target, (conv(2, 2),)) for source, target in pairs)
    return graph(*edges, *more, names=names, **options)


def core_of(image, name):
    return next(core for core in image.cores if core.node == name)


def test_edges_that_meet_lie_one_behind_the_other():
    gain = Identity(np.array([1, -2]), 3)
    image = compile_network(chain(Edge("a", "c", (gain,))), BuildOptions(2))
    core = core_of(image, "c")
    assert [edge.source for edge in core.edges] == ["b", "a"]
    first, second = core.edges
    assert (first.row_start, second.row_start, second.rows) == (0, first.rows, 2)
    assert core.row_count == first.rows + 2
    # Nine taps of the convolution, then the one of the identity, which is at place 0 of its masks.
    taps = core.memories["taps"]
    assert len(taps.words) == 10
    assert [int(taps.field(name)[9]) for name in ("offset", "ky", "kx")] == [0, 0, 0]
    rows = [core.rows(lane) for lane in range(core.lanes)]
    found = {
        (row, int(r.tap[r.start[first.rows + row]]), int(r.weight[r.start[first.rows + row], 0]))
        for r in rows for row in (0, 1) if r.length[first.rows + row]
    }  # fmt: skip
    code = core_of(image, "a").codes
    assert found == {(code[0], 9, 1), (code[1], 9, -2)}
    assert core.memories["table_x_1"].layout.bits("mask") == 1


@pytest.mark.parametrize(
    ("source", "target", "depth"),
    [
        ("a", "a", 2 * 36 + 2),  # a node to itself
        ("a", "c", 2 * 36 + 2),  # beside a path without delay
        ("c", "a", 4),  # back
    ],
)
def test_a_queue_holds_a_step_only_where_it_may_have_to_wait(source, target, depth):
    image = compile_network(chain(Edge(source, target, (conv(2, 2),), 1)), BuildOptions(2))
    edge = core_of(image, target).edges[-1]
    assert (edge.delay, edge.depth) == (1, depth)
    assert {e.depth for core in image.cores for e in core.edges if not e.delay} == {0}


def pooled(*pools):
    """One map whose edges out begin with the given pools (None: none)."""
    shape = (2, 5, 4)
    nodes = [Input("input", shape, "events", 1), lif("map", shape)]
    edges = [Edge("input", "map", (conv(2, 2),))]
    for index, pool in enumerate(pools):
        before = (pool,) if pool else ()
        size = Edge("map", "x", before).output_shape(shape) if pool else shape
        weight = np.ones((3, int(np.prod(size))), int)
        edges.append(Edge("map", f"to{index}", (*before, Linear(weight, 3))))
        nodes.append(lif(f"to{index}", (3,)))
        edges.append(Edge(f"to{index}", "out", (Linear(np.ones((2, 3), int), 3),)))
    return Network(2, (*nodes, Readout("out", (2,), np.zeros(2, int))), tuple(edges))


def test_a_max_pool_is_the_order_of_the_senders_sweep():
    image = compile_network(pooled(MaxPool2d((2, 2)), MaxPool2d((2, 2))), BuildOptions(1))
    core = core_of(image, "map")
    assert core.window == (2, 2)
    assert core.event.fields == (("x", 1), ("y", 1), ("c", 1))
    for name in ("to0", "to1"):
        edge = core_of(image, name).edges[0]
        assert edge.event == core.event
        assert edge.row_bits == 2  # the windows of a 2 x 2 map
    assert {c.window for c in image.cores if c.node != "map"} == {(1, 1)}


@pytest.mark.parametrize(
    ("pools", "shown"),
    [
        ((MaxPool2d((2, 2)), None), "2 x 2, 1 x 1, must be one; all of them 2 x 2"),
        ((SumPool2d((2, 2)), MaxPool2d((1, 2))), "1 x 1, 1 x 2, must be one; all of them 1 x 1"),
        ((MaxPool2d((2, 2)), MaxPool2d((2, 1))), "2 x 2, 2 x 1"),
    ],
)
def test_windows_of_one_sweep_that_differ_are_refused(pools, shown):
    with pytest.raises(BadInput, match=f"node 'map': max-pool windows of its edges is {shown}"):
        compile_network(pooled(*pools))


def test_a_spiking_output_is_counted_by_a_core_of_its_own():
    network = chain(output=lif("out", (3,)))
    image = compile_network(network, BuildOptions({"a": 1, "b": 2, "c": 1, "out": 3}))
    out, count = image.cores[-2:]
    assert image.counting
    assert (count.node, count.kind, count.lanes) == ("out_count", "readout", 1)
    assert (count.edges[0].source, count.edges[0].event) == ("out", out.event)
    assert count.state_bits == 3  # three steps
    inputs = np.ones((1, 3, 2, 6, 6), int)
    trace = interpreter.run(image, inputs)
    assert "out_count" not in trace.membranes
    assert trace.logits.tolist() == trace.spikes["out"].sum(axis=1).tolist()
    assert trace.logits.sum() > 0


def test_the_name_of_the_counting_core_must_be_free():
    network = chain(names=("a", "out_count", "c"), output=lif("out", (3,)))
    message = r"node 'out_count': name is 'out_count', must be another, as the core that counts"
    with pytest.raises(BadInput, match=message):
        compile_network(network)


def test_more_cores_than_counters_are_refused():
    edges = [Edge("input" if i == 0 else f"n{i - 1}", f"n{i}", (Identity([1], 2),))
             for i in range(MAX_CORES)]  # fmt: skip
    names = tuple(f"n{i}" for i in range(MAX_CORES))
    network = graph(*edges, shape=(1, 1, 1), names=names)
    message = r"node 'out': number of cores up to it is 33, must be at most 32; drop 1 nodes"
    with pytest.raises(BadInput, match=message):
        compile_network(network)
    fits = graph(*edges[:-1], shape=(1, 1, 1), names=names[:-1])
    assert len(compile_network(fits).cores) == MAX_CORES
