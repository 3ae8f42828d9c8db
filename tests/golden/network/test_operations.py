"""Operation counts: worked by hand, and against a plain loop over every event and weight."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.operations import count, fan_out
from spikewright.golden.testing import random_chain, random_graph

KERNEL = np.array(
    [[[[1, 0, 1], [0, 1, 0], [1, 0, 1]]], [[[1, 1, 1], [0, 0, 0], [0, 0, 0]]]], np.int8
)


def small(coding: Any, operations: tuple, shape: tuple = (1, 4, 5)) -> Network:
    edge = Edge("input", "a", operations)
    out = edge.output_shape(shape)
    ones = np.ones(out[0], int)
    size = int(np.prod(out))
    last = np.zeros((3, size), np.int8)
    last[0] = 1
    last[1, ::2] = -1
    return Network(
        2,
        (
            Input("input", shape, coding, 4),
            LIF("a", out, ones, 0 * ones, 0, 0, "zero", 8),
            Readout("readout", (3,), np.zeros(3, int)),
        ),
        (edge, Edge("a", "readout", (Linear(last, 2),))),
    )


def test_direct_frame_is_counted_once() -> None:
    network = small("direct", (Conv2d(KERNEL, 2, (1, 1)),))
    frame = np.zeros((2, 1, 4, 5), int)
    frame[0, 0, 1, 1] = 15  # inside: 5 + 3 kept weights
    frame[1, 0, 0, 0] = 1  # corner: of channel 0 (0,0), (1,1); of channel 1 the two below
    trace = reference.run(network, frame)
    counts = count(network, frame, trace)
    first, second = counts.edges
    assert (first.events, first.synops) == (2, 5 + 3 + 2 + 2)
    assert (first.weights, first.kept) == (18, 8)
    assert first.dense_synops == 2 * 4 * 5 * 9
    # Every neuron that is reached fires, at both steps.
    spikes = 2 * (5 + 3 + 2 + 2)
    assert second.events == counts.spikes == spikes
    even = int(trace.spikes["a"].reshape(2, 2, -1)[..., ::2].sum())
    assert second.synops == spikes + even
    assert (second.weights, second.kept, second.dense_synops) == (120, 60, 120)
    a, readout = counts.nodes
    assert (a.neurons, a.updates, readout.updates) == (40, 40 * 2 * 2, 3 * 2 * 2)
    assert a.zeta == spikes / 80
    assert a.spike_rate == counts.spike_rate == spikes / 160
    assert (readout.spikes, readout.zeta) == (0, 0.0)
    assert counts.synops_per_inference == (12 + spikes + even) / 2


def test_event_frames_are_counted_at_every_step() -> None:
    network = small("events", (Conv2d(KERNEL, 2, (1, 1)),))
    frames = np.zeros((1, 2, 1, 4, 5), int)
    frames[0, :, 0, 1, 1] = 3
    counts = count(network, frames, reference.run(network, frames))
    assert (counts.edges[0].events, counts.edges[0].synops) == (2, 16)


def test_pools_count_only_whole_windows() -> None:
    bare = small("direct", (SumPool2d((2, 2)),))
    frame = np.ones((1, 1, 4, 5), int)
    counts = count(bare, frame, reference.run(bare, frame))
    assert (counts.edges[0].events, counts.edges[0].synops) == (20, 16)
    assert (counts.edges[0].weights, counts.edges[0].dense_synops) == (0, 16)
    weighted = small("direct", (SumPool2d((2, 2)), Linear(np.array([[1, 0, 2, 3]], np.int8), 3)))
    counts = count(weighted, frame, reference.run(weighted, frame))
    assert (counts.edges[0].events, counts.edges[0].synops) == (20, 12)
    assert (counts.edges[0].kept, counts.edges[0].dense_synops) == (3, 4)


def test_nothing_run() -> None:
    network = small("direct", (Conv2d(KERNEL, 2),))
    frames = np.zeros((0, 1, 4, 5), int)
    counts = count(network, frames, reference.run(network, frames))
    assert (counts.synops, counts.synops_per_inference, counts.zeta, counts.spike_rate) == (
        0,
        0,
        0,
        0,
    )
    assert counts.dense_synops == 2 * 2 * 3 * 9 + 36


def brute_force(edge: Edge, shape: tuple[int, ...], source: tuple[int, ...]) -> int:
    """Fan-out of one source neuron, by looking at every weight."""
    pool, synapse = edge.pool, edge.synapse
    if pool is not None:
        shape = pool.output_shape(shape)
        source = (source[0], source[1] // pool.kernel_size[0], source[2] // pool.kernel_size[1])
        if source[1] >= shape[1] or source[2] >= shape[2]:
            return 0
    if synapse is None:
        return 1
    if isinstance(synapse, Identity):
        return int(synapse.gain[source[0]] != 0)
    if isinstance(synapse, Linear):
        flat = int(np.ravel_multi_index(source, shape))
        return sum(int(row[flat] != 0) for row in synapse.weight)
    out = synapse.output_shape(shape)
    reached = 0
    (top, _, left, _), inputs = synapse.padding, synapse.weight.shape[1]
    for o, c, ky, kx in np.argwhere(synapse.weight):
        group = o // (out[0] // synapse.groups)
        y, rest_y = divmod(source[1] + top - ky, synapse.stride[0])
        x, rest_x = divmod(source[2] + left - kx, synapse.stride[1])
        meets = c + group * inputs == source[0] and rest_y == rest_x == 0
        reached += int(meets and 0 <= y < out[1] and 0 <= x < out[2])
    return reached


def carried(edge: Edge, events: np.ndarray, per_step: bool) -> tuple[np.ndarray, Edge]:
    """The events that an edge carried, one frame after another; the edge behind a max pool."""
    frames = [frame[: len(frame) - edge.delay] for frame in events] if per_step else [events]
    every = np.concatenate(frames)
    if not isinstance(edge.pool, MaxPool2d):
        return every, edge
    ky, kx = edge.pool.kernel_size
    rows, columns = every.shape[2] // ky, every.shape[3] // kx
    pooled = np.zeros((*every.shape[:2], rows, columns), int)
    for place in np.argwhere(every[:, :, : rows * ky, : columns * kx]):
        pooled[place[0], place[1], place[2] // ky, place[3] // kx] = 1
    return pooled, Edge(edge.source, edge.target, edge.operations[1:] or (SumPool2d((1, 1)),))


@pytest.mark.parametrize("draw", [random_chain.random_network, random_graph.random_graph])
@pytest.mark.parametrize("seed", range(25))
def test_against_a_plain_loop(seed: int, draw: Callable[..., Network]) -> None:
    network = draw(seed, random_chain.Limits(side=5, channels=4, units=12, kernel=4))
    inputs = random_chain.random_inputs(network, 4, seed)
    trace = reference.run(network, inputs)
    counts = count(network, inputs, trace)
    direct = network.input.coding == "direct"
    for edge, found in zip(network.edges, counts.edges, strict=True):
        own = edge.source == network.input.name
        events = inputs if own else trace.spikes[edge.source]
        frames, plain = carried(edge, events, per_step=not (own and direct))
        fans = np.zeros(frames.shape[1:], int)
        for place in np.ndindex(*fans.shape):
            fans[place] = brute_force(plain, fans.shape, place)
        assert np.array_equal(fan_out(edge, network.node(edge.source).shape), fans)
        sent = (frames != 0).sum(axis=0)
        assert (found.events, found.synops) == (sent.sum(), (sent * fans).sum())
    assert counts.synops == sum(edge.synops for edge in counts.edges)
    assert counts.events == sum(edge.events for edge in counts.edges)
    assert counts.updates == sum(
        int(np.prod(node.shape)) * network.timesteps * 4 for node in network.nodes[1:]
    )
    trained = [found for found, edge in zip(counts.edges, network.edges, strict=True)
               if isinstance(edge.synapse, Linear | Conv2d)]  # fmt: skip
    weights = sum(found.weights for found in trained)
    assert weights == 0 or sum(found.kept for found in trained) / weights == network.density
