"""Small images to test components with."""

from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.compiler import core_plan
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions


def _lif(shape, **options):
    channels = np.zeros(shape[0], int)
    given = {"threshold": channels + 5, "bias": channels, "leak_mul": 0, "leak_shift": 0,
             "reset": "subtract", "membrane_bits": 8} | options  # fmt: skip
    return LIF("lif", shape, **given)


@pytest.fixture
def conv_core():
    """A 3 x 3 convolution of a 2 x 5 x 6 map of 3-bit events to 6 channels in 2 lanes."""

    def make(lanes: int = 2, seed: int = 0, density: float = 1.0, **options) -> CoreImage:
        rng = np.random.default_rng(seed)
        weight = rng.integers(-7, 8, (6, 2, 3, 3)) * (rng.random((6, 2, 3, 3)) < density)
        network = Network(
            3,
            (Input("input", (2, 5, 6), "events", 3), _lif((6, 5, 6), **options),
             Readout("readout", (2,), np.zeros(2, int))),
            (Edge("input", "lif", (Conv2d(weight, 4, (1, 1)),)),
             Edge("lif", "readout", (Linear(np.ones((2, 180), int), 2),))),
        )  # fmt: skip
        return compile_network(network, BuildOptions({"lif": lanes, "readout": 1})).cores[0]

    return make


@pytest.fixture
def dense_core():
    """A linear core with rows of the given lengths in one lane, 64 targets, plain spikes.

    A row goes to the first targets, and entries are relative; or, `scattered`, to any targets, the
    last among them, and entries are absolute.
    """

    def make(lengths: list[int], targets: int = 64, scattered: bool = False) -> CoreImage:
        weight = np.zeros((targets, len(lengths)), int)
        rng = np.random.default_rng(0)
        for row, length in enumerate(lengths):
            places = np.arange(length)
            if scattered:
                places = np.sort([targets - 1, *rng.permutation(targets - 1)])[-length:]
            weight[places[:length], row] = 1 + (np.arange(length) + row) % 7
        network = Network(
            2,
            (Input("input", (len(lengths),), "events", 1), _lif((targets,)),
             Readout("readout", (2,), np.zeros(2, int))),
            (Edge("input", "lif", (Linear(weight, 4),)),
             Edge("lif", "readout", (Linear(np.ones((2, targets), int), 2),))),
        )  # fmt: skip
        return compile_network(network, BuildOptions({"lif": 1, "readout": 1})).cores[0]

    return make


@pytest.fixture
def by_tap(monkeypatch):
    """Convolutions have no rows of their own near borders: there is no room for them."""
    monkeypatch.setattr(core_plan, "_bordered", lambda edges, *_: edges)


@pytest.fixture
def framed():
    """Makes the edge of a core direct."""

    def make(core: CoreImage) -> CoreImage:
        return replace(core, edges=(replace(core.edges[0], direct=True),))

    return make


@pytest.fixture
def neuron_core(conv_core):
    """A core whose neuron has the given constants and 14-bit sums."""

    def make(**changes) -> CoreImage:
        return replace(conv_core(), acc_bits=14, clamp_bits=9, state_bits=9, **changes)

    return make


@pytest.fixture
def mixed():
    """Gives a core a second, direct edge with the same rows behind those of the first."""

    def make(core: CoreImage) -> CoreImage:
        first = core.edges[0]
        second = replace(first, source="other", direct=True, row_start=first.rows)
        tables = {f"table_{axis}_1": core.memories[f"table_{axis}_0"] for axis in "yx"}
        rows = {
            name: replace(core.memories[name], words=np.tile(core.memories[name].words, 2))
            for lane, length in enumerate(core.row_lengths)
            for name in [f"{'pointers' if length is None else 'entries'}_{lane}"]
        }
        memories = {**core.memories, **tables, **rows}
        return replace(core, edges=(first, second), memories=memories)

    return make
