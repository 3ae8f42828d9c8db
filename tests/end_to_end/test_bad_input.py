"""Bad input: one clear line, the right exit code, nothing half-written."""

# Through these also cli.values.

from __future__ import annotations

import json
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

import spikewright
from spikewright import synthesis
from spikewright.layout import BuildFolder


def refused(outcome, code: int, *parts: str) -> None:
    """Assert exactly one line on stderr, with these parts, and nothing on stdout."""
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("spikewright: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert len(outcome.err) < 500
    for part in parts:
        assert part in outcome.err


def empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.rglob("*"))


def truncated(data: bytes) -> bytes:
    return data[:-5]


def flipped(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 0x10]) + data[-2:]


def other_version(data: bytes) -> bytes:
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    graph = json.loads(header["__metadata__"]["spikewright"])
    graph["schema"] = 99
    header["__metadata__"]["spikewright"] = json.dumps(graph)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def oversized_header(data: bytes) -> bytes:
    return struct.pack("<Q", 2**62) + data[8:]


def pickled(data: bytes) -> bytes:
    return pickle.dumps({"weights": data})


@pytest.mark.parametrize(
    "damage", [truncated, flipped, other_version, oversized_header, pickled, lambda data: b""]
)
@pytest.mark.parametrize("verb", ["run", "build", "verify"])
def test_a_damaged_network_file(command, small_file: Path, tmp_path: Path, damage, verb) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(damage(small_file.read_bytes()))
    out = tmp_path / "out"
    arguments = [verb, bad] + (["--out", out] if verb != "run" else [])
    refused(command(*arguments), 2, "bad.safetensors")
    assert empty(out)


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("epochs = 4", "epochs = 4\nepoch_count = 9", ("epoch_count",)),
        ("epochs = 4", 'epochs = "four"', ("epochs", "four")),
        ("weight_bits = 3", "weight_bits = 9", ("weight_bits", "9")),
        ("weight_bits = 3", "weight_bits = 1", ("weight_bits", "1")),
        ('data = "digits"', 'data = "letters"', ("letters", "digits")),
        ("timesteps = 2", "", ("timesteps",)),
        ('"4C3"', '"4X3"', ("4X3",)),
        ("[pruning]", "[pruning", ("TOML",)),
    ],
)
def test_a_wrong_recipe(command, tiny_recipe: Path, tmp_path: Path, old, new, parts) -> None:
    text = tiny_recipe.read_text()
    assert old in text
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace(old, new))
    for verb in (["train", bad], ["demo", "--recipe", bad]):
        out = tmp_path / "out"
        refused(command(*verb, "--out", out), 2, *parts)
        assert empty(out)


