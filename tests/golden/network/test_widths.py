"""Widths are proven: bounds worked by hand, exact per neuron, reached, and never left."""

from collections.abc import Callable

import numpy as np
import pytest

from spikewright.golden.bits import signed_bits
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout
from spikewright.golden.network.widths import Widths, drive_bounds, node_widths
from spikewright.golden.testing import random_chain, random_graph


def test_hand_worked() -> None:
    network = Network(
        3,
        (
            Input("input", (2,), "events", 2, signed=True),  # -2..1
            LIF("a", (2,), np.array([5, 5]), np.array([1, -2]), 0, 0, "zero", 6),  # -32..31
            Readout("readout", (1,), np.array([4])),
        ),
        (
            Edge("input", "a", (Linear(np.array([[3, -1], [2, 2]], np.int8), 3),)),
            Edge("a", "readout", (Linear(np.array([[-4, 3]], np.int8), 3),)),
        ),
    )
    widths = node_widths(network)
    # Neuron 0: positive 3 x 1 + 1 x 2 = 5, negative 3 x 2 + 1 x 1 = 7, bias 1: -7..6 a step;
    # neuron 1: positive 4, negative 8, bias -2: -10..4 a step. Three steps: -21..18 and -30..12.
    assert widths["a"] == Widths(6, 7, 4, 4, -30, 18)
    # The readout: -4..3 a step without, -4..7 with the bias; -12..21 in all, -16..28 within a step.
    assert widths["readout"] == Widths(6, 6, 3, 3, -12, 21)
    assert widths["a"].compare_bits == 8


@pytest.mark.parametrize(
    ("weight", "expected"), [(-3, Widths(5, 6, 3, 3, -16, 0)), (3, Widths(5, 6, 3, 3, 0, 15))]
)
def test_clamp_cuts_the_range(weight: int, expected: Widths) -> None:
    network = Network(
        100,
        (
            Input("input", (1,), "events", 1),
            LIF("a", (1,), np.array([5]), np.array([0]), 0, 0, "zero", 5),
            Readout("readout", (1,), np.array([0])),
        ),
        (
            Edge("input", "a", (Linear(np.array([[weight]], np.int8), 3),)),
            Edge("a", "readout", (Linear(np.array([[0]], np.int8), 2),)),
        ),
    )
    widths = node_widths(network)
    assert widths["a"] == expected
    assert widths["readout"] == Widths(1, 1, 1, 1, 0, 0)


def test_pools_multiply() -> None:
    shape = (1, 4, 6)
    kernel = np.array([[[[2, -1]]]], np.int8)
    pool = SumPool2d((2, 3))
    spikes = LIF("s", shape, np.array([1]), np.array([0]), 0, 0, "zero", 4)
    edge = Edge("s", "a", (pool, Conv2d(kernel, 3)))
    positive, negative = drive_bounds(edge, spikes)
    assert (positive.tolist(), negative.tolist()) == ([[[12], [12]]], [[[6], [6]]])
    bare = Edge("s", "a", (pool,))
    assert drive_bounds(bare, Input("s", shape, "direct", 8))[0].max() == 6 * 255
    signed = drive_bounds(bare, Input("s", shape, "direct", 8, signed=True))
    assert (signed[0].max(), signed[1].max()) == (6 * 127, 6 * 128)


def test_borders_see_fewer_taps() -> None:
    kernel = np.ones((1, 1, 3, 3), np.int8)
    edge = Edge("s", "a", (Conv2d(kernel, 2, (1, 2)),))
    positive, _ = drive_bounds(edge, Input("s", (1, 2, 2), "direct", 1))
    assert positive.tolist() == [[[2, 4, 4, 2], [2, 4, 4, 2]]]


def _edges(*networks: Network) -> list[tuple[Edge, Node]]:
    return [(e, network.node(e.source)) for network in networks for e in network.edges]


def _weights(edge: Edge, each: np.ndarray) -> np.ndarray:
    """What every source neuron alone brings; behind a max pool, every window, once."""
    if isinstance(edge.pool, MaxPool2d):
        windows = np.unique(reference.pooled(edge.pool, each), axis=0)
        each = np.stack([window for window in windows if window.any()])
        return reference.summed(Edge("s", "t", edge.operations[1:]), each) if edge.synapse else each
    return reference.summed(edge, each)


@pytest.mark.parametrize("seed", range(30))
def test_bounds_are_exact_per_neuron(seed: int) -> None:
    """One event at a time tells every weight; the best and the worst choice are the bounds."""
    limits = random_chain.Limits(side=6, channels=5, units=20)
    for edge, source in _edges(
        random_chain.random_network(seed, limits), random_graph.random_graph(seed, limits)
    ):
        size = int(np.prod(source.shape))
        each = np.eye(size, dtype=np.int64).reshape(size, *source.shape)
        weights = _weights(edge, each)
        up, down = (source.highest, -source.lowest) if isinstance(source, Input) else (1, 0)
        rise, fall = np.maximum(weights, 0), np.maximum(-weights, 0)
        positive, negative = drive_bounds(edge, source)
        assert np.array_equal(positive, (rise * up + fall * down).sum(axis=0))
        assert np.array_equal(negative, (fall * up + rise * down).sum(axis=0))


@pytest.mark.parametrize("draw", [random_chain.random_network, random_graph.random_graph])
@pytest.mark.parametrize("seed", range(60))
def test_no_membrane_leaves_its_range(seed: int, draw: Callable[[int], Network]) -> None:
    network = draw(seed)
    trace = reference.run(network, random_chain.random_inputs(network, 6, seed))
    for name, proven in node_widths(network).items():
        membranes = trace.membranes[name]
        assert proven.lowest <= membranes.min()
        assert membranes.max() <= proven.highest
        assert signed_bits(proven.lowest, proven.highest) == proven.state_bits
        assert proven.state_bits <= proven.acc_bits
