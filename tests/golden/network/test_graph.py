"""Graphs by hand: joins, delays, pools, identities, spiking outputs; and what is no network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, reference
from spikewright.golden.network import operations
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.file import decode, encode, fingerprint
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout
from spikewright.golden.network.trace import Trace, compare
from spikewright.golden.network.widths import node_widths
from spikewright.golden.testing import chain_coverage, graph_coverage, random_chain, random_graph

RUNS: tuple[Callable[..., Trace], ...] = (reference.run, engine.run)


def lif(name: str, shape: tuple[int, ...] = (1,), threshold: int = 2) -> LIF:
    channels = shape[0]
    return LIF(name, shape, [threshold] * channels, [0] * channels, 0, 0, "subtract", 8)


def one(source: str, target: str, weight: int = 1, delay: int = 0) -> Edge:
    return Edge(source, target, (Linear(np.array([[weight]]), 4),), delay)


def chain(*edges: Edge, nodes: tuple[Node, ...] = (), steps: int = 4) -> Network:
    first = Input("input", (1,), "events", 1)
    return Network(steps, (first, *nodes), edges)


ALL_ONES = np.ones((1, 4, 1), np.int64)


@pytest.mark.parametrize("run", RUNS)
def test_join_adds(run: Callable[..., Trace]) -> None:
    network = chain(
        one("input", "a", 2), one("a", "r", 3), one("input", "r", 4),
        nodes=(lif("a"), Readout("r", (1,), [0])),
    )  # fmt: skip
    assert run(network, ALL_ONES).membranes["r"].ravel().tolist() == [7, 14, 21, 28]


@pytest.mark.parametrize("run", RUNS)
def test_delayed_edge_carries_the_step_before(run: Callable[..., Trace]) -> None:
    network = chain(
        one("input", "a", 2), one("a", "r", 1), one("a", "r", 3, delay=1),
        nodes=(lif("a"), Readout("r", (1,), [0])),
    )  # fmt: skip
    inputs = np.array([[[1], [0], [0], [1]]])
    assert run(network, inputs).membranes["r"].ravel().tolist() == [1, 4, 4, 5]
    # Nothing is carried over from one inference to the next.
    twice = run(network, np.concatenate([inputs, inputs]))
    assert twice.logits.ravel().tolist() == [5, 5]


@pytest.mark.parametrize("run", RUNS)
def test_self_loop(run: Callable[..., Trace]) -> None:
    network = chain(
        one("input", "a", 2), one("a", "a", -2, delay=1), one("a", "r", 1),
        nodes=(lif("a"), Readout("r", (1,), [0])),
    )  # fmt: skip
    # A spike forbids the next one: 2, then 2 - 2, then 2 + 0.
    assert run(network, ALL_ONES).spikes["a"].ravel().tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("run", RUNS)
def test_max_pool_is_or_and_sum_pool_adds(run: Callable[..., Trace]) -> None:
    first = Input("input", (1, 3, 3), "events", 1)
    gain = Identity([1], 4)
    nodes = (first, lif("a", (1, 3, 3), 1), lif("m", (1, 1, 1), 1), lif("s", (1, 1, 1), 4),
             Readout("r", (1,), [0]))  # fmt: skip
    edges = (
        Edge("input", "a", (gain,)),
        Edge("a", "m", (MaxPool2d((2, 2)),)),
        Edge("a", "s", (SumPool2d((2, 2)),)),
        Edge("m", "r", (Linear(np.array([[5]]), 4),)),
        Edge("s", "r", (Linear(np.array([[7]]), 4),)),
    )
    frame = np.zeros((1, 2, 1, 3, 3), np.int64)
    frame[0, 0, 0, :2, :2] = 1
    frame[0, 1, 0, 2, :] = 1  # lies in no whole window
    trace = run(Network(2, nodes, edges), frame)
    assert trace.spikes["m"].ravel().tolist() == [1, 0]
    assert trace.spikes["s"].ravel().tolist() == [1, 0]
    assert trace.logits.tolist() == [[12]]


@pytest.mark.parametrize("run", RUNS)
def test_identity_has_a_gain_per_channel(run: Callable[..., Trace]) -> None:
    first = Input("input", (2, 1, 2), "events", 3, signed=True)
    nodes = (first, lif("a", (2, 1, 2), 100), Readout("r", (1,), [0]))
    edges = (
        Edge("input", "a", (Identity([3, -2], 4),)),
        Edge("a", "r", (Linear(np.ones((1, 4), np.int8), 4),)),
    )
    trace = run(Network(1, nodes, edges), np.array([[[[[1, -4]], [[3, 2]]]]]))
    assert trace.membranes["a"].ravel().tolist() == [3, -12, -6, -4]


@pytest.mark.parametrize("run", RUNS)
def test_spiking_output_counts_and_the_lowest_wins_ties(run: Callable[..., Trace]) -> None:
    edge = Edge("input", "out", (Linear(np.array([[1], [2], [2]]), 4),))
    trace = run(chain(edge, nodes=(lif("out", (3,)),)), ALL_ONES)
    assert trace.logits.tolist() == [[2, 4, 4]]
    assert trace.predictions.tolist() == [1]


@pytest.mark.parametrize("run", RUNS)
def test_direct_frame_into_a_later_node(run: Callable[..., Trace]) -> None:
    nodes = (Input("input", (1,), "direct", 4), lif("a", threshold=9), Readout("r", (1,), [0]))
    network = Network(3, nodes, (one("input", "a", 1), one("input", "r", 2), one("a", "r", 5)))
    assert run(network, np.array([[5]])).membranes["r"].ravel().tolist() == [10, 25, 35]


@pytest.mark.parametrize("run", RUNS)
def test_two_nodes_in_a_loop(run: Callable[..., Trace]) -> None:
    network = chain(
        one("input", "a", 2), one("a", "b", 2), one("b", "a", -1, delay=1), one("b", "r", 1),
        nodes=(lif("a"), lif("b"), Readout("r", (1,), [0])),
    )  # fmt: skip
    trace = run(network, ALL_ONES)
    # a: 2 fires; 0 + 2 - 1; 1 + 2 fires, 1 stays; 1 + 2 - 1 fires.
    assert trace.membranes["a"].ravel().tolist() == [0, 1, 1, 0]
    assert trace.spikes["a"].ravel().tolist() == trace.spikes["b"].ravel().tolist() == [1, 0, 1, 1]
    assert trace.membranes["r"].ravel().tolist() == [1, 1, 2, 3]


@pytest.mark.parametrize("run", RUNS)
def test_diamond(run: Callable[..., Trace]) -> None:
    network = chain(
        one("input", "a", 2), one("a", "b", 2), one("a", "c", 3),
        one("b", "r", 7), one("c", "r", -5),
        nodes=(lif("a"), lif("b", threshold=3), lif("c", threshold=3), Readout("r", (1,), [0])),
    )  # fmt: skip
    trace = run(network, ALL_ONES)
    assert trace.spikes["b"].ravel().tolist() == [0, 1, 1, 0]  # 2; 4, 1 stays; 3; 2
    assert trace.spikes["c"].ravel().tolist() == [1, 1, 1, 1]
    assert trace.membranes["r"].ravel().tolist() == [-5, -3, -1, -6]


@pytest.mark.parametrize("run", RUNS)
def test_residual_join_into_a_leaking_readout(run: Callable[..., Trace]) -> None:
    """A convolution around which an identity leads: both see the same spikes of the same step."""
    nodes = (
        Input("input", (1, 1, 3), "events", 2, signed=True), lif("a", (1, 1, 3), 1),
        lif("b", (1, 1, 3), 99), lif("c", (1, 1, 3), 3), Readout("r", (1,), [1], 1, 1),
    )  # fmt: skip
    edges = (
        Edge("a", "c", (Identity([2], 4),)),
        Edge("input", "a", (Identity([1], 4),)),
        Edge("a", "b", (Identity([1], 4),)),
        Edge("a", "c", (Conv2d([[[[1, 0, -3]]]], 4, (0, 1)),)),
        Edge("b", "r", (Linear([[0, 0, 0]], 2),)),
        Edge("c", "r", (Linear([[4, 2, 1]], 4),)),
    )
    trace = run(Network(2, nodes, edges), np.array([[[[[1, 1, -2]]], [[[1, 0, 1]]]]]))
    assert trace.spikes["a"].reshape(2, 3).tolist() == [[1, 1, 0], [1, 0, 0]]
    # Of c: 2 - 3, 2 + 1, 0 + 1; then -1 + 2, 0 + 1, 1: membranes, the 3 has fired and is gone.
    assert trace.membranes["c"].reshape(2, 3).tolist() == [[-1, 0, 1], [1, 1, 1]]
    assert trace.membranes["r"].ravel().tolist() == [1 + 2, 3 - 1 + 1]


@pytest.mark.parametrize("run", RUNS)
def test_pools_before_weights_and_on_a_delayed_edge(run: Callable[..., Trace]) -> None:
    maps = (1, 2, 4)
    size = (2, 2)
    nodes = (
        Input("input", maps, "events", 1), lif("a", maps, 1), lif("m", (1, 1, 1), 99),
        lif("s", (1, 1, 2), 99), Readout("r", (1,), [0]),
    )  # fmt: skip
    edges = (
        Edge("input", "a", (Identity([1], 4),)),
        Edge("a", "m", (MaxPool2d(size), Conv2d([[[[1, 2]]]], 4))),
        Edge("a", "s", (SumPool2d(size), Identity([-3], 4))),
        Edge("a", "r", (MaxPool2d(size), Linear([[5, 7]], 4)), delay=1),
        Edge("m", "r", (Linear([[1]], 4),)),
        Edge("s", "r", (Linear([[1, 1]], 4),)),
    )
    frames = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]], [[0, 0, 0, 1], [0, 0, 0, 0]], [[0] * 4] * 2])
    trace = run(Network(3, nodes, edges), frames.reshape(1, 3, *maps))
    assert trace.membranes["m"].ravel().tolist() == [1, 3, 3]
    assert trace.membranes["s"].reshape(3, 2).tolist() == [[-6, 0], [-6, -3], [-6, -3]]
    assert trace.membranes["r"].ravel().tolist() == [0, 5, 12]


@pytest.mark.parametrize("run", RUNS)
def test_parallel_edges_add(run: Callable[..., Trace]) -> None:
    """Also the same edge twice."""
    twice = one("a", "r", 3)
    network = chain(
        one("input", "a", 2), twice, twice, one("a", "r", -1),
        nodes=(lif("a"), Readout("r", (1,), [0])),
    )  # fmt: skip
    assert run(network, ALL_ONES).membranes["r"].ravel().tolist() == [5, 10, 15, 20]


@pytest.mark.parametrize("run", RUNS)
def test_signed_events_of_several_bits_meet_spikes(run: Callable[..., Trace]) -> None:
    nodes = (
        Input("input", (1,), "events", 4, True),
        lif("a", threshold=5),
        Readout("r", (1,), [0]),
    )
    network = Network(3, nodes, (one("input", "a", -2), one("input", "r", 3), one("a", "r", 1)))
    trace = run(network, np.array([[[-8], [7], [0]]]))
    assert trace.membranes["a"].ravel().tolist() == [11, -3, -3]  # 16 fires
    assert trace.membranes["r"].ravel().tolist() == [-23, -2, -2]


def test_an_answer_does_not_depend_on_the_order_of_edges() -> None:
    for seed in range(40):
        network = random_graph.random_graph(seed)
        turned = replace(network, edges=network.edges[::-1])
        inputs = random_chain.random_inputs(network, 3, seed)
        for run in RUNS:
            assert compare(run(network, inputs), run(turned, inputs)).mismatches == 0


def test_any_integer_type_is_a_delay() -> None:
    edge = one("a", "a", 1, np.int64(1))
    assert type(edge.delay) is int
    assert edge.delay == 1


def test_counts_of_delays_and_pools() -> None:
    nodes = (
        Input("input", (1, 2, 2), "events", 1),
        lif("a", (1, 2, 2), 1),
        Readout("r", (1,), [0]),
    )
    weights = Linear(np.array([[1]]), 4)
    edges = (
        Edge("input", "a", (Identity([1], 4),)),
        Edge("a", "r", (MaxPool2d((2, 2)), weights)),
        Edge("a", "r", (SumPool2d((2, 2)), weights), delay=1),
    )
    network = Network(3, nodes, edges)
    inputs = np.ones((1, 3, 1, 2, 2), np.int64)
    found = operations.count(network, inputs, reference.run(network, inputs)).edges
    assert [(edge.events, edge.synops) for edge in found] == [(12, 12), (3, 3), (8, 8)]


def test_widths_hold_every_partial_sum() -> None:
    network = chain(
        one("input", "a", 2), one("a", "a", -7, delay=1), one("a", "r", 1), one("input", "r", -3),
        nodes=(lif("a"), Readout("r", (1,), [0])),
    )  # fmt: skip
    widths = node_widths(network)["a"]
    assert (widths.lowest, widths.highest) == (-28, 8)
    assert widths.acc_bits == 7  # -28 - 7 = -35
    assert widths.sum_bits == widths.drive_bits == 4  # -7..2


def test_widths_where_a_frame_meets_events() -> None:
    nodes = (Input("input", (1,), "direct", 4), lif("a"), Readout("r", (1,), [0]))
    network = Network(2, nodes, (one("input", "a"), one("input", "r", -2), one("a", "r", 7)))
    widths = node_widths(network)["r"]
    # In a step the frame brings -30..0, the spike 0..7: -60..14 in all steps, -90..21 within one.
    assert (widths.lowest, widths.highest) == (-60, 14)
    assert (widths.sum_bits, widths.drive_bits, widths.acc_bits) == (6, 6, 8)
    # The drive of the frame alone does not grow with what the spikes weigh.
    more = Network(2, nodes, (*network.edges, one("a", "r", 7), *[one("a", "r", -8)] * 9))
    widths = node_widths(more)["r"]
    assert (widths.sum_bits, widths.drive_bits) == (8, 6)  # -30 - 72 = -102


def test_file_keeps_graphs_and_activity() -> None:
    for seed in range(60):
        network = random_graph.random_graph(seed)
        active = replace(network, activity={"input": np.full(network.input.shape, seed)})
        again = decode(encode(active))
        assert encode(again) == encode(active)
        assert fingerprint(active) == fingerprint(network)
        assert (again.activity["input"] == seed).all()
        inputs = random_chain.random_inputs(network, 2, seed)
        assert np.array_equal(
            reference.run(again, inputs).logits, reference.run(network, inputs).logits
        )


def test_every_feature_is_drawn() -> None:
    seen: dict[str, int] = dict.fromkeys(random_graph.GRAPH_FEATURES, 0)
    for seed in range(500):
        for feature in random_graph.features(random_graph.random_graph(seed)):
            seen[feature] += 1
    assert {feature: times for feature, times in seen.items() if times < 30} == {}
    for seed in range(100):
        assert not any(edge.delay for edge in random_graph.random_graph(seed, delays=False).edges)


def test_every_corner_is_visited() -> None:
    seen = dict.fromkeys((*graph_coverage.CORNERS, *chain_coverage.CORNERS), 0)
    for seed in range(500):
        network = random_graph.random_graph(seed)
        inputs = random_chain.random_inputs(network, 4, seed)
        trace = reference.run(network, inputs)
        found = graph_coverage.coverage(network, trace, inputs)
        assert tuple(found) == graph_coverage.CORNERS
        for corner, times in (found | chain_coverage.coverage(network, trace, inputs)).items():
            seen[corner] += times > 0
    assert {corner: times for corner, times in seen.items() if times < 30} == {}


def _windows(network: Network) -> list[int]:
    """For each sender, how many different max-pool windows its edges have; none counts as one."""
    pools = {node.name: set() for node in network.hidden}
    for edge in network.edges:
        if edge.source in pools:
            is_max = isinstance(edge.pool, MaxPool2d)
            pools[edge.source].add(edge.pool.kernel_size if is_max else None)
    return [len(found) for found in pools.values()]


def test_buildable_graphs_have_one_window_per_sender() -> None:
    for seed in range(200):
        assert max(_windows(random_graph.random_graph(seed))) == 1
    free = random_chain.Limits(buildable=False)
    assert (
        sum(max(_windows(random_graph.random_graph(seed, free))) > 1 for seed in range(200)) >= 30
    )


def test_limits_hold() -> None:
    limits = random_chain.Limits(side=4, channels=3, units=5, kernel=2, layers=2, timesteps=2)
    for seed in range(100):
        network = random_graph.random_graph(seed, limits)
        assert network.timesteps <= 2
        assert len([node for node in network.hidden if node is not network.output]) <= 2
        for node in network.nodes[:-1]:
            most = (12,) if len(node.shape) == 1 else (3, 4, 4)
            assert all(side <= limit for side, limit in zip(node.shape, most, strict=True))


BASE = (lif("a"), Readout("r", (1,), [0]))
MAP = (Input("input", (1, 2, 2), "events", 1), lif("a", (1, 1, 1)), Readout("r", (1,), [0]))

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no nodes": (lambda: Network(1, (), ()), "network: number of nodes is 0, must be at least 2"),
    "no input": (
        lambda: Network(1, BASE, (one("a", "r"),)),
        "node 'a': kind is LIF, must be Input, as it is first",
    ),
    "no output": (
        lambda: Network(1, (Input("x", (1,), "events", 1), Input("y", (1,), "events", 1)), ()),
        "node 'y': kind is Input, must be Readout or LIF, as it is last",
    ),
    "two outputs": (
        lambda: chain(one("input", "r"), nodes=(BASE[1], Readout("r2", (1,), [0]))),
        "node 'r': kind is Readout, must be LIF, as it is neither first nor last",
    ),
    "an output that a spiking one precedes": (
        lambda: chain(one("input", "a"), one("input", "b"), nodes=(lif("a"), lif("b"))),
        "node 'a': edges out of it is 0, must be at least 1",
    ),
    "a name twice": (
        lambda: chain(one("input", "a"), nodes=(lif("a"), lif("a"), BASE[1])),
        "network: node name is 'a', must be used once",
    ),
    "a cycle of two without delay": (
        lambda: chain(
            one("input", "a"), one("a", "b"), one("b", "a"), one("b", "r"),
            nodes=(lif("a"), lif("b"), BASE[1]),
        ),
        "edge 'b' -> 'a': delay is 0, must be 1, as the edge does not go forward",
    ),
    "only the past arrives": (
        lambda: chain(
            one("input", "a"), one("a", "b", delay=1), one("b", "r"),
            nodes=(lif("a"), lif("b"), BASE[1]),
        ),
        "node 'b': edges into it without delay is 0, must be at least 1",
    ),
    "nothing arrives at the output": (
        lambda: chain(one("input", "a"), one("a", "a", delay=1), nodes=BASE),
        "node 'r': edges into it without delay is 0",
    ),
    "the input sends nothing": (
        lambda: Network(1, (Input("x", (1,), "events", 1), *BASE), (one("a", "r"),)),
        "node 'a': edges into it without delay is 0",
    ),
    "a delay of a fraction": (lambda: one("a", "r", 1, 0.5), "delay is 0.5, must be 0 or 1"),
    "a delay below 0": (lambda: one("a", "r", 1, -1), "delay is -1, must be 0 or 1"),
    "no operations": (lambda: Edge("a", "r", ()), r"operations is \(\), must be a pool, a synapse"),
    "weights before a pool": (
        lambda: Edge("a", "r", (Identity([1], 4), MaxPool2d((1, 1)))),
        "operations is .'Identity', 'MaxPool2d'.",
    ),
    "two kinds of weights": (
        lambda: Edge("a", "r", (Identity([1], 4), Linear([[1]], 4))),
        "operations is .'Identity', 'Linear'.",
    ),
    "a max pool of a flat node": (
        lambda: Edge("a", "r", (MaxPool2d((1, 1)),)).output_shape((4,)),
        r"edge 'a' -> 'r': MaxPool2d: source shape is \(4,\), must be \(C, H, W\)",
    ),
    "a window larger than the map": (
        lambda: Edge("a", "r", (MaxPool2d((1, 3)),)).output_shape((1, 2, 2)),
        r"MaxPool2d: kernel_size is \(1, 3\), must be no larger than \(2, 2\)",
    ),
    "a window of 0": (lambda: MaxPool2d((0, 1)), "MaxPool2d: kernel_size is"),
    "a window of a number": (lambda: MaxPool2d(2), "MaxPool2d: kernel_size is 2"),
    "a gain beyond its bits": (lambda: Identity([8], 4), r"Identity: gain is 8, must be -8..7"),
    "a gain that is a fraction": (lambda: Identity([0.5], 4), "Identity: gain type is float64"),
    "a gain without axis": (lambda: Identity(1, 4), r"gain shape is \(\), must be 1 axes"),
    "a gain of nothing": (lambda: Identity(np.zeros(0, int), 4), "Identity: gain shape"),
    "a gain of one bit": (lambda: Identity([0], 1), "Identity: weight_bits is 1, must be 2..8"),
    "back without delay": (
        lambda: chain(one("input", "a"), one("a", "a"), one("a", "r"), nodes=BASE),
        "edge 'a' -> 'a': delay is 0, must be 1, as the edge does not go forward",
    ),
    "delay of the input": (
        lambda: chain(one("input", "a", 1, 1), one("a", "r"), nodes=BASE),
        "edge 'input' -> 'a': delay is 1, must be 0",
    ),
    "delay of two": (lambda: chain(one("a", "r", 1, 2), nodes=BASE), "delay is 2, must be 0 or 1"),
    "nothing arrives": (
        lambda: chain(one("a", "r"), one("input", "r"), nodes=BASE),
        "node 'a': edges into it without delay is 0",
    ),
    "nothing leaves": (
        lambda: chain(one("input", "a"), one("input", "r"), nodes=BASE),
        "node 'a': edges out of it is 0",
    ),
    "out of a readout": (
        lambda: chain(one("input", "a"), one("a", "r"), one("r", "a", 1, 1), nodes=BASE),
        "edge 'r' -> 'a': source is 'r', must be a node that sends events",
    ),
    "into the input": (
        lambda: chain(one("input", "a"), one("a", "r"), one("a", "input", 1, 1), nodes=BASE),
        "edge 'a' -> 'input': target is 'input'",
    ),
    "no such node": (
        lambda: chain(one("input", "b"), nodes=BASE), "edge 'input' -> 'b': end is 'b'",
    ),
    "readout in the middle": (
        lambda: chain(one("input", "r"), nodes=(BASE[1], BASE[0])),
        "node 'r': kind is Readout, must be LIF, as it is neither first nor last",
    ),
    "two inputs": (
        lambda: Network(1, (Input("x", (1,), "events", 1), *MAP), ()),
        "node 'input': kind is Input, must be LIF",
    ),
    "output is a map": (
        lambda: Network(1, MAP[:2], (Edge("input", "a", (SumPool2d((2, 2)),)),)),
        r"node 'a': shape is \(1, 1, 1\), must be \(classes,\)",
    ),
    "max pool of the input": (
        lambda: Network(1, MAP, (Edge("input", "a", (MaxPool2d((2, 2)),)),)),
        "edge 'input' -> 'a': pool is MaxPool2d, must be SumPool2d or none",
    ),
    "shapes that do not join": (
        lambda: Network(1, MAP, (Edge("input", "a", (SumPool2d((1, 1)),)),)),
        r"node 'a': shape is \(1, 1, 1\), must be \(1, 2, 2\), which edge 'input' -> 'a' delivers",
    ),
    "gains of other channels": (
        lambda: Network(1, MAP, (Edge("input", "a", (Identity([1, 1], 4),)),)),
        r"edge 'input' -> 'a': Identity: gain shape is \(2,\), must be \(1,\)",
    ),
    "activity of a readout": (
        lambda: replace(chain(one("input", "a"), one("a", "r"), nodes=BASE), activity={"r": [1]}),
        "activity: node is 'r', must be one of input, a",
    ),
    "activity of another shape": (
        lambda: replace(
            chain(one("input", "a"), one("a", "r"), nodes=BASE), activity={"a": [[1]]}
        ),
        r"activity of 'a': shape is \(1, 1\), must be \(1,\)",
    ),
    "activity of fractions": (
        lambda: replace(
            chain(one("input", "a"), one("a", "r"), nodes=BASE), activity={"a": [0.5]}
        ),
        "activity of 'a': count type is float64",
    ),
    "activity beyond the file": (
        lambda: replace(
            chain(one("input", "a"), one("a", "r"), nodes=BASE), activity={"input": [2**31]}
        ),
        "activity of 'input': count is 2147483648, must be 0..2147483647",
    ),
    "activity below 0": (
        lambda: replace(chain(one("input", "a"), one("a", "r"), nodes=BASE), activity={"a": [-1]}),
        "activity of 'a': count is -1, must be 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(case: tuple[Callable[[], object], str]) -> None:
    build, message = case
    with pytest.raises(BadInput, match=message) as refusal:
        build()
    assert "\n" not in str(refusal.value)
