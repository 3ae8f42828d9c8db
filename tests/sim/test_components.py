"""Every hardware component by itself under cocotb; one simulator build per network serves them all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from golden import file
from golden.edges import Conv2d, Edge, Linear, SumPool2d
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from hw.compiler import compile_network
from sim import runner
from sim.benches import SETTINGS
from sim.components import components_verilog

COMPONENTS = ("decoder", "lane", "sweep", "serialiser", "core")
LANES = 3


def _convolution() -> Network:
    """Signed events, a padded convolution, leak, subtraction: 5 channels in 3 lanes."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-4, 4, (5, 2, 3, 2)) * (rng.random((5, 2, 3, 2)) < 0.6)
    return Network(
        3,
        (Input("input", (2, 5, 4), "events", 3, signed=True),
         LIF("lif", (5, 5, 5), rng.integers(2, 9, 5), rng.integers(-2, 3, 5), 1, 2, "subtract", 6),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "lif", (Conv2d(weight, 3, (1, 1)),)),
         Edge("lif", "readout", (Linear(np.ones((2, 125), int), 2),))),
    )  # fmt: skip


def _pooled() -> Network:
    """A direct frame, a pool that crops, dense rows, reset to zero: 11 units in 3 lanes."""
    rng = np.random.default_rng(2)
    return Network(
        4,
        (Input("input", (3, 5, 7), "direct", 4),
         LIF("lif", (11,), rng.integers(20, 90, 11), rng.integers(-9, 9, 11), 3, 4, "zero", 9),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "lif", (SumPool2d((2, 3)), Linear(rng.integers(-7, 8, (11, 12)), 4))),
         Edge("lif", "readout", (Linear(np.ones((2, 11), int), 2),))),
    )  # fmt: skip


NETWORKS = {"convolution": _convolution, "pooled": _pooled}


@pytest.fixture(scope="module", params=NETWORKS)
def bench(request, tmp_path_factory, simulations: Path) -> tuple[Path, runner.Build]:
    place = tmp_path_factory.mktemp(request.param)
    network = NETWORKS[request.param]()
    file.save(network, place / "network.safetensors")
    (place / "components.v").write_text(components_verilog(compile_network(network, LANES)))
    return place / "network.safetensors", runner.build([place / "components.v"], "tb", simulations)


@pytest.mark.parametrize("stall", [0, 0.5])
@pytest.mark.parametrize("component", COMPONENTS)
def test_component_alone(bench, tmp_path: Path, component: str, stall: float):
    network, build = bench
    settings = {"network": str(network), "lanes": LANES, "core": 0, "stall": stall, "seed": 7}
    result = runner.run(build, "sim.benches.components", tmp_path / "run", tests=[component], deadline_s=60,
                        environment={SETTINGS: json.dumps(settings)})  # fmt: skip
    assert [test.name for test in result.tests] == [component]
    result.require_passed()
