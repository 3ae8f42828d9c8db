"""Operation counts: worked by hand, and against a plain loop over every event and weight."""

from typing import Any

import numpy as np
import pytest

from golden import fuzz, reference
from golden.edges import Conv2d, Edge, Linear, SumPool2d
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from golden.operations import count, fan_out

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


@pytest.mark.parametrize("seed", range(25))
def test_against_a_plain_loop(seed: int) -> None:
    network = fuzz.random_network(seed, fuzz.Limits(side=5, channels=4, units=12, kernel=4))
    inputs = fuzz.random_inputs(network, 4, seed)
    trace = reference.run(network, inputs)
    counts = count(network, inputs, trace)
    direct = network.input.coding == "direct"
    for edge, source, found in zip(network.edges, network.nodes[:-1], counts.edges, strict=True):
        fans = np.zeros(source.shape, int)
        for place in np.ndindex(*source.shape):
            fans[place] = brute_force(edge, source.shape, place)
        assert np.array_equal(fan_out(edge, source.shape), fans)
        events = trace.spikes[source.name] if source.name in trace.spikes else inputs
        lead = 1 if events is inputs and direct else 2
        sent = (events != 0).sum(axis=tuple(range(lead)))
        assert (found.events, found.synops) == (sent.sum(), (sent * fans).sum())
    assert counts.synops == sum(edge.synops for edge in counts.edges)
    assert counts.events == sum(edge.events for edge in counts.edges)
    assert counts.updates == sum(
        int(np.prod(node.shape)) * network.timesteps * 4 for node in network.nodes[1:]
    )
    assert counts.kept / counts.weights == network.density or counts.weights == 0
