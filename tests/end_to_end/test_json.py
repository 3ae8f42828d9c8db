"""`--json`: one object on standard output, progress on standard error, the same in all commands."""

# Through these also cli.text, results.base, results.builds, results.measured, results.models,
# results.report.

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikewright.cli.commands import ALL

KEYS = {
    "schema", "accuracy", "timesteps", "weight_bits", "density", "images", "compared_spikes",
    "compared_membranes", "compared_logits", "mismatches", "cycles_per_inference", "utilization",
    "synops",
}  # fmt: skip


def test_every_command_has_the_option() -> None:
    assert [command.name for command in ALL] == [
        "demo", "train", "experiment", "run", "build", "verify", "synth", "profile", "report",
        "doctor",
    ]  # fmt: skip
    for command in ALL:
        assert any("--json" in parameter.opts for parameter in command.params), command.name


@pytest.mark.parametrize(
    "arguments", [("run", "FOLDER"), ("verify", "FOLDER", "--images", "20"), ("report", "FOLDER")]
)
def test_results_carry_the_promised_keys(command, demo_folder: Path, arguments) -> None:
    words = [str(demo_folder) if word == "FOLDER" else word for word in arguments]
    outcome = command(*words, "--json")
    assert outcome.code == 0, outcome.err
    assert set(outcome.json) >= KEYS
    assert outcome.json["schema"] == 1
    assert outcome.json["mismatches"] == 0


def test_profile_has_every_layer(command, demo_folder: Path) -> None:
    outcome = command("profile", demo_folder, "--json")
    assert outcome.code == 0, outcome.err
    assert [row["node"] for row in outcome.json["layers"]] == ["conv1", "readout"]
    assert outcome.json["cycles"] > 0


def test_run_of_a_build_predicts_what_verify_measures(command, demo_folder: Path) -> None:
    predicted = command("run", demo_folder, "--images", 3, "--json").json
    measured = command("verify", demo_folder, "--images", 3, "--json").json
    assert measured["compared_cycles"] > 0 == measured["cycle_differences"]
    names = ("cycles_per_inference", "latency_cycles", "utilization")
    assert [predicted[name] for name in names] == [measured[name] for name in names]


def test_run_of_a_bare_network_measures_no_hardware(command, small_file: Path) -> None:
    outcome = command("run", small_file, "--json")
    assert outcome.code == 0, outcome.err
    assert set(outcome.json) >= KEYS
    assert outcome.json["accuracy"] is None
    assert outcome.json["accuracy_images"] is None
    assert outcome.json["cycles_per_inference"] is None
    assert outcome.json["compared_spikes"] == 100 * 3 * 3
    assert outcome.json["compared_membranes"] == 100 * 3 * 5


def test_run_saves_every_spike_and_membrane(command, small_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "inputs.npy", np.array([[3, 2], [15, 0]]))
    saved = tmp_path / "trace.npz"
    outcome = command("run", small_file, "--inputs", tmp_path / "inputs.npy", "--save", saved)
    assert outcome.code == 0, outcome.err
    with np.load(saved) as arrays:
        assert set(arrays) == {"spikes.hidden", "membranes.hidden", "membranes.out", "logits"}
        # By hand: drive 9; 9 >= 4 fires and leaves 5; then 5 - 2 + 9 = 12 leaves 8; then 9.
        assert arrays["membranes.hidden"][0, :, 0].tolist() == [5, 8, 9]
        assert arrays["spikes.hidden"][0, :, 0].tolist() == [1, 1, 1]
        assert arrays["logits"].shape == (2, 2)


def test_doctor(command) -> None:
    outcome = command("doctor", "--json")
    assert outcome.code == 0
    assert outcome.json["ok"] is True
    assert {"python", "torch", "verilator", "c++ compiler"} <= {
        finding["name"] for finding in outcome.json["findings"]
    }


def test_an_error_is_one_object_too(command, tmp_path: Path) -> None:
    outcome = command("run", tmp_path / "absent.safetensors", "--json")
    assert outcome.code == 2
    assert outcome.json["exit_code"] == 2
    assert "absent.safetensors" in outcome.json["error"]
    assert outcome.err.count("\n") == 1


def test_wide_words_and_long_passes_compute_the_same(command, demo_folder: Path, tmp_path: Path):
    shape = ("--channels-per-word", "2", "--steps-per-pass", "2", "--images", "5", "--no-top")
    network = demo_folder / "network.safetensors"
    found = command("verify", network, *shape, "--out", tmp_path / "wide", "--json")
    assert found.code == 0
    assert found.json["mismatches"] == 0 < found.json["compared_membranes"]
    manifest = json.loads((tmp_path / "wide" / "manifest.json").read_text())
    assert manifest["steps_per_pass"] == 2
    assert set(manifest["channels_per_word"].values()) == {2}


def test_values_that_differ_end_with_code_1(command, demo_folder: Path, monkeypatch) -> None:
    from spikewright.golden.models import reference
    from spikewright.golden.network.trace import Trace

    true_run = reference.run

    def wrong(network, inputs) -> Trace:
        trace = true_run(network, inputs)
        trace.membranes["conv1"][0, 1, 2, 3, 4] += 1
        return trace

    monkeypatch.setattr(reference, "run", wrong)
    outcome = command("run", demo_folder, "--compare", "5", "--json")
    assert outcome.code == 1
    assert outcome.json["mismatches"] == 1
    for part in ("image 0", "step 1", "conv1", "(2, 3, 4)"):
        assert part in outcome.json["first_mismatch"]
        assert part in outcome.err


def test_a_network_whose_data_set_is_not_there_gets_random_inputs(
    command, small_network, tmp_path: Path, monkeypatch
) -> None:
    import dataclasses

    import spikewright

    monkeypatch.delenv("SPIKEWRIGHT_DATA", raising=False)
    for data in ("mnist", "something else"):
        network = dataclasses.replace(small_network, meta={"data": data})
        spikewright.save_network(network, tmp_path / "net.safetensors")
        outcome = command("run", tmp_path / "net.safetensors", "--json")
        assert outcome.code == 0, outcome.err
        assert outcome.json["stimulus"] == "random integers, seed 0"
    outcome = command("run", tmp_path / "net.safetensors", "--inputs", "test")
    assert outcome.code == 2


def test_a_build_says_what_it_planned(command, small_file: Path, tmp_path: Path) -> None:
    words = ("build", small_file, "--out", tmp_path / "built", "--target", "ecp5-25k")
    outcome = command(*words, "--budget", "ram=40,dsp=1", "--json")
    assert outcome.code == 0, outcome.err
    plan = outcome.json["plan"]
    assert plan["target"] == "ecp5-25k"
    assert plan["block_rams"]["of"] == 40
    assert {core["node"] for core in plan["cores"]} == set(outcome.json["lanes"])
    shown = command(*words, "--budget", "ram=40,dsp=1")
    assert "plan        on ecp5-25k: 0 of 40 block RAMs" in shown.out
    refused = command(*words, "--budget", "lut=10", "--force")
    assert refused.code == 2
    assert "LUTs of all cores together is" in refused.err
    assert command(*words, "--budget", "ram").code == 2
