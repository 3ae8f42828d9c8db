"""The compiler: lanes, codes, refusals, and 300 random images executed."""

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image import interpreter
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import compare
from spikewright.golden.testing.random_chain import random_inputs, random_network
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.lane_count import choose_lanes
from spikewright.hw.options import BuildOptions


@pytest.mark.parametrize("block", range(10))
def test_300_random_images_equal_the_reference(block):
    options = set()
    for seed in range(30 * block, 30 * block + 30):
        network = random_network(seed)
        options |= {option for edge in network.edges for option in _options(edge)}
        inputs = network.check_inputs(random_inputs(network, 4, seed))
        rng = np.random.default_rng(seed)
        lanes = {n.name: int(rng.integers(1, min(9, n.shape[0]) + 1)) for n in network.nodes[1:]}
        lanes["readout"] = 1 << (lanes["readout"].bit_length() - 1)
        image = compile_network(network, BuildOptions(lanes))
        comparison = compare(reference.run(network, inputs), interpreter.run(image, inputs))
        assert comparison.mismatches == 0, f"seed {seed}: {comparison.first}"
        assert comparison.membranes > 0
    assert options == {
        "stride", "stride behind a pool", "empty residue", "groups", "depthwise",
        "one-sided padding",
    }  # fmt: skip


def _options(edge):
    """What of a convolution's geometry a decoder table or a row must hold."""
    convolution = edge.synapse
    if not isinstance(convolution, Conv2d):
        return
    stride, (_, inputs, *kernel) = convolution.stride, convolution.weight.shape
    top, bottom, left, right = convolution.padding
    if max(stride) > 1:
        yield "stride"
        if edge.pool is not None:
            yield "stride behind a pool"
    if stride[0] > kernel[0] or stride[1] > kernel[1]:
        yield "empty residue"
    if convolution.groups > 1:
        yield "groups"
        if inputs == 1:
            yield "depthwise"
    if (top, left) != (bottom, right):
        yield "one-sided padding"


def test_lanes_follow_the_entries_of_a_row():
    assert choose_lanes(8, 32, 43.0) == 8
    assert choose_lanes(64, 32, 9.0) == 16
    assert choose_lanes(8, 10, 2.0) == 2
    assert choose_lanes(8, 10, 0.3) == 1


def dense(out=4, inputs=8, bias=0):
    return Network(
        2,
        (Input("input", (inputs,), "events", 1),
         LIF("hidden", (out,), np.full(out, 3), np.full(out, bias), 0, 0, "zero", 8),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "hidden", (Linear(np.ones((out, inputs), int), 3),)),
         Edge("hidden", "readout", (Linear(np.ones((2, out), int), 3),))),
    )  # fmt: skip


def test_one_layout_word_by_word():
    image = compile_network(dense(), BuildOptions({"hidden": 2, "readout": 1}))
    core = image.cores[0]
    assert (core.lanes, core.local_channels, core.words) == (2, 2, 2)
    assert core.codes == (0, 1, 2, 3)
    assert core.neurons.tolist() == [[0, 2], [1, 3]]
    # Dense rows: no pointers, and entries that are nothing but weights.
    assert (core.row_lengths, core.relative) == ((2, 2), True)
    assert core.memories["entries_0"].layout.fields == (("weight", 3),)
    assert core.rows(0).start.tolist() == list(range(0, 16, 2))
    assert core.rows(0).channel.tolist() == [0, 1] * 8
    assert "pointers_0" not in core.memories


def conv_image(convolution, shape, pool=None):
    edge = Edge("input", "map", ((SumPool2d(pool),) if pool else ()) + (convolution,))
    out = edge.output_shape(shape)
    channels = np.zeros(out[0], int)
    network = Network(
        2,
        (Input("input", shape, "events", 1),
         LIF("map", out, channels + 3, channels, 0, 0, "zero", 8),
         Readout("readout", (2,), np.zeros(2, int))),
        (edge, Edge("map", "readout", (Linear(np.ones((2, int(np.prod(out))), int), 3),))),
    )  # fmt: skip
    return compile_network(network, BuildOptions({"map": 1, "readout": 1})).cores[0]


