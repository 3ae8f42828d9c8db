"""The Python names that docs/python.md documents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikewright


def test_every_name_is_there() -> None:
    assert spikewright.__all__
    for name in spikewright.__all__:
        assert getattr(spikewright, name) is not None
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = spikewright.frobnicate


def test_names_and_help_come_without_torch() -> None:
    program = (
        "import sys, spikewright, spikewright.cli.main as c; "
        "spikewright.load_network; spikewright.run; "
        "code = c.run(['demo', '--help']); "
        "heavy = {'torch', 'amaranth', 'cocotb', 'sklearn'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


def test_save_load_run(small_network: spikewright.Network, tmp_path: Path) -> None:
    path = tmp_path / "small.safetensors"
    spikewright.save_network(small_network, path)
    network = spikewright.load_network(path)
    assert spikewright.fingerprint(network) == spikewright.fingerprint(small_network)
    trace = spikewright.run(network, np.array([[3, 2]]))
    assert trace.spikes["hidden"].shape == (1, 3, 3)
    assert trace.membranes["hidden"].shape == (1, 3, 3)
    assert trace.membranes["out"].shape == (1, 3, 2)
    assert trace.logits.shape == (1, 2)
    assert trace.spikes["hidden"].any()
    assert not trace.spikes["hidden"].all()


def test_build_verify_profile(small_network: spikewright.Network, tmp_path: Path) -> None:
    inputs = np.array([[3, 2], [0, 0], [15, 15], [1, 9]])
    stimulus = spikewright.Stimulus(inputs, np.array([0, 1, 0, 1]))
    built = spikewright.build(
        small_network, tmp_path / "small", spikewright.BuildOptions(2), stimulus
    )
    assert [core.node for core in built.image.cores] == ["hidden", "out"]
    options = spikewright.SimulationOptions(stalls=(0, 50))
    result = spikewright.verify(tmp_path / "small", options)
    assert result.mismatches == 0
    assert result.images == 4
    assert result.compared_spikes == 2 * 4 * 3 * 3  # at both rates of stalls
    measured = spikewright.profile(tmp_path / "small")
    assert measured.cycles_per_inference > 0
    assert [layer.node for layer in measured.layers] == ["hidden", "out"]
    assert measured.synops == result.synops


def test_a_profile_is_of_the_inputs_of_the_folder(
    small_network: spikewright.Network, tmp_path: Path
) -> None:
    folder = tmp_path / "small"
    stimulus = spikewright.Stimulus(np.array([[0, 0], [0, 1]]))
    spikewright.build(small_network, folder, spikewright.BuildOptions(2), stimulus)
    other = spikewright.verify(
        folder, stimulus=spikewright.Stimulus(np.array([[15, 15], [15, 15]]))
    )
    measured = spikewright.profile(folder)
    assert measured.stimulus == "inputs of the caller"
    assert 0 < measured.synops < other.synops


def test_labels_that_do_not_fit() -> None:
    inputs = np.array([[0, 0], [0, 1]])
    for labels in (np.array([1]), np.array([0.5, 1.0]), np.array([[0, 1]])):
        with pytest.raises(spikewright.BadInput, match="labels"):
            spikewright.Stimulus(inputs, labels)


def test_inputs_that_do_not_fit(small_network: spikewright.Network, tmp_path: Path) -> None:
    stimulus = spikewright.Stimulus(np.zeros((2, 3), int))
    with pytest.raises(spikewright.BadInput, match="shape"):
        spikewright.build(small_network, tmp_path / "small", stimulus=stimulus)
    assert not (tmp_path / "small").exists()
