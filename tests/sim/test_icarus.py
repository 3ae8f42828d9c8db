"""The second simulator: the same benches on Icarus, which starts every register at X."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Edge, Linear, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.testing import random_chain
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim.benches import SETTINGS
from spikewright.sim.harness.components import components_verilog
from spikewright.sim.options import SimulationOptions
from spikewright.sim.simulators import lint, runner
from spikewright.sim.verify import verify

pytestmark = pytest.mark.icarus


def _network() -> Network:
    rng = np.random.default_rng(4)
    weight = rng.integers(-3, 4, (3, 2, 3, 3))
    return Network(
        2,
        (Input("input", (2, 6, 5), "events", 2),
         LIF("lif", (3, 6, 5), rng.integers(3, 12, 3), rng.integers(-2, 3, 3), 1, 2, "zero", 7),
         Readout("readout", (4,), rng.integers(-9, 9, 4), 1, 4)),
        (Edge("input", "lif", (Conv2d(weight, 3, (1, 1)),)),
         Edge("lif", "readout", (SumPool2d((2, 2)), Linear(rng.integers(-7, 8, (4, 18)), 4)))),
    )  # fmt: skip


def _inputs(batch: int = 4) -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.integers(0, 4, (batch, 2, 2, 6, 5)) * (rng.random((batch, 2, 2, 6, 5)) < 0.4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("icarus")
    build(_network(), place, BuildOptions(2))
    return place


def test_no_warning(folder):
    assert lint.icarus_warnings(folder) == []


def test_both_simulators_see_the_same_values_in_the_same_cycles(folder):
    left = verify(folder, _inputs(), SimulationOptions("icarus", (0, 50)))
    right = verify(folder, _inputs(), SimulationOptions("verilator", (0, 50)))
    assert left.mismatches == right.mismatches == 0
    assert left.verilog.membranes == right.verilog.membranes > 0
    assert left.profile == right.profile
    logs = list((folder / "sim" / "icarus").glob("*/build.log"))
    assert len(logs) == 1
    assert "warning" not in logs[0].read_text()


@pytest.mark.parametrize("seed", range(4))
def test_random_networks(tmp_path, seed):
    network = random_chain.random_network(seed)
    build(network, tmp_path, BuildOptions(3))
    inputs = random_chain.random_inputs(network, 3, seed)
    result = verify(tmp_path, inputs, SimulationOptions("icarus", (0, 50)))
    assert result.mismatches == 0, result.first


def test_waves_are_kept(folder):
    verify(folder, _inputs(1), SimulationOptions("icarus", waves=True))
    assert (folder / "sim" / "icarus" / "stall-0" / "dump.fst").stat().st_size > 0


def test_components_alone(tmp_path):
    network = _network()
    file.save(network, tmp_path / "network.safetensors")
    (tmp_path / "components.v").write_text(
        components_verilog(compile_network(network, BuildOptions(2)))
    )
    bench = runner.build_bench([tmp_path / "components.v"], "tb", tmp_path / "cache", "icarus")
    settings = {
        "network": str(tmp_path / "network.safetensors"),
        "lanes": 2,
        "core": 0,
        "stall": 0.5,
        "seed": 3,
    }
    result = runner.run_bench(bench, "spikewright.sim.benches.components", tmp_path / "run",
                        deadline_s=120,
                        environment={SETTINGS: json.dumps(settings)})  # fmt: skip
    assert sorted(test.name for test in result.tests) == [
        "core",
        "decoder",
        "lane",
        "serialiser",
        "sweep",
    ]
    result.require_passed()