def fields(memory, *names):
    return [memory.field(name).tolist() for name in names]


def rows_of(core):
    """The rows of lane 0 as lists of (tap, channel, weight)."""
    rows = core.rows(0)
    columns = rows.tap.tolist(), rows.channel.tolist(), rows.weight[:, 0].tolist()
    flat = list(zip(*columns, strict=True))
    return [flat[start : start + n] for start, n in zip(rows.start, rows.length, strict=True)]


@pytest.mark.usefixtures("by_tap")
def test_a_stride_is_a_residue_in_the_row_and_a_quotient_in_the_base():
    kernel = np.array([[[[1, 2, 3]]]])
    core = conv_image(Conv2d(kernel, 4, (0, 0, 1, 1), (1, 2)), (1, 1, 5))
    # Columns 0..4 stand at 1..5 of the padded line; windows begin at 0, 2 and 4.
    mask, row, base = fields(core.memories["table_x_0"], "mask", "row", "base")
    assert row == [1, 0, 1, 0, 1]
    assert base == [0, 1, 1, 2, 2]
    assert mask == [0b01, 0b11, 0b01, 0b11, 0b01]  # at an odd place the kernel has one column
    assert rows_of(core) == [[(0, 0, 1), (1, 0, 3)], [(0, 0, 2)]]
    assert core.memories["taps"].field("offset").tolist() == [0, (1 << core.address_bits) - 1]
    assert core.edges[0].row_bits == 1


@pytest.mark.usefixtures("by_tap")
def test_residues_of_both_axes_share_the_row_number():
    kernel = np.arange(1, 13).reshape(1, 1, 3, 4)
    core = conv_image(Conv2d(kernel, 5, (0, 0), (2, 3)), (1, 5, 7))
    # Two rows of two targets: the last row of the source has base 4, which is 0 of four words.
    assert fields(core.memories["table_y_0"], "row", "base") == [[0, 3, 0, 3, 0], [0, 0, 2, 2, 0]]
    assert fields(core.memories["table_x_0"], "row") == [[0, 1, 2, 0, 1, 2, 0]]
    assert fields(core.memories["table_x_0"], "base") == [[0, 0, 0, 1, 1, 1, 2]]
    rows = rows_of(core)
    assert [[weight for _, _, weight in row] for row in rows[:6]] == [
        [1, 4, 9, 12], [2, 10], [3, 11], [5, 8], [6], [7]
    ]  # fmt: skip
    assert len(rows) == 6


@pytest.mark.usefixtures("by_tap")
def test_empty_residues_are_dropped_by_the_decoder():
    core = conv_image(Conv2d(np.full((1, 1, 1, 2), 3), 3, stride=(3, 4)), (1, 7, 11))
    assert fields(core.memories["table_y_0"], "mask") == [[1, 0, 0, 1, 0, 0, 1]]
    assert fields(core.memories["table_x_0"], "mask") == [[1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0]]
    assert len(core.memories["taps"].words) == 1
    assert sum(map(len, rows_of(core))) == 2


@pytest.mark.usefixtures("by_tap")
def test_a_row_that_no_event_has_holds_no_weight():
    # The only column stands at 1 of the padded line: no event has the residue of the first tap.
    # The zero in its row keeps rows of one length, so that they need no pointers.
    core = conv_image(Conv2d(np.array([[[[5, 3]]]]), 4, (0, 0, 1, 0), (1, 2)), (1, 1, 1))
    assert fields(core.memories["table_x_0"], "row") == [[1]]
    assert [[weight for *_, weight in row] for row in rows_of(core)] == [[0], [3]]


