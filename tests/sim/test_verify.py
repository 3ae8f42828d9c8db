"""`verify` and `profile` on a small network: what they count, what they refuse, what they find."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.cycles.prediction import predict
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.golden.image import interpreter
from spikewright.golden.image.counters import COUNTERS
from spikewright.golden.image.image_file import load_image
from spikewright.golden.image.timing import Latencies
from spikewright.golden.models import engine, reference
from spikewright.golden.network import file, operations
from spikewright.golden.network.edges import Conv2d, Edge, Linear, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import Trace
from spikewright.golden.processes import children
from spikewright.golden.testing import corners
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.sim import verify as module
from spikewright.sim.accelerator_bench import simulate
from spikewright.sim.harness.counters import check_cycles
from spikewright.sim.measurement import cycle_check
from spikewright.sim.measurement.profile import Profile
from spikewright.sim.measurement.work_check import check_operations
from spikewright.sim.options import SimulationOptions
from spikewright.sim.simulators import lint
from spikewright.sim.verify import verify

BATCH = 8


def _network() -> Network:
    rng = np.random.default_rng(11)
    weight = rng.integers(-3, 4, (4, 1, 3, 3)) * (rng.random((4, 1, 3, 3)) < 0.7)
    return Network(
        3,
        (Input("input", (1, 6, 6), "direct", 4),
         LIF("conv", (4, 6, 6), rng.integers(8, 40, 4), rng.integers(-3, 4, 4), 1, 3, "subtract",
             9),
         LIF("pool", (4, 3, 3), rng.integers(1, 4, 4), np.zeros(4, int), 0, 0, "zero", 6),
         Readout("readout", (5,), rng.integers(-9, 9, 5))),
        (Edge("input", "conv", (Conv2d(weight, 3, (1, 1)),)),
         Edge("conv", "pool", (SumPool2d((2, 2)),)),
         Edge("pool", "readout", (Linear(rng.integers(-7, 8, (5, 36)), 4),))),
        {"name": "small"},
    )  # fmt: skip


def _inputs() -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.integers(0, 16, (BATCH, 1, 6, 6)) * (rng.random((BATCH, 1, 6, 6)) < 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("small")
    build(_network(), place, BuildOptions(2))
    return place


@pytest.fixture(scope="module")
def verification(folder):
    calls = []
    result = verify(
        folder, _inputs(), SimulationOptions(stalls=(0, 50)), lambda *call: calls.append(call)
    )
    return result, calls


def test_every_value_is_compared_and_equal(verification):
    result, calls = verification
    assert result.mismatches == 0
    assert result.first is None
    hidden, classes = 4 * 36 + 4 * 9, 5
    for link, runs in zip(result.equality.links, (1, 1, 2), strict=True):
        assert link.spikes == runs * BATCH * 3 * hidden
        assert link.membranes == runs * BATCH * 3 * (hidden + classes)
        assert link.logits == runs * BATCH * classes
    assert result.verilog.name == "memory image == Verilog"
    assert result.equality.values == sum(link.values for link in result.equality.links)
    assert 0 < result.trace.spikes["conv"].mean() < 1
    assert [call[:2] for call in calls] == [(0, 3), (1, 3), (2, 3), (3, 3), (BATCH, BATCH)]


def test_measured_cycles_hang_together(verification):
    result, _ = verification
    counted = {core.node: core for core in result.counters}
    assert list(counted) == ["conv", "pool", "readout"]
    assert list(result.lanes.items()) == [(core.node, core.lanes) for core in result.profile.layers]
    assert counted["conv"].events_in == np.count_nonzero(_inputs())
    assert (
        counted["pool"].events_in == counted["conv"].events_out == result.trace.spikes["conv"].sum()
    )
    assert counted["readout"].events_out == BATCH * 5
    assert result.profile.synops == result.operations.synops > 0
    assert 0 < result.profile.utilization < 1
    # Inferences overlap: one alone takes longer than the distance between two.
    assert 0 < result.cycles_per_inference < result.latency_cycles < result.cycles
    assert (
        abs(result.cycles - result.latency_cycles - (BATCH - 1) * result.cycles_per_inference) < 1
    )
    for layer in result.profile.layers:
        assert layer.utilization == layer.counters.synops / (layer.lanes * result.cycles)
        assert layer.counters.cycles >= result.cycles


def test_json_has_schema_and_units(verification):
    profile = verification[0].profile
    values = profile.as_dict()
    assert values["schema"] == 1
    assert {"cycles_per_inference", "latency_cycles", "utilization", "synops"} <= set(values)
    assert set(values["layers"][0]["counters"]) == {
        f"{n}_cycles" if i < 5 else n for i, n in enumerate(COUNTERS)
    }
    assert Profile.from_dict(json.loads(json.dumps(values))) == profile


def test_the_same_seed_measures_the_same(verification, folder):
    again = verify(folder, _inputs())
    assert again.profile == verification[0].profile


def wrong(trace: Trace) -> Trace:
    """A trace with one membrane that is one off."""
    membranes = {name: values.copy() for name, values in trace.membranes.items()}
    membranes["pool"][3, 1, 2, 0, 1] += 1
    return replace(trace, membranes=membranes)


@pytest.mark.parametrize(
    ("program", "links"),
    [
        (reference, ["reference == engine"]),
        (engine, ["reference == engine", "engine == memory image"]),
        (interpreter, ["engine == memory image", "memory image == Verilog"]),
    ],
)
def test_a_planted_difference_in_a_golden_program_is_found_and_named(
    folder, monkeypatch, program, links
):
    right = program.run
    monkeypatch.setattr(program, "run", lambda *given: wrong(right(*given)))
    result = verify(folder, _inputs())
    broken = {link.name: link.mismatches for link in result.equality.links if link.mismatches}
    assert broken == dict.fromkeys(links, 1)
    assert result.mismatches == len(links)
    message = rf"{len(links)} values differ; first: {links[0]}.*: image 3, step 1, node 'pool', "
    with pytest.raises(CheckFailed, match=message + r"neuron \(2, 0, 1\): membrane is"):
        result.require_equal()


def test_a_planted_difference_at_one_stall_rate_is_found_and_named(folder, monkeypatch):
    def captured(bench, inputs, work, **options):
        (run,) = simulate(bench, inputs, work, **options)
        if options["stall"] != 50:
            return [run]
        return [replace(run, capture=replace(run.capture, trace=wrong(run.capture.trace)))]

    monkeypatch.setattr(module, "simulate", captured)
    result = verify(folder, _inputs(), SimulationOptions(stalls=(0, 50)))
    assert [link.mismatches for link in result.equality.links] == [0, 0, 1]
    start = "memory image == Verilog at 50 % stalls: image 3, step 1, node 'pool'"
    assert result.first is not None
    assert result.first.startswith(start)
    assert result.cycles_checked.compared == 0  # wrong spikes make wrong counts


@pytest.mark.parametrize("name", ["synops", "events_in", "events_out"])
def test_a_counter_that_is_one_off_is_named(folder, verification, name):
    result, image = verification[0], load_image(folder)
    one = result.counters[1]
    wrong = (result.counters[0], replace(one, **{name: getattr(one, name) + 1}), result.counters[2])
    with pytest.raises(CheckFailed, match=rf"core 'pool': counter {name} is"):
        check_operations(image, result.operations, result.trace, wrong)


def test_every_cycle_is_predicted_at_every_stall_rate(verification):
    checked = verification[0].cycles_checked
    # The first beat, all logits, eight counters of three cores; twice.
    assert (checked.compared, checked.differences) == (2 * (1 + BATCH * 5 + 3 * 8), 0)


def test_a_cycle_that_is_one_off_is_named(folder, monkeypatch):
    def slower(*given):
        return predict(*given, latencies=Latencies()._replace(decode=Latencies().decode + 1))

    monkeypatch.setattr(cycle_check, "predict", slower)
    result = verify(folder, _inputs(), SimulationOptions(stalls=(25,)))
    assert result.mismatches == 0 < result.cycles_checked.differences
    message = r"differ from the predicted in \d+ counts; first: the cycle of image 0, logit 0 is"
    with pytest.raises(CheckFailed, match=message):
        result.require_equal()


def test_a_cycle_in_no_class_is_named(verification):
    cores = verification[0].counters
    with pytest.raises(CheckFailed, match="core 'conv': cycle counters sum to"):
        check_cycles(cores[:1], [cores[0].cycles + 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stalls": ()}, "stall rates"),
        ({"stalls": (100,)}, "0..99"),
        ({"simulator": "xsim"}, "verilator or icarus"),
    ],
)
def test_bad_options_are_one_line(folder, options, message):
    with pytest.raises(BadInput, match=message):
        verify(folder, _inputs(), SimulationOptions(**options))


def test_bad_inputs_are_one_line(folder):
    with pytest.raises(BadInput, match="shape"):
        verify(folder, np.zeros((2, 6, 6), int))
    with pytest.raises(BadInput, match="number of inputs"):
        verify(folder, np.zeros((0, 1, 6, 6), int))


def test_a_folder_of_two_networks_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("stall-*"))
    network = _network()
    file.save(replace(network, timesteps=4), copy / "network.safetensors")
    with pytest.raises(BadInput, match="different networks"):
        verify(copy, _inputs())


def test_an_incomplete_folder_is_refused(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("sim"))
    (copy / "rtl" / "accelerator.v").unlink()
    with pytest.raises(BadInput, match=r"accelerator\.v: not found"):
        verify(copy, _inputs())


@pytest.mark.parametrize("name", ["top.v", "accelerator.v", "conv_entries_0.mem", "regs.json"])
def test_a_file_that_is_not_the_build_s_is_named_before_anything_runs(
    folder, tmp_path, monkeypatch, name
):
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("sim"))
    content = (copy / "rtl" / name).read_bytes()
    (copy / "rtl" / name).write_bytes(content.replace(b"0", b"1", 1))
    monkeypatch.setattr(module, "prepare", lambda *given: pytest.fail("was simulated"))
    with pytest.raises(BadInput, match=rf"rtl/{name}: differs from the hash in manifest\.json"):
        verify(copy, _inputs())
    (copy / "rtl" / name).write_bytes(content)
    (copy / "rtl" / f"other_{name}").write_bytes(content)
    with pytest.raises(BadInput, match=rf"rtl/other_{name}: is no file of this build"):
        verify(copy, _inputs())


def test_corners_are_those_of_the_reference(verification):
    result, network, inputs = verification[0], _network(), _inputs()
    counts = corners.coverage(network, reference.run(network, inputs), inputs)
    assert result.corners == {corner: counts[corner] for corner in corners.possible(network)}
    assert result.corners["equal to the threshold"] > 0
    assert result.corner_images is None


def test_corner_inputs_visit_the_rest(folder):
    silent = 0 * _inputs()[:2]
    plain = verify(folder, silent)
    assert {"above the threshold", "equal to the threshold"} & set(plain.unvisited)
    options = SimulationOptions(corners=True, stalls=(0, 30))
    result = verify(folder, silent, options)
    result.require_equal()
    assert set(result.unvisited) < set(plain.unvisited)
    assert "equal to the threshold" not in result.unvisited
    assert result.corner_images > 0
    assert result.images == len(result.trace.logits) == 2
    assert result.verilog.images == 2 + result.corner_images
    assert result.verilog.logits == 2 * (2 + result.corner_images) * 5
    assert result.profile == plain.profile  # as without them
    assert result.cycles_checked.compared > 2 * plain.cycles_checked.compared


def test_a_difference_on_corner_inputs_says_so(folder, monkeypatch):
    right = engine.run

    def wrong_on_more(network, inputs):
        trace = right(network, inputs)
        if inputs.any():
            trace.logits[0, 0] += 1
        return trace

    monkeypatch.setattr(engine, "run", wrong_on_more)
    result = verify(folder, 0 * _inputs()[:2], SimulationOptions(corners=True))
    assert [link.mismatches for link in result.equality.links] == [1, 1, 0]
    with pytest.raises(CheckFailed, match="first: corner inputs: reference == engine: image 0,"):
        result.require_equal()


def test_a_rate_given_twice_runs_once(folder, monkeypatch):
    places = []

    def counted(bench, inputs, place, **options):
        places.append(place.name)
        return simulate(bench, inputs, place, **options)

    monkeypatch.setattr(module, "simulate", counted)
    result = verify(folder, _inputs()[:2], SimulationOptions(stalls=(25, 25)))
    assert places == ["stall-25"]
    assert result.verilog.logits == 2 * 5


def test_an_interrupt_ends_a_simulation_that_is_not_yet_launched(folder, monkeypatch):
    begun, launched = threading.Event(), []

    def late(*_, **__):
        begun.set()
        time.sleep(0.3)  # as if it still wrote its stimulus
        with children.Child(["sleep", "3600"]) as child:
            launched.append(child.process.wait())

    def interrupt(done, total, text):
        if text.startswith("simulating"):
            begun.wait()
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "simulate", late)
    with pytest.raises(KeyboardInterrupt):
        verify(folder, _inputs()[:1], progress=interrupt)
    assert launched == [-signal.SIGKILL]


def test_waves_are_kept(folder):
    verify(folder, _inputs()[:1], SimulationOptions(waves=True))
    waves = folder / "sim" / "verilator" / "stall-0" / "dump.vcd"
    assert "in_valid" in waves.read_text()


def test_a_rebuilt_folder_keeps_no_old_simulation(tmp_path):
    network = _network()
    for lanes in (1, 2):
        build(network, tmp_path, BuildOptions(lanes))
        verify(tmp_path, _inputs()[:1])
    builds = [
        place
        for place in (tmp_path / "sim" / "verilator").iterdir()
        if (place / "inputs.txt").is_file()
    ]
    assert len(builds) == 1


def test_verilator_has_nothing_to_warn_of(folder):
    assert lint.verilator_warnings(folder) == []


def test_a_warning_would_be_seen(folder, tmp_path):
    copy = shutil.copytree(folder / "rtl", tmp_path / "rtl")
    shutil.copy(folder / "manifest.json", tmp_path)
    text = (copy / "top.v").read_text()
    (copy / "top.v").write_text(
        text.replace("\n);\n", "\n);\n    wire [3:0] narrow = 8'd200;\n", 1)
    )
    assert any("WIDTHTRUNC" in line for line in lint.verilator_warnings(tmp_path))


def test_counts_come_from_the_reference(verification):
    network, inputs = _network(), _inputs()
    counts = operations.count(network, inputs, reference.run(network, inputs))
    assert verification[0].operations == counts


def test_golden_runs_once_on_every_image(folder, monkeypatch):
    seen = []
    for program in (reference, engine, interpreter):
        right = program.run

        def counted(subject, inputs, program=program, right=right):
            seen.append((program, len(inputs)))
            return right(subject, inputs)

        monkeypatch.setattr(program, "run", counted)
    monkeypatch.setattr(module, "BATCH", 3)
    verify(folder, _inputs(), SimulationOptions(stalls=(0, 25)))
    assert seen == [(program, n) for n in (3, 3, 2) for program in (reference, engine, interpreter)]
