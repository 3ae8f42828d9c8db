"""Each kind of edge, worked by hand, in both golden models; then against torch's own layers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from spikewright.golden.models import engine, reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, Operation, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import Trace, compare
from spikewright.golden.testing import random_chain

models = pytest.mark.parametrize("run", [reference.run, engine.run], ids=["reference", "engine"])
Run = Callable[..., Trace]


def drive_of(run: Run, operations: tuple[Operation, ...], frame: list) -> list:
    """What one step delivers: the membranes of neurons that cannot fire, from 0."""
    inputs = np.array([frame])
    shape = inputs.shape[1:]
    edge = Edge("input", "a", operations)
    out = edge.output_shape(shape)
    high = np.full(out[0], 2**23 - 1)
    network = Network(
        1,
        (
            Input("input", shape, "direct", 8, signed=True),
            LIF("a", out, high, np.zeros(out[0], int), 0, 0, "zero", 24),
            Readout("readout", (1,), np.array([0])),
        ),
        (edge, Edge("a", "readout", (Linear(np.zeros((1, int(np.prod(out))), np.int8), 2),))),
    )
    return run(network, inputs).membranes["a"][0, 0].tolist()


@models
def test_linear(run: Run) -> None:
    weight = np.array([[1, 2, 3], [-4, 0, 5]], np.int8)
    assert drive_of(run, (Linear(weight, 4),), [1, 10, -2]) == [15, -14]


@models
def test_linear_reads_a_map_in_c_order(run: Run) -> None:
    weight = np.array([[1, 2, 3, 4, 5, 6, 7, 8]], np.int8)
    frame = [[[1, 0], [0, 0]], [[0, 10], [0, 100]]]
    assert drive_of(run, (Linear(weight, 8),), frame) == [1 + 60 + 800]


@models
def test_convolution_is_a_correlation(run: Run) -> None:
    kernel = np.array([[[[1, 2], [3, 4]]]], np.int8)
    frame = [[[1, 0, 0], [0, 0, 10], [0, 0, 0]]]
    assert drive_of(run, (Conv2d(kernel, 4),), frame) == [[[1, 40], [0, 20]]]


@models
def test_convolution_pads_with_zeros_by_rows_and_columns(run: Run) -> None:
    kernel = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.int8)  # 2 x 3
    frame = [[[1, 0], [0, 10]]]
    assert drive_of(run, (Conv2d(kernel, 4, (1, 2)),), frame) == [
        [[6, 5, 4, 0], [3, 62, 51, 40], [0, 30, 20, 10]]
    ]


@models
def test_convolution_sums_channels(run: Run) -> None:
    kernel = np.array([[[[1]], [[2]]], [[[3]], [[-4]]], [[[0]], [[0]]]], np.int8)
    assert drive_of(run, (Conv2d(kernel, 4),), [[[1, 2]], [[10, 0]]]) == [
        [[21, 2]], [[-37, 6]], [[0, 0]]
    ]  # fmt: skip


@models
def test_sum_pool_drops_what_does_not_fit(run: Run) -> None:
    frame = [[[1, 2, 4, 8, 16], [32, 64, -1, -2, -4], [9, 9, 9, 9, 9]]]
    assert drive_of(run, (SumPool2d((2, 2)),), frame) == [[[99, 9]]]
    assert drive_of(run, (SumPool2d((1, 3)),), frame) == [[[7], [95], [27]]]
    assert drive_of(run, (SumPool2d((3, 1)),), frame) == [[[42, 75, 12, 15, 21]]]


@models
def test_pool_then_linear(run: Run) -> None:
    weight = np.array([[1, 10], [-1, 2]], np.int8)
    frame = [[[1, 2, 3], [4, 5, 6]], [[1, 1, 9], [1, 1, 9]]]
    assert drive_of(run, (SumPool2d((2, 2)), Linear(weight, 5)), frame) == [52, -4]


@models
def test_pool_then_convolution(run: Run) -> None:
    kernel = np.array([[[[1, 10]]]], np.int8)
    frame = [[[1, 1, 2, 2, 3], [1, 1, 2, 2, 3]]]
    operations = (SumPool2d((2, 2)), Conv2d(kernel, 5, (0, 1)))
    assert drive_of(run, operations, frame) == [[[40, 84, 8]]]


@models
def test_direct_coding_is_the_same_frame_at_every_step(run: Run) -> None:
    for seed in range(200, 240):
        network = random_chain.random_network(seed)
        if network.input.coding != "direct":
            continue
        node = network.input
        as_events = Network(
            network.timesteps,
            (Input(node.name, node.shape, "events", node.bits, node.signed), *network.nodes[1:]),
            network.edges,
        )
        inputs = random_chain.random_inputs(network, 3, seed)
        frames = np.repeat(inputs[:, None], network.timesteps, axis=1)
        assert compare(run(network, inputs), run(as_events, frames)).mismatches == 0


def torch_drive(edge: Edge, events: torch.Tensor) -> torch.Tensor:
    for operation in edge.operations:
        if isinstance(operation, SumPool2d):
            events = functional.avg_pool2d(events, operation.kernel_size, divisor_override=1)
        elif isinstance(operation, Conv2d):
            weight = torch.tensor(operation.weight, dtype=torch.float64)
            top, bottom, left, right = operation.padding
            events = functional.conv2d(
                functional.pad(events, (left, right, top, bottom)),
                weight,
                stride=operation.stride,
                groups=operation.groups,
            )
        else:
            weight = torch.tensor(operation.weight, dtype=torch.float64)
            events = functional.linear(events.flatten(1), weight)
    return events


def torch_run(network: Network, inputs: np.ndarray) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Spikes and membranes (batch, timesteps, ...) of each node, in float64, written by itself."""
    frames = torch.tensor(inputs, dtype=torch.float64)
    direct = network.input.coding == "direct"
    events = [frames if direct else frames[:, step] for step in range(network.timesteps)]
    found = {}
    for edge, node in zip(network.edges, network.nodes[1:], strict=True):
        assert isinstance(node, LIF | Readout)
        channel = (-1, *[1] * (len(node.shape) - 1))
        bias = torch.tensor(node.bias, dtype=torch.float64).reshape(channel)
        v = torch.zeros(len(frames), *node.shape, dtype=torch.float64)
        fired, membranes = [], []
        for current in events:
            v = v - torch.floor(v * node.leak_mul / 2**node.leak_shift)
            v = v + torch_drive(edge, current) + bias
            spike = torch.zeros_like(v)
            if isinstance(node, LIF):
                threshold = torch.tensor(node.threshold, dtype=torch.float64).reshape(channel)
                spike = (v >= threshold).double()
                v = v - spike * threshold if node.reset == "subtract" else v * (1 - spike)
                half = 2 ** (node.membrane_bits - 1)
                v = v.clamp(-half, half - 1)
            fired.append(spike)
            membranes.append(v)
        found[node.name] = torch.stack(fired, 1), torch.stack(membranes, 1)
        events = fired
    return found


@pytest.mark.parametrize("seed", range(400, 440))
def test_reference_equals_torch(seed: int) -> None:
    network = random_chain.random_network(seed)
    inputs = random_chain.random_inputs(network, 4, seed)
    trace = reference.run(network, inputs)
    for name, (spikes, membranes) in torch_run(network, inputs).items():
        assert np.array_equal(trace.membranes[name], membranes.numpy())
        if name in trace.spikes:
            assert np.array_equal(trace.spikes[name], spikes.numpy())