@pytest.mark.usefixtures("by_tap")
def test_a_pool_divides_before_the_stride():
    core = conv_image(Conv2d(np.full((1, 1, 1, 2), 3), 3, stride=(1, 2)), (1, 1, 11), pool=(1, 2))
    mask, row, base = fields(core.memories["table_x_0"], "mask", "row", "base")
    # Five windows, of which the fifth is in no pair; the eleventh column is in no window.
    assert mask == [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert row[:8] == [0, 0, 1, 1, 0, 0, 1, 1]
    assert base[:8] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.usefixtures("by_tap")
def test_a_row_has_no_channels_of_another_group():
    depthwise = conv_image(Conv2d(np.array([1, 2, 3])[:, None, None, None], 3, groups=3), (3, 2, 2))
    assert rows_of(depthwise) == [[(0, 0, 1)], [(0, 1, 2)], [(0, 2, 3)]]
    halves = np.arange(1, 9).reshape(4, 2, 1, 1)
    rows = rows_of(conv_image(Conv2d(halves, 5, groups=2), (4, 2, 2)))
    assert [[(channel, weight) for _, channel, weight in row] for row in rows] == [
        [(0, 1), (1, 3)], [(0, 2), (1, 4)], [(2, 5), (3, 7)], [(2, 6), (3, 8)]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lanes", "message"),
    [
        (0, r"lanes: limit is 0, must be 1\.\.64"),
        (65, r"lanes: limit is 65, must be 1\.\.64"),
        ({"hidden": 5, "readout": 1}, r"node 'hidden': lanes is 5, must be 1\.\.4"),
        ({"hidden": 0, "readout": 1}, r"node 'hidden': lanes is 0, must be 1\.\.4"),
        ({"hidden": 2}, r"node 'readout': lanes is not given, must be in the table"),
    ],
)
def test_lanes_that_cannot_be(lanes, message):
    with pytest.raises(BadInput, match=message):
        compile_network(dense(), BuildOptions(lanes))


def test_a_readout_in_three_lanes_is_refused():
    with pytest.raises(BadInput, match="must be a power of two for a readout"):
        compile_network(_wide(classes=9), BuildOptions({"hidden": 1, "readout": 3}))


def _wide(classes=2, side=4, channels=2):
    shape, window = (channels, side, side), min(side, 16)
    return Network(
        1,
        (Input("input", (1, side, side), "direct", 1),
         LIF("hidden", shape, np.full(channels, 3), np.zeros(channels, int), 0, 0, "zero", 8),
         Readout("readout", (classes,), np.zeros(classes, int))),
        (Edge("input", "hidden", (Conv2d(np.ones((channels, 1, 1, 1), int), 3),)),
         Edge("hidden", "readout",
              (SumPool2d((window, window)),
               Linear(np.ones((classes, channels * (side // window) ** 2), int), 3)))),
    )  # fmt: skip


def test_a_map_that_no_lane_holds_names_the_remedy():
    network = _wide(side=1024, channels=2)
    message = (
        r"node 'hidden': membrane words in each of 1 lanes is 2097152, "
        r"must be at most 1048576; it takes at least 2 lanes"
    )
    with pytest.raises(BadInput, match=message):
        compile_network(network, BuildOptions({"hidden": 1, "readout": 1}))
    assert (
        compile_network(network, BuildOptions({"hidden": 2, "readout": 1})).cores[0].words
        == 1 << 20
    )


def _into_readout(shape, weight):
    return Network(
        1,
        (Input("input", shape, "direct", 1), Readout("readout", (32,), np.zeros(32, int))),
        (Edge("input", "readout", (Linear(weight, 3),)),),
    )


def test_too_many_rows_are_refused():
    network = _into_readout((2, 1024, 1024), np.zeros((32, 1 << 21), np.int8))
    with pytest.raises(BadInput, match="node 'readout': rows is 2097152, must be at most 1048576"):
        compile_network(network, BuildOptions({"readout": 1}))


def test_too_many_entries_in_a_lane_name_the_lanes_that_hold_them():
    network = _into_readout((65536,), np.ones((32, 65536), np.int8))
    message = (
        r"node 'readout': weight entries in a lane, of 1, is 2097152, must be at most 1048576; "
        r"take at least 2 lanes"
    )
    with pytest.raises(BadInput, match=message):
        compile_network(network, BuildOptions({"readout": 1}))
    assert compile_network(network, BuildOptions({"readout": 2})).cores[0].lanes == 2
