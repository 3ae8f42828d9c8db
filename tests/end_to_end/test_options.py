"""Options of one name are one option: the same values, the same meaning, in every command."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import click
import numpy as np
import pytest

import spikewright
from spikewright import api, stimulus, synthesis
from spikewright.cli import options
from spikewright.cli.commands import ALL

COMMANDS = {command.name: command for command in ALL}
OTHER_DEFAULT = {("synth", "--target"), ("demo", "--seed"), ("train", "--seed")}
WHAT_DIFFERS = {"--images", "--out", "--seed", "--target"}  # says so in its help
INPUTS = {"--inputs", "--labels", "--data", "--images", "--seed", "--memory"}
OF_BUILD = {
    "network", "force", "as_json", "inputs", "labels", "data", "images", "seed", "memory",
}  # fmt: skip
VALUES = {
    "--out": ["elsewhere"], "--target": ["ecp5-25k"], "--lanes": ["2"], "--budget": ["ram=4"],
    "--channels-per-word": ["2"], "--steps-per-pass": ["1"], "--loadable": [],
    "--also": ["other.safetensors"], "--name": ["mine"], "--no-registers": [], "--no-counters": [],
}  # fmt: skip
FOR_INPUTS = {"--inputs": ["random"], "--images": ["2"], "--seed": ["1"], "--data": ["data"],
              "--labels": ["labels.npy"]}  # fmt: skip


def by_flag() -> dict[str, dict[str, click.Option]]:
    """Every option by its flag, then by the command that has it."""
    found: dict[str, dict[str, click.Option]] = defaultdict(dict)
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                found[option.opts[0]][name] = option
    return found


def form(option: click.Option) -> str:
    """What a user can write behind an option."""
    shown = ("name", "type", "multiple", "is_flag", "nargs", "envvar", "required", "secondary_opts")
    whole = {**option.to_info_dict(), "metavar": option.metavar}
    return repr([whole[key] for key in (*shown, "metavar")])


@pytest.mark.parametrize("flag", sorted(by_flag()))
def test_an_option_is_the_same_in_every_command(flag: str) -> None:
    held = by_flag()[flag]
    assert len({form(option) for option in held.values()}) == 1
    usual = {
        str(option.default) for name, option in held.items() if (name, flag) not in OTHER_DEFAULT
    }
    assert len(usual) == 1
    helps = {option.help for option in held.values()}
    assert all(helps)
    assert len(helps) == 1 or flag in WHAT_DIFFERS


def test_options_that_belong_together_come_together() -> None:
    flags = {
        name: {flag for option in command.params for flag in option.opts}
        for name, command in COMMANDS.items()
    }
    assert all("--json" in each for each in flags.values())
    taking = [name for name, each in flags.items() if "--inputs" in each]
    assert taking == ["run", "build", "verify", "synth", "profile"]
    assert all(flags[name] >= INPUTS for name in taking)
    building = {option.name for option in COMMANDS["build"].params} - OF_BUILD
    assert building == options.FOR_BUILDING
    for name in ("verify", "synth"):
        assert building < {option.name for option in COMMANDS[name].params}


@pytest.fixture(scope="module")
def built(small_network: spikewright.Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that keeps four labelled inputs. Tests must not change it."""
    inputs, labels = np.array([[3, 2], [0, 0], [15, 15], [1, 9]]), np.array([0, 1, 1, 0])
    folder = tmp_path_factory.mktemp("built")
    spikewright.build(small_network, folder, stimulus=spikewright.Stimulus(inputs, labels))
    return folder


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[spikewright.Stimulus]:
    """What commands would simulate, instead of simulating it; nextpnr counts as installed."""
    taken: list[spikewright.Stimulus] = []

    def noted(folder: Path, *given: object, **named: object) -> None:
        taken.extend(each for each in given if isinstance(each, spikewright.Stimulus))
        raise spikewright.CheckFailed("noted")

    monkeypatch.setattr(api, "verify", noted)
    monkeypatch.setattr(api, "profile", noted)
    monkeypatch.setattr(synthesis, "require_tools", lambda target: None)
    monkeypatch.setattr(synthesis, "synth", noted)
    return taken


