"""The compiler: lanes, codes, refusals, and 300 random images executed."""

import numpy as np
import pytest

from golden import interpreter, reference
from golden.edges import Conv2d, Edge, Linear, SumPool2d
from golden.errors import BadInput
from golden.fuzz import random_inputs, random_network
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from golden.trace import compare
from hw.compiler import compile_network
from hw.lanes import assign_channels, choose_lanes


@pytest.mark.parametrize("block", range(10))
def test_300_random_images_equal_the_reference(block):
    for seed in range(30 * block, 30 * block + 30):
        network = random_network(seed)
        inputs = network.check_inputs(random_inputs(network, 4, seed))
        rng = np.random.default_rng(seed)
        lanes = {n.name: int(rng.integers(1, min(9, n.shape[0]) + 1)) for n in network.nodes[1:]}
        lanes["readout"] = 1 << (lanes["readout"].bit_length() - 1)
        image = compile_network(network, lanes)
        comparison = compare(reference.run(network, inputs), interpreter.run(image, inputs))
        assert comparison.mismatches == 0, f"seed {seed}: {comparison.first}"
        assert comparison.membranes > 0


@pytest.mark.parametrize("lanes", [1, 2, 3, 7])
def test_channels_are_balanced_and_all_placed(lanes):
    kept = np.random.default_rng(0).integers(0, 100, 31)
    codes = assign_channels(kept, lanes)
    assert len(set(codes)) == 31
    bits = (lanes - 1).bit_length()
    loads = [
        sum(int(kept[c]) for c in range(31) if codes[c] & ((1 << bits) - 1) == lane)
        for lane in range(lanes)
    ]
    assert max(loads) - min(loads) <= int(kept.max())
    assert max(code >> bits for code in codes) < -(-31 // lanes)


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
    image = compile_network(dense(), {"hidden": 2, "readout": 1})
    core = image.cores[0]
    assert (core.lanes, core.local_channels, core.words) == (2, 2, 2)
    assert core.codes == (0, 1, 2, 3)
    assert core.neurons.tolist() == [[0, 2], [1, 3]]
    assert core.memories["pointers_0"].field("count").tolist() == [2] * 8
    assert core.memories["pointers_0"].field("start").tolist() == list(range(0, 16, 2))
    assert core.memories["entries_0"].field("channel").tolist() == [0, 1] * 8


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
        compile_network(dense(), lanes)


def test_a_readout_in_three_lanes_is_refused():
    with pytest.raises(BadInput, match="must be a power of two for a readout"):
        compile_network(_wide(classes=9), {"hidden": 1, "readout": 3})


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
    network = _wide(side=256, channels=2)
    message = (
        r"node 'hidden': membrane words in each of 1 lanes is 131072, "
        r"must be at most 65536; it takes at least 2 lanes"
    )
    with pytest.raises(BadInput, match=message):
        compile_network(network, {"hidden": 1, "readout": 1})
    assert compile_network(network, {"hidden": 2, "readout": 1}).cores[0].words == 65536


def test_too_many_rows_or_entries_are_refused():
    many = Network(
        1,
        (Input("input", (2, 256, 256), "direct", 1), Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "readout", (Linear(np.zeros((2, 2 * 65536), int), 3),)),),
    )
    with pytest.raises(BadInput, match="node 'readout': rows is 131072, must be at most 65536"):
        compile_network(many, {"readout": 1})
    full = Network(
        1,
        (Input("input", (4096,), "direct", 1), Readout("readout", (32,), np.zeros(32, int))),
        (Edge("input", "readout", (Linear(np.ones((32, 4096), int), 3),)),),
    )
    with pytest.raises(
        BadInput, match=r"weight entries in lane 0 of 1 is 131072, must be at most 65536"
    ):
        compile_network(full, {"readout": 1})
    assert compile_network(full, {"readout": 2}).cores[0].lanes == 2
