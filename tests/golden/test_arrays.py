"""The element types of the array types that signatures name."""

from typing import Any, cast, get_args

import numpy as np
import pytest

from spikewright.golden import arrays
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout


@pytest.mark.parametrize(
    ("alias", "element"),
    [("Ints", np.int64), ("Floats", np.float64), ("Bools", np.bool_), ("Spikes", np.uint8)],
)
def test_element_type(alias, element):
    _, dtype = get_args(getattr(arrays, alias))
    assert get_args(dtype) == (element,)


def test_numpys_integers_in_fields_become_pythons():
    ones, small, signed = np.ones((2, 3), int), cast(Any, np.uint8), cast(Any, np.int8)
    lif = LIF(
        "n", (2,), np.array([3, 3]), np.zeros(2, int), small(1), small(8), "subtract", signed(9)
    )
    assert [type(n) for n in (lif.leak_mul, lif.leak_shift, lif.membrane_bits)] == [int] * 3
    network = Network(
        signed(3),
        (Input("x", (3,), "direct", signed(8)), lif, Readout("out", (2,), np.zeros(2, int))),
        (Edge("x", "n", (Linear(ones, small(4)),)),
         Edge("n", "out", (Linear(np.eye(2, dtype=int), 4),), delay=small(0))),
    )  # fmt: skip
    assert type(network.timesteps) is type(network.input.bits) is int
    assert all(type(synapse.weight_bits) is int for synapse in network.weights)
    assert network.input.highest == 255
