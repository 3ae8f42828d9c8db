"""Every hardware component by itself under cocotb; one simulator build per network for all."""

# Through these also sim.benches.golden_model, sim.benches.component_drivers.

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Edge, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim.benches import SETTINGS
from spikewright.sim.harness.components import components_verilog
from spikewright.sim.simulators import runner


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
    """A direct frame, a pool that crops, short rows, reset to zero: 11 units in 3 lanes."""
    rng = np.random.default_rng(2)
    weight = rng.integers(-7, 8, (11, 12)) * (rng.random((11, 12)) < 0.5)
    return Network(
        4,
        (Input("input", (3, 5, 7), "direct", 4),
         LIF("lif", (11,), rng.integers(20, 90, 11), rng.integers(-9, 9, 11), 3, 4, "zero", 9),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "lif", (SumPool2d((2, 3)), Linear(weight, 4))),
         Edge("lif", "readout", (Linear(np.ones((2, 11), int), 2),))),
    )  # fmt: skip


def _logits() -> Network:
    """Spikes straight into a leaky readout: 7 classes in 4 lanes."""
    rng = np.random.default_rng(3)
    return Network(
        3,
        (
            Input("input", (20,), "events", 1),
            Readout("readout", (7,), rng.integers(-9, 9, 7), 1, 3),
        ),
        (Edge("input", "readout", (Linear(rng.integers(-7, 8, (7, 20)), 4),)),),
    )


def _joined() -> Network:
    """A node with an event, a direct and a delayed edge, whose sweep merges windows."""
    rng = np.random.default_rng(4)

    def weight(*shape: int) -> np.ndarray:
        return rng.integers(-4, 4, shape) * (rng.random(shape) < 0.6)

    return Network(
        3,
        (Input("input", (2, 5, 6), "direct", 3, signed=True),
         LIF("first", (3, 5, 6), rng.integers(2, 9, 3), rng.integers(-2, 3, 3), 0, 0, "zero", 6),
         LIF("lif", (5, 5, 6), rng.integers(2, 9, 5), rng.integers(-2, 3, 5), 1, 2, "subtract", 7),
         Readout("readout", (2,), np.zeros(2, int))),
        (Edge("input", "first", (Conv2d(weight(3, 2, 3, 3), 3, (1, 1)),)),
         Edge("first", "lif", (Conv2d(weight(5, 3, 3, 2), 3, (1, 1, 0, 1)),)),
         Edge("input", "lif", (Conv2d(weight(5, 2, 1, 3), 3, (0, 1)),)),
         Edge("first", "lif", (Conv2d(weight(5, 3, 3, 3), 3, (1, 1)),), delay=1),
         Edge("lif", "readout", (MaxPool2d((2, 4)), Linear(np.ones((2, 10), int), 2)))),
    )  # fmt: skip


NETWORKS = {
    "convolution": (_convolution, 3, 0), "pooled": (_pooled, 3, 0), "logits": (_logits, 4, 0),
    "joined": (_joined, 3, 1),
}  # fmt: skip
"""Network, lanes, and the number of the core whose components are tested."""


@pytest.fixture(scope="module", params=NETWORKS)
def bench(request, tmp_path_factory, simulations: Path) -> tuple[dict, runner.Build]:
    place = tmp_path_factory.mktemp(request.param)
    make, lanes, core = NETWORKS[request.param]
    network = make()
    file.save(network, place / "network.safetensors")
    (place / "components.v").write_text(
        components_verilog(compile_network(network, BuildOptions(lanes)), core)
    )
    path = str(place / "network.safetensors")
    settings = {"network": path, "lanes": lanes, "core": core, "seed": 7}
    return settings, runner.build_bench([place / "components.v"], "tb", simulations)


@pytest.fixture(scope="module", params=[0, 0.5], ids=["free", "stalled"])
def results(request, bench, tmp_path_factory) -> runner.RunResult:
    settings, build = bench
    environment = {SETTINGS: json.dumps(settings | {"stall": request.param})}
    place = tmp_path_factory.mktemp("run")
    return runner.run_bench(
        build, "spikewright.sim.benches.components", place, environment=environment
    )


@pytest.mark.parametrize("component", ["decoder", "lane", "sweep", "serialiser", "core"])
def test_component_alone(results: runner.RunResult, component: str):
    found = {test.name: test.failure for test in results.tests}
    assert component in found
    assert found[component] is None, f"{found[component]} (see {results.log})"


# One fault in each component; they are independent in the bench, so one build serves all.
FAULTS = {
    "decoder": (
        "core/decoder.py",
        'position.eq(y["row"] + x["row"])',
        'position.eq(y["row"])',
    ),
    "lane": ("core/bank.py", "late = 2 if small else 3", "late = 3"),
    "sweep": ("core/sweep.py", "with m.If(self.room & self.end):", "with m.If(self.end):"),
    "serialiser": ("core/serialiser.py", 'current["end"] & (left == 0)', 'current["end"]'),
}


def test_every_bench_notices_a_fault_of_its_component(tmp_path: Path, simulations: Path):
    root = Path(__file__).parents[3]
    ignored = shutil.ignore_patterns("__pycache__")
    for part in ("golden", "hw", "sim", "spikewright"):
        shutil.copytree(root / part, tmp_path / part, symlinks=True, ignore=ignored)
    for file_name, old, new in FAULTS.values():
        path = tmp_path / "hw" / file_name
        assert path.read_text().count(old) == 1, f"{file_name}: {old}"
        path.write_text(path.read_text().replace(old, new))
    network = _pooled()
    file.save(network, tmp_path / "network.safetensors")
    script = (
        "from pathlib import Path\n"
        "from spikewright.golden.network.file import load\n"
        "from spikewright.hw.compiler.compile_network import compile_network\n"
        "from spikewright.hw.options import BuildOptions\n"
        "from spikewright.sim.harness.components import components_verilog\n"
        "image = compile_network(load('network.safetensors'), BuildOptions(3))\n"
        "Path('components.v').write_text(components_verilog(image))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    build = runner.build_bench([tmp_path / "components.v"], "tb", simulations)
    settings = {"network": str(tmp_path / "network.safetensors"), "lanes": 3, "core": 0}
    noticed = set()
    for stall in (0, 0.5):
        result = runner.run_bench(
            build, "spikewright.sim.benches.components", tmp_path / f"run-{stall}",
            environment={SETTINGS: json.dumps(settings | {"stall": stall, "seed": 7})},
        )  # fmt: skip
        noticed |= {test.name for test in result.failures}
    assert noticed == {*FAULTS, "core"}
