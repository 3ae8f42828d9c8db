"""Edges as rows: small maps unrolled, and what each form costs."""

import numpy as np
import pytest

from golden import interpreter, reference
from golden.edges import Conv2d, Edge, Linear, MaxPool2d, SumPool2d
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from golden.trace import compare
from hw.compiler import compile_network
from hw.lower import lower, unrolled


def network(side, convolution, pool=None, activity=None):
    """A small map to a small map through one convolution."""
    channels = convolution.weight.shape[1] * convolution.groups
    edge = Edge("first", "map", ((pool,) if pool else ()) + (convolution,))
    shape = edge.output_shape((channels, side, side))
    ones = Conv2d(np.ones((channels, 1, 1, 1), int), 3)
    zeros = np.zeros(channels, int)
    return Network(
        2,
        (Input("input", (1, side, side), "events", 1),
         LIF("first", (channels, side, side), zeros + 1, zeros, 0, 0, "zero", 8),
         LIF("map", shape, np.full(shape[0], 2), np.zeros(shape[0], int), 1, 1, "subtract", 8),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "first", (ones,)), edge,
         Edge("map", "readout", (Linear(np.ones((2, int(np.prod(shape))), int), 3),))),
        activity={"first": activity} if activity is not None else {},
    )  # fmt: skip


def dense(out, inputs, kernel=3, **options):
    weight = np.random.default_rng(0).integers(1, 4, (out, inputs, kernel, kernel))
    return Conv2d(weight, 3, **options)


@pytest.mark.parametrize(
    ("side", "convolution", "chosen"),
    [
        (1, dense(4, 3, padding=(1, 1)), True),  # one tap of nine is ever valid
        (2, dense(4, 3, padding=(1, 1)), True),  # 16 entries for 9, but 4 walked for 9
        (4, dense(4, 3, padding=(1, 1)), False),  # 100 for 9, and 6.25 for 9
        (5, dense(4, 3, padding=(1, 1)), False),
        (4, dense(4, 3, kernel=4), True),  # one tap of sixteen is ever valid
    ],
)
def test_a_small_map_is_unrolled_where_that_costs_less(side, convolution, chosen):
    built = network(side, convolution)
    image = compile_network(built, 2)
    edge = image.cores[1].edges[0]
    assert edge.unrolled == chosen
    if chosen:
        core = image.cores[1]
        assert edge.rows == side * side * 3
        taps = core.memories["taps"]
        assert len(taps.words) == core.size[1] * core.size[2]
        offsets = np.arange(len(taps.words)) * core.local_channels
        assert taps.field("offset").tolist() == offsets.tolist()
        assert core.memories["table_y_0"].layout.bits("mask") == 1
    inputs = np.random.default_rng(1).integers(0, 2, (4, 2, 1, side, side))
    comparison = compare(reference.run(built, inputs), interpreter.run(image, inputs))
    assert (comparison.mismatches, comparison.spikes > 0) == (0, True)


def test_where_events_come_from_decides():
    """Of nine taps without padding, one is valid for an event in a corner, four in the middle."""
    corners, middle = np.zeros((2, 3, 4, 4), int)
    corners[:, ::3, ::3], middle[:, 1:3, 1:3] = 1, 1
    chosen = [
        compile_network(network(4, dense(8, 3), activity=activity), 1).cores[1].edges[0].unrolled
        for activity in (corners, middle)
    ]
    assert chosen == [True, False]


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
    by_position = unrolled(by_tap, convolution)
    drives = [_drive(form, sent) for form in (by_tap, by_position)]
    np.testing.assert_array_equal(*drives)
    assert drives[0].any()


def _drive(synapses, shape):
    """What one event at each place adds, (places, outputs, targets), through tables and rows."""
    weights, (rows, columns) = synapses.weights, synapses.target
    (mask_y, row_y, base_y), (mask_x, row_x, base_x) = synapses.axis(0), synapses.axis(1)
    found = np.zeros((*shape, synapses.outputs, rows, columns), int)
    for c, y, x in np.ndindex(shape):
        mine = (weights.channel == c) & (weights.position == row_y[y] + row_x[x])
        for tap, out, value in zip(
            weights.tap[mine], weights.out[mine], weights.value[mine], strict=True
        ):
            ky, kx = divmod(int(tap), synapses.grid[1] if synapses.moves else columns)
            if synapses.moves:
                if mask_y[y] >> ky & mask_x[x] >> kx & 1:
                    found[c, y, x, out, base_y[y] - ky, base_x[x] - kx] += value
            elif mask_y[y] & mask_x[x]:
                found[c, y, x, out, ky, kx] += value
    return found