def test_a_folder_brings_its_own_inputs_and_labels(
    command, built: Path, small_network: spikewright.Network, verified: list[spikewright.Stimulus]
) -> None:
    kept = stimulus.load(built / "stimulus.safetensors")
    ran = command("run", built, "--json").json
    assert (ran["stimulus"], ran["images"], ran["accuracy_images"]) == (kept.source, 4, 4)
    assert ran["accuracy"] == kept.accuracy(spikewright.run(small_network, kept.inputs).logits)
    assert spikewright.evaluate(built).as_dict() == {k: ran[k] for k in ran if k != "schema"}
    for verb in ("verify", "profile"):
        assert command(verb, built).code == 1
    assert [stimulus.content_hash(each) for each in verified] == [stimulus.content_hash(kept)] * 2


@pytest.mark.parametrize("given", ["FOLDER", "NETWORK"])
def test_the_same_choice_is_the_same_inputs(
    command, built: Path, small_file: Path, tmp_path: Path, given: str,
    verified: list[spikewright.Stimulus],
) -> None:  # fmt: skip
    path = built if given == "FOLDER" else small_file
    choice = ["--inputs", "random", "--images", "150", "--seed", "7"]
    network = spikewright.load_network(small_file)
    due = stimulus.choose_stimulus(network, "random", images=150, seed=7)
    ran = command("run", path, *choice, "--json").json
    assert (ran["stimulus"], ran["images"]) == ("random integers, seed 7", 100)
    out = [] if given == "FOLDER" else ["--out", tmp_path / "out"]
    verbs = ["verify", "profile"] if given == "FOLDER" else ["verify"]
    for verb in verbs:
        assert command(verb, path, *choice, *out).code == 1
        assert (verified.pop().inputs == due.inputs).all()
    if given == "NETWORK":
        for verb in ("verify", "build", "synth"):
            command(verb, path, *choice, *out)
            kept = stimulus.load(tmp_path / "out" / "stimulus.safetensors")
            assert (kept.inputs == due.inputs).all()


def test_more_images_than_there_are_is_one_error(
    command, built: Path, small_file: Path, tmp_path: Path, verified: list[spikewright.Stimulus]
) -> None:
    np.save(tmp_path / "three.npy", np.array([[1, 2], [3, 4], [5, 6]]))
    out = ["--out", tmp_path / "out"]
    calls = [
        ["run", small_file], ["run", built], ["profile", built], ["verify", built],
        ["verify", small_file, *out], ["build", small_file, *out], ["synth", small_file, *out],
    ]  # fmt: skip
    for call in calls:
        outcome = command(*call, "--inputs", tmp_path / "three.npy", "--images", "4")
        assert outcome.code == 2
        assert outcome.err.endswith("--images is 4, must be 1..3, the images of three.npy\n")
    for verb in ("run", "verify", "profile"):
        outcome = command(verb, built, "--images", "5")
        assert outcome.code == 2
        assert "--images is 5, must be 1..4, the images of inputs of the caller" in outcome.err
    assert not verified
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["verify", "synth"])
def test_what_a_finished_build_cannot_heed_is_refused(
    command, built: Path, verb: str, verified: list[spikewright.Stimulus], monkeypatch
) -> None:
    monkeypatch.setenv("SPIKEWRIGHT_DATA", str(built))  # is no wish of the user's
    before = json.loads((built / "manifest.json").read_text())
    useless = VALUES if verb == "verify" else {**VALUES, **FOR_INPUTS}
    for flag, value in useless.items():
        if (verb, flag) == ("synth", "--target") or flag == "--also":
            continue
        outcome = command(verb, built, flag, *value)
        assert outcome.code == 2, flag
        shown = flag.replace("--no-", "--")
        assert outcome.err == (
            f"spikewright: {shown}: {built} is built already; leave the option out, or name the "
            "network file\n"
        )
    assert not verified
    assert json.loads((built / "manifest.json").read_text()) == before
    assert command(verb, built).err.endswith("spikewright: noted\n")
