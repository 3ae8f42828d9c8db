"""Edges as rows: those near a border list only the taps that are valid there."""

import numpy as np
import pytest

from spikewright.golden.image import interpreter
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import compare
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.lower import bordered, lower
from spikewright.hw.options import BuildOptions


def network(side, convolution):
    """A small map to a small map through one convolution."""
    channels = convolution.weight.shape[1] * convolution.groups
    shape = Edge("a", "b", (convolution,)).output_shape((channels, side, side))
    ones = Conv2d(np.ones((channels, 1, 1, 1), int), 3)
    zeros = np.zeros(channels, int)
    return Network(
        2,
        (Input("input", (1, side, side), "events", 1),
         LIF("first", (channels, side, side), zeros + 1, zeros, 0, 0, "zero", 8),
         LIF("map", shape, np.full(shape[0], 2), np.zeros(shape[0], int), 1, 1, "subtract", 8),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "first", (ones,)), Edge("first", "map", (convolution,)),
         Edge("map", "readout", (Linear(np.ones((2, int(np.prod(shape))), int), 3),))),
    )  # fmt: skip


def dense(out, inputs, kernel=3, **options):
    weight = np.random.default_rng(0).integers(1, 4, (out, inputs, kernel, kernel))
    return Conv2d(weight, 3, **options)


@pytest.mark.parametrize(
    ("side", "convolution", "rows"),
    [
        (1, dense(4, 3, padding=(1, 1)), (1, 1)),
        (2, dense(4, 3, padding=(1, 1)), (2, 2)),  # a row per position
        (9, dense(4, 3, padding=(1, 1)), (3, 3)),  # top, middle, bottom; left, middle, right
        (4, dense(4, 3, kernel=4), (4, 4)),  # one window: each position meets one tap
        (9, dense(32, 16, padding=(1, 1)), (3, 1)),  # both do not fit the same block RAMs
        (9, dense(32, 64, padding=(1, 1)), (1, 1)),
    ],
)
def test_no_lane_walks_a_tap_outside_where_there_is_room(side, convolution, rows):
    built = network(side, convolution)
    image = compile_network(built, BuildOptions(16))
    core = image.cores[1]
    assert core.edges[0].rows == (convolution.weight.shape[1] - 1 << core.edges[0].row_bits) + (
        rows[0] * rows[1]
    )
    inputs = np.random.default_rng(1).integers(0, 2, (4, 2, 1, side, side))
    trace = reference.run(built, inputs)
    comparison = compare(trace, interpreter.run(image, inputs))
    assert (comparison.mismatches, comparison.spikes > 0) == (0, True)


@pytest.mark.parametrize("pool", [SumPool2d((2, 2)), MaxPool2d((2, 2)), None])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("groups", [1, 2])
def test_both_forms_compute_the_same(pool, stride, groups):
    """Every weight reaches every target that it can, once."""
    side = 6 if pool else 3
    convolution = dense(4, 4 // groups, padding=(1, 0, 2, 1), stride=stride, groups=groups)
    edge = Edge("a", "b", ((pool,) if pool else ()) + (convolution,))
    sent = (4, 3, 3) if isinstance(pool, MaxPool2d) else (4, side, side)
    by_tap = lower(edge, sent)
    expected = _drive(by_tap, sent)
    assert expected.any()
    for axes in ((True, True), (True, False), (False, True)):
        form = bordered(by_tap, axes)
        np.testing.assert_array_equal(_drive(form, sent, never_outside=all(axes)), expected)


def _drive(synapses, shape, never_outside=False):
    """What one event at each place adds, (places, outputs, targets), through tables and rows."""
    weights, (rows, columns) = synapses.weights, synapses.target
    (mask_y, row_y, base_y), (mask_x, row_x, base_x) = synapses.axis(0), synapses.axis(1)
    found = np.zeros((*shape, synapses.outputs, rows, columns), int)
    for c, y, x in np.ndindex(shape):
        mine = (weights.channel == c) & (weights.position == row_y[y] + row_x[x])
        for tap, out, value in zip(
            weights.tap[mine], weights.out[mine], weights.value[mine], strict=True
        ):
            ky, kx = divmod(int(tap), synapses.grid[1])
            if mask_y[y] >> ky & mask_x[x] >> kx & 1:
                found[c, y, x, out, base_y[y] - ky, base_x[x] - kx] += value
            else:
                # Events without any valid tap are dropped by the decoder, whatever their row.
                assert not never_outside or not (mask_y[y] and mask_x[x])
    return found