def test_a_wrong_change_of_a_recipe(command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(command("train", "digits", "--set", "epochs", "--out", out), 2, "KEY=VALUE")
    wrong = command("train", "digits", "--set", "training.epochs=0", "--out", out)
    refused(wrong, 2, "epochs", "0")
    assert empty(out)


def test_no_such_recipe(command, tmp_path: Path) -> None:
    refused(command("train", "nothing", "--out", tmp_path / "out"), 2, "nothing", "digits")
    assert empty(tmp_path / "out")


def test_a_missing_data_set(command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("SPIKEWRIGHT_DATA", raising=False)
    out = tmp_path / "out"
    refused(command("train", "mnist-fc", "--out", out), 2, "mnist", "SPIKEWRIGHT_DATA")
    (tmp_path / "data").mkdir()
    refused(command("train", "mnist-fc", "--out", out, "--data", tmp_path / "data"), 2, "mnist")
    assert empty(out)


def test_a_refused_training_keeps_the_finished_one(
    command, tiny_recipe: Path, demo_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.delenv("SPIKEWRIGHT_DATA", raising=False)
    out = Path(shutil.copytree(demo_folder / "train", tmp_path / "train"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for change in ("data=mnist", 'layers=["3C99", "10"]'):
        outcome = command("train", tiny_recipe, "--out", out, "--force", "--set", change)
        assert outcome.code == 2
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_damaged_data_set(command, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{part}-ubyte.gz").write_bytes(b"\x1f\x8b nothing of value")
    out = tmp_path / "out"
    refused(command("train", "mnist-fc", "--out", out, "--data", tmp_path / "data"), 2, "ubyte.gz")
    assert empty(out)


@pytest.mark.parametrize("verb", ["train", "demo", "build"])
def test_a_folder_that_cannot_be_written(command, small_file: Path, tmp_path: Path, verb) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file, no folder")
    arguments = {"train": ["train", "digits"], "demo": ["demo"], "build": ["build", small_file]}
    refused(command(*arguments[verb], "--out", occupied / "out"), 2, "occupied")
    assert occupied.read_text() == "a file, no folder"


def test_saving_where_nothing_can_be_written(command, small_file: Path, tmp_path: Path) -> None:
    target = small_file / "trace.npz"
    outcome = command("run", small_file, "--save", target)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1].startswith("spikewright: ")


def test_a_missing_simulator(command, demo_folder: Path, tmp_path: Path, monkeypatch) -> None:
    before = (demo_folder / "report" / "verification.json").read_bytes()
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = command("verify", demo_folder, "--simulator", "icarus")
    assert outcome.code == 3
    assert "iverilog" in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err
    assert (demo_folder / "report" / "verification.json").read_bytes() == before


def test_a_missing_compiler_is_found_by_doctor(command, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    outcome = command("doctor")
    assert outcome.code == 3
    assert "c++ compiler is missing" in outcome.err


def test_a_network_that_a_lane_cannot_hold(command, tmp_path: Path) -> None:
    side, one = 2048, np.ones((1, 1, 1, 1), int)
    dense = spikewright.Linear(np.ones((2, 128 * 128), int), 2)
    large = spikewright.Network(
        1,
        (
            spikewright.Input("pixels", (1, side, side), "direct", 1),
            spikewright.LIF("map", (1, side, side), [1], [0], 0, 0, "zero", 4),
            spikewright.Readout("out", (2,), [0, 0]),
        ),
        (
            spikewright.Edge("pixels", "map", (spikewright.Conv2d(one, 2),)),
            spikewright.Edge("map", "out", (spikewright.SumPool2d((16, 16)), dense)),
        ),
    )
    spikewright.save_network(large, tmp_path / "large.safetensors")
    out = tmp_path / "out"
    outcome = command("build", tmp_path / "large.safetensors", "--out", out)
    assert outcome.code == 2
    last = outcome.err.splitlines()[-1]
    assert "map" in last
    assert str(side * side) in last
    assert not (out / "manifest.json").exists()
    assert not (out / "rtl").exists()


def test_options_out_of_range(command, small_file: Path, demo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(command("build", small_file, "--lanes", "none", "--out", out), 2, "--lanes", "none")
    refused(command("build", small_file, "--lanes", "0", "--out", out), 2, "--lanes", "0")
    wrong_node = command("build", small_file, "--lanes", "hiden=2", "--out", out)
    assert wrong_node.code == 2
    more = command("build", small_file, "--lanes", "hidden=2,out=1,hiden=2", "--out", out)
    assert more.code == 2
    assert "'hiden', must be one of hidden, out" in more.err.splitlines()[-1]
    wide = command("build", small_file, "--channels-per-word", "3", "--out", out)
    refused(wide, 2, "channels_per_word", "must be one of 1, 2, 4")
    deep = command("build", small_file, "--steps-per-pass", "2", "--out", out)
    refused(deep, 2, "time steps a pass is 2", "1, 3")
    refused(command("verify", demo_folder, "--stall", "120"), 2, "--stall", "120")
    refused(command("verify", demo_folder, "--simulator", "vcs"), 2, "vcs", "verilator")
    refused(command("run", small_file, "--images", "-1"), 2, "--images")
    refused(command("run", small_file, "--images"), 2, "--images")
    refused(command("frobnicate"), 2, "frobnicate")
    assert not (out / "manifest.json").exists()


def test_too_many_images(command, demo_folder: Path) -> None:
    outcome = command("verify", demo_folder, "--images", "100000")
    assert outcome.code == 2
    assert "1..20" in outcome.err


def test_too_many_images_are_refused_before_the_training(
    command, tiny_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    outcome = command("demo", "--recipe", tiny_recipe, "--out", out, "--images", "361")
    refused(outcome, 2, "--images is 361", "1..360", "digits")
    assert not out.exists()


def test_inputs_that_do_not_fit(command, small_file: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.npy"
    np.save(inputs, np.zeros((3, 7), int))
    refused(command("run", small_file, "--inputs", inputs), 2, "shape")
    np.save(inputs, np.full((3, 2), 99))
    refused(command("run", small_file, "--inputs", inputs), 2, "99", "0..15")
    np.save(inputs, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(command("run", small_file, "--inputs", inputs), 2, "inputs.npy")
    refused(command("run", small_file, "--inputs", tmp_path / "no.npy"), 2, "no.npy", "not found")
    refused(command("run", small_file, "--inputs", "test"), 2, "data set")


def test_a_folder_that_is_no_build(command, tmp_path: Path) -> None:
    for verb in ("verify", "profile", "report"):
        refused(command(verb, tmp_path), 2, "network.safetensors", "spikewright build")


def test_a_report_before_its_figures(command, small_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("build", small_file, "--out", out).code == 0
    refused(command("report", out), 2, "verification.json", "spikewright verify")
    assert not BuildFolder(out).html.exists()


def test_a_damaged_build(command, small_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("build", small_file, "--out", out).code == 0
    memory = next((out / "rtl").glob("*entries*.mem"))
    text = memory.read_text()
    memory.write_text(text.translate(str.maketrans("01", "10")))
    outcome = command("verify", out)
    assert outcome.code == 2
    assert memory.name in outcome.err
    memory.write_text(text)
    (out / "stimulus.safetensors").write_bytes(b"nothing")
    assert command("verify", out).code == 2


@pytest.mark.parametrize("verb", ["verify", "profile", "synth"])
def test_a_build_with_a_changed_file_is_named_by_all_that_read_its_verilog(
    command, small_file: Path, tmp_path: Path, verb: str, monkeypatch
) -> None:
    monkeypatch.setattr(synthesis, "require_tools", lambda target: None)
    out = tmp_path / "out"
    assert command("build", small_file, "--out", out).code == 0
    with (out / "rtl" / "shell.v").open("a") as file:
        file.write("// a remark\n")
    outcome = command(verb, out)
    assert outcome.code == 2
    assert "shell.v: differs from the hash in manifest.json" in outcome.err.splitlines()[-1]
    assert len(outcome.err.splitlines()[-1]) < 500
    assert not (out / "sim").exists()
    assert not (out / "synth").exists()


@pytest.mark.parametrize("damage", ["core", "cores", "field"])
def test_a_damaged_manifest(command, demo_folder: Path, tmp_path: Path, damage: str) -> None:
    out = shutil.copytree(demo_folder, tmp_path / "out", ignore=shutil.ignore_patterns("sim"))
    manifest = json.loads((out / "manifest.json").read_text())
    image = manifest["image"]
    if damage == "core":
        image["cores"][0] = 7
    elif damage == "cores":
        del image["cores"]
    else:
        del image["cores"][0]["lanes"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    outcome = command("verify", out)
    assert outcome.code == 2
    assert "manifest.json" in outcome.err.splitlines()[-1]
    assert "Traceback" not in outcome.err


def test_a_result_without_one_of_its_fields(command, demo_folder: Path, tmp_path: Path) -> None:
    out = shutil.copytree(demo_folder, tmp_path / "out", ignore=shutil.ignore_patterns("sim"))
    before = (out / "report" / "summary.json").read_bytes()
    path = out / "report" / "verification.json"
    values = json.loads(path.read_text())
    del values["links"]
    path.write_text(json.dumps(values))
    outcome = command("report", out)
    assert outcome.code == 2
    assert "'links'" in outcome.err.splitlines()[-1]
    assert "spikewright verify" in outcome.err.splitlines()[-1]
    assert (out / "report" / "summary.json").read_bytes() == before


def test_a_file_in_the_place_of_a_folder(command, small_file: Path) -> None:
    refused(command("profile", small_file), 2, small_file.name, "is a file, must be a folder")


def test_a_stage_of_a_recipe_without_stages(command, tmp_path: Path) -> None:
    outcome = command("train", "digits", "--set", "stages.1.epochs=2", "--out", tmp_path / "x")
    refused(outcome, 2, "stages is absent, must be there for stages.1.epochs: the recipe has none")
