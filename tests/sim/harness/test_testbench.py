"""The bench itself, around behavioural accelerators: sound ones pass, each broken one is named."""

# Through these also sim.benches.stream.

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.memory_image import Image
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import compare
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim.accelerator_bench import Bench, settings_of, simulate
from spikewright.sim.benches import SETTINGS
from spikewright.sim.harness.capture import read_capture
from spikewright.sim.harness.rename import prefix_verilog
from spikewright.sim.harness.stimulus import beats_text, input_beats
from spikewright.sim.harness.testbench import bench_verilog
from spikewright.sim.simulators import runner

BATCH = 12


def _network(coding: str = "direct", signed: bool = False) -> Network:
    rng = np.random.default_rng(0)

    def linear(out: int, into: int) -> tuple[Linear]:
        return (Linear(rng.integers(-8, 8, (out, into)), 4),)

    return Network(
        3,
        (Input("input", (5,), coding, 4, signed),
         LIF("lif1", (7,), rng.integers(1, 40, 7), rng.integers(-5, 6, 7), 1, 2, "subtract", 8),
         LIF("lif2", (6,), rng.integers(1, 20, 6), rng.integers(-5, 6, 6), 0, 0, "zero", 6),
         Readout("readout", (3,), rng.integers(-5, 6, 3), 1, 1)),
        (Edge("input", "lif1", linear(7, 5)), Edge("lif1", "lif2", linear(6, 7)),
         Edge("lif2", "readout", linear(3, 6))),
    )  # fmt: skip


def _inputs(network: Network) -> np.ndarray:
    rng = np.random.default_rng(3)
    frame = (5,) if network.input.coding == "direct" else (3, 5)
    inputs = rng.integers(network.input.lowest, network.input.highest + 1, (BATCH, *frame))
    return inputs * (rng.random(inputs.shape) < 0.5)


def _stub(network: Network, image: Image) -> str:
    # Tests are no package, so the module next to this file is loaded by path.
    spec = importlib.util.spec_from_file_location(
        "stub_verilog", Path(__file__).with_name("stub_verilog.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.stub(network, image)


def _bench(
    networks: list[Network], texts: list[str], work: Path, cache: Path, simulator: str = "verilator"
) -> Bench:
    images = tuple(compile_network(network, BuildOptions(2)) for network in networks)
    sources = [work / f"n{i}.v" for i in range(len(texts))]
    for i, text in enumerate(texts):
        sources[i].write_text(prefix_verilog(text, f"n{i}_"))
    sources.append(work / "tb.v")
    sources[-1].write_text(bench_verilog(images, [f"n{i}_accelerator" for i in range(len(texts))]))
    return Bench(images, runner.build_bench(sources, "tb", cache, simulator), ())


@pytest.fixture(scope="module")
def sound(tmp_path_factory, simulations) -> tuple[list[Network], Bench]:
    """Three behavioural accelerators side by side: direct, events, signed events."""
    networks = [_network(), _network("events"), _network("events", signed=True)]
    texts = [_stub(network, compile_network(network, BuildOptions(2))) for network in networks]
    return networks, _bench(networks, texts, tmp_path_factory.mktemp("sound"), simulations)


@pytest.mark.parametrize(("stall", "reset_after"), [(0, 0), (50, 0), (90, 0), (25, 77)])
def test_accelerators_side_by_side_equal_the_reference(sound, tmp_path, stall, reset_after):
    networks, bench = sound
    inputs = [_inputs(network) for network in networks]
    runs = simulate(
        bench,
        inputs,
        tmp_path / "run",
        stall=stall,
        seed=stall,
        reset_after=reset_after,
    )
    for network, values, run in zip(networks, inputs, runs, strict=True):
        trace = reference.run(network, values)
        assert 0 < trace.spikes["lif1"].mean() < 1
        result = compare(trace, run.capture.trace)
        assert (result.mismatches, result.spikes) == (0, BATCH * 3 * 13)
        assert (np.diff(run.capture.last_output) > 0).all()


@pytest.mark.parametrize("stall", [0, 25, 75])
def test_streams_are_held_as_often_as_asked(sound, tmp_path, stall):
    networks, bench = sound
    inputs = [_inputs(network) for network in networks]
    runs = simulate(bench, inputs, tmp_path / "run", stall=stall, seed=1)
    cycles = sum(int(run.capture.last_output[-1]) for run in runs)
    share = sum(run.stall_share * int(run.capture.last_output[-1]) for run in runs) / cycles
    assert share == pytest.approx(stall / 100, abs=0.04 if stall else 0)


def test_the_same_seed_gives_the_same_cycles_and_another_one_does_not(sound, tmp_path):
    networks, bench = sound
    inputs = [_inputs(network) for network in networks]
    ends = []
    for index, seed in enumerate((1, 1, 2)):
        run = simulate(bench, inputs, tmp_path / f"run{index}", stall=50, seed=seed)[0]
        ends.append(run.capture.last_output.tolist())
    assert ends[0] == ends[1] != ends[2]


BROKEN = {
    "sound": ("", "", ""),
    "valid falls": ("assign out_valid = state == GIVE;",
                    "assign out_valid = state == GIVE & cycles[0];",
                    "out_valid fell before the beat was accepted"),
    "payload changes": ("word[1:0]}", "word[1:0] ^ {1'b0, cycles[2]}}",
                        "changed before the beat was accepted"),
    "stuck": ("if (in_valid & in_ready) begin", "if (in_valid & in_ready & cycles < 500) begin",
              "stuck: nothing moved for"),
    "trace beat lost": ("trace_1_valid <= 1;",
                        "trace_1_valid <= ~(step == 1 & word == 2 & cycles[7]);",
                        "stuck: nothing moved for"),
    "trace beat twice": ("else if (out_ready) begin",
                         "else if (out_ready) begin trace_0_valid <= cycles[7:5] == 0;",
                         "left over"),
    "stream inside": ("assign broken = 0;", "assign broken = 2 * (cycles == 900);",
                      "a stream inside breaks the rules, in cycle"),
}  # fmt: skip


def test_every_broken_accelerator_is_named(tmp_path, simulations):
    network = _network()
    image = compile_network(network, BuildOptions(2))
    text = _stub(network, image)
    texts = []
    for name, (old, new, _) in BROKEN.items():
        assert name == "sound" or text.count(old) == 1, name
        texts.append(text.replace(old, new) if old else text)
    bench = _bench([network] * len(texts), texts, tmp_path, simulations)
    folder = tmp_path / "run"
    folder.mkdir()
    inputs = _inputs(network)
    for index in range(len(texts)):
        (folder / f"{index}_stimulus.hex").write_text(beats_text(input_beats(image, inputs)))
    settings = {"rate": 128, "seed": 5, "inferences": BATCH, "patience": 3000, "reset_after": 0,
                "accelerators": [settings_of(image)] * len(texts)}  # fmt: skip
    result = runner.run_bench(bench.build, "spikewright.sim.benches.accelerator", folder,
                        environment={SETTINGS: json.dumps(settings)})  # fmt: skip
    assert len(result.failures) == 1
    reports = json.loads((folder / "result.json").read_text())
    found = {}
    for index, (name, report) in enumerate(zip(BROKEN, reports, strict=True)):
        found[name] = report["failure"]
        if not found[name]:
            try:
                read_capture(image, folder, BATCH, index)
            except CheckFailed as error:
                found[name] = str(error)
    assert not found["sound"]
    for name, (_, _, message) in BROKEN.items():
        assert message in found[name], (name, found)
