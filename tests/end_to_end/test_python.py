"""The Python names that docs/python.md documents."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import spikewright
from spikewright import api, stimulus
from spikewright.golden.models import reference
from spikewright.layout import to_json

ROOT = Path(__file__).parents[2]


def test_every_name_is_there() -> None:
    assert spikewright.__all__
    for name in spikewright.__all__:
        assert getattr(spikewright, name) is not None
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = spikewright.frobnicate


def test_no_name_is_that_of_a_module() -> None:
    """An imported module becomes an attribute of the package, and would hide the name."""
    modules = {module.name for module in pkgutil.iter_modules(spikewright.__path__)}
    assert modules >= {"api", "golden", "hw", "model", "reporting", "sim"}
    assert not modules & set(spikewright.__all__)


def test_names_are_sorted_documented_and_typed() -> None:
    assert sorted(spikewright.__all__) == sorted(set(spikewright.__all__)) == dir(spikewright)
    for name in spikewright.__all__:
        value = getattr(spikewright, name)
        assert value.__doc__, name
        if inspect.isfunction(value):
            result = str(inspect.signature(value).return_annotation)
            assert not re.search(r"Any|dict|Mapping|inspect", result), f"{name} -> {result}"


def test_names_and_help_come_without_torch() -> None:
    program = (
        "import sys, spikewright, spikewright.cli.program as c; "
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
    options = spikewright.SimulationOptions(stalls=(0, 50), top=False)
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
    for labels in (np.array([1]), np.array([0.5, 1.0]), np.array([[0, 1]]), np.array([[0], [1]])):
        with pytest.raises(spikewright.BadInput, match=r"^labels: .* must be integers \(2,\)"):
            spikewright.Stimulus(inputs, labels)
    with pytest.raises(spikewright.BadInput, match=r"^labels: class of image 1 is -1, must be 0"):
        spikewright.Stimulus(inputs, np.array([0, -1]))


def test_labels_outside_the_classes_are_refused_by_all_that_take_them(
    small_network: spikewright.Network, tmp_path: Path
) -> None:
    inputs, built = np.array([[0, 0], [0, 1], [3, 3]]), tmp_path / "built"
    spikewright.build(small_network, built, stimulus=spikewright.Stimulus(inputs))
    wrong = spikewright.Stimulus(inputs, np.array([0, 1, 2]))  # there are two classes
    takers = {
        "evaluate": lambda: spikewright.evaluate(small_network, wrong),
        "build": lambda: spikewright.build(small_network, tmp_path / "new", stimulus=wrong),
        "verify": lambda: spikewright.verify(built, stimulus=wrong),
        "profile": lambda: spikewright.profile(built, wrong),
    }
    message = r"labels: class of image 2 is 2, must be 0\.\.1"
    for take in takers.values():
        with pytest.raises(spikewright.BadInput, match=f"^{message}"):
            take()
    assert not (tmp_path / "new").exists()
    assert not (built / "sim").exists()
    (built / "stimulus.safetensors").write_bytes(stimulus.encode(wrong))
    with pytest.raises(spikewright.BadInput, match=rf"stimulus\.safetensors: {message}"):
        spikewright.verify(built)


def test_inputs_that_do_not_fit(small_network: spikewright.Network, tmp_path: Path) -> None:
    stimulus = spikewright.Stimulus(np.zeros((2, 3), int))
    with pytest.raises(spikewright.BadInput, match="shape"):
        spikewright.build(small_network, tmp_path / "small", stimulus=stimulus)
    assert not (tmp_path / "small").exists()


@pytest.fixture
def residual_network() -> spikewright.Network:
    """A skip connection, and a spiking output."""
    rng = np.random.default_rng(0)

    def neurons(name: str, shape: tuple[int, ...]) -> spikewright.LIF:
        zeros = [0] * shape[0]
        return spikewright.LIF(name, shape, [20] * shape[0], zeros, 0, 0, "subtract", 10)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-8, 8, shape)

    return spikewright.Network(
        3,
        (
            spikewright.Input("pixels", (1, 4, 4), "direct", bits=4),
            neurons("a", (2, 4, 4)),
            neurons("b", (2, 4, 4)),
            neurons("out", (3,)),
        ),
        (
            spikewright.Edge("pixels", "a", (spikewright.Conv2d(weights(2, 1, 3, 3), 4, (1, 1)),)),
            spikewright.Edge("a", "b", (spikewright.Conv2d(weights(2, 2, 3, 3), 4, (1, 1)),)),
            spikewright.Edge("a", "b", (spikewright.Identity([3, 3], 4),)),
            spikewright.Edge("b", "out", (spikewright.Linear(weights(3, 32), 4),)),
        ),
    )


def test_layers_where_edges_meet_and_spikes_are_counted(
    residual_network: spikewright.Network, tmp_path: Path
) -> None:
    inputs = np.random.default_rng(1).integers(0, 16, (3, 1, 4, 4))
    folder, stimulus = tmp_path / "residual", spikewright.Stimulus(inputs)
    spikewright.build(residual_network, folder, stimulus=stimulus)
    verified = spikewright.verify(folder)
    assert verified.mismatches == 0
    work = {layer.node: layer for layer in verified.layers}
    assert list(work) == ["a", "b", "out"]
    # Both edges into b bring every spike of a: 32 neurons, zeta spikes each.
    assert work["b"].events_in == pytest.approx(2 * 32 * work["a"].zeta)
    assert sum(layer.synops for layer in verified.layers) > 0
    assert spikewright.evaluate(folder, stimulus).layers == verified.layers
    measured = spikewright.profile(folder)
    assert [layer.node for layer in measured.layers] == ["a", "b", "out", "out_count"]
    assert measured.layers[-1].synops is None
    assert measured.layers[1].synops == work["b"].synops


def test_options_of_the_command_line_arrive_as_one_object(
    command, small_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def stop(*given: object) -> None:
        calls.append(given)
        raise spikewright.CheckFailed("seen")

    monkeypatch.setattr(api, "build", stop)
    words = ("--lanes", "hidden=1,out=2", "--channels-per-word", "2", "--steps-per-pass", "3",
             "--target", "ecp5-25k", "--budget", "ram=9", "--no-counters", "--loadable",
             "--also", small_file, "--inputs", "random", "--seed", 4, "--images", 7)  # fmt: skip
    outcome = command("build", small_file, "--out", tmp_path / "out", *words)
    assert outcome.code == 1, outcome.err
    ((network, folder, options, stimulus),) = calls
    (other,) = options.also
    assert spikewright.fingerprint(network) == spikewright.fingerprint(other)
    host = spikewright.HostInterface(counters=False, loadable=True)
    assert options == spikewright.BuildOptions(
        {"hidden": 1, "out": 2}, 2, 3, "ecp5-25k", {"ram": 9}, host, options.also
    )
    assert (folder, len(stimulus)) == (tmp_path / "out", 7)
    assert stimulus.source == "random integers, seed 4"


def test_results_survive_json(demo_folder: Path) -> None:
    for name, kind in (
        ("verification", spikewright.Verification),
        ("profile", spikewright.ProfileResult),
    ):
        text = (demo_folder / "report" / f"{name}.json").read_text()
        assert to_json(kind.from_dict(json.loads(text)).as_dict()) == text


def test_a_planted_difference_in_training_is_named(
    demo_folder: Path, tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = spikewright.load_recipe(tiny_recipe)
    right = reference.run

    def wrong(network, inputs):
        trace = right(network, inputs)
        trace.membranes["conv1"][2, 1, 2, 3, 4] += 1
        return trace

    assert spikewright.check_training(recipe, demo_folder / "train", images=5).mismatches == 0
    monkeypatch.setattr(reference, "run", wrong)
    checked = spikewright.check_training(recipe, demo_folder / "train", images=5)
    assert checked.mismatches == 1
    start = "torch == reference: image 2, step 1, node 'conv1', neuron (2, 3, 4): membrane is"
    assert checked.first_mismatch is not None
    assert checked.first_mismatch.startswith(start)
    with pytest.raises(spikewright.CheckFailed, match="1 values differ; first: torch == reference"):
        checked.require()


def test_a_build_without_inputs_takes_those_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPIKEWRIGHT_DATA", raising=False)
    digits = spikewright.load_network(ROOT / "examples/networks/digits.safetensors")
    built = spikewright.build(digits, tmp_path / "digits")
    assert (built.images, built.stimulus) == (100, "test images of digits")
    unnamed = dataclasses.replace(digits, meta={"name": "unnamed"})
    built = spikewright.build(unnamed, tmp_path / "unnamed")
    assert (built.images, built.stimulus) == (100, "random integers, seed 0")


def test_the_version_is_that_of_the_package() -> None:
    assert spikewright.__version__ == importlib.metadata.version("spikewright")
