"""Graphs by hand: joins, delays, pools, identities, spiking outputs; and what is no network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from golden import engine, fuzz, graphs, operations, reference
from golden.edges import Edge, Identity, Linear, MaxPool2d, SumPool2d
from golden.errors import BadInput
from golden.file import decode, encode, fingerprint
from golden.network import Network
from golden.nodes import LIF, Input, Node, Readout
from golden.trace import Trace
from golden.widths import node_widths

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
    assert widths.drive_bits == 4  # -7..2


def test_file_keeps_graphs_and_activity() -> None:
    for seed in range(60):
        network = graphs.random_graph(seed)
        active = replace(network, activity={"input": np.full(network.input.shape, seed)})
        again = decode(encode(active))
        assert encode(again) == encode(active)
        assert fingerprint(active) == fingerprint(network)
        assert (again.activity["input"] == seed).all()
        inputs = fuzz.random_inputs(network, 2, seed)
        assert np.array_equal(
            reference.run(again, inputs).logits, reference.run(network, inputs).logits
        )


def test_every_feature_is_drawn() -> None:
    seen: dict[str, int] = dict.fromkeys(graphs.GRAPH_FEATURES, 0)
    for seed in range(500):
        for feature in graphs.features(graphs.random_graph(seed)):
            seen[feature] += 1
    assert {feature: times for feature, times in seen.items() if times < 30} == {}
    for seed in range(100):
        assert not any(edge.delay for edge in graphs.random_graph(seed, delays=False).edges)


BASE = (lif("a"), Readout("r", (1,), [0]))
MAP = (Input("input", (1, 2, 2), "events", 1), lif("a", (1, 1, 1)), Readout("r", (1,), [0]))

REFUSED: dict[str, tuple[Callable[[], Network], str]] = {
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
        "node 'r': kind is Readout, must be LIF, as it stands neither first nor last",
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
    "activity below 0": (
        lambda: replace(chain(one("input", "a"), one("a", "r"), nodes=BASE), activity={"a": [-1]}),
        "activity of 'a': count is -1, must be 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(case: tuple[Callable[[], Network], str]) -> None:
    build, message = case
    with pytest.raises(BadInput, match=message):
        build()
