"""A command that is refused, or finds the disk full, leaves every file and folder as it was."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikewright
from spikewright.golden.network import file
from spikewright.golden.testing.random_chain import Limits, random_network

RECIPE = """
data = "digits"
timesteps = 1
layers = ["10"]
training = { epochs = 1, batch_size = 256, calibration = 8 }
"""
EXPERIMENT = f"""
name = "small"
question = "Where are the data?"
seeds = [0, 1]
[recipe]
{RECIPE}
[[variants]]
name = "all"
recipe = {{}}
"""
REFUSED = (
    "build missing.safetensors",
    "build missing.safetensors --out new/deep",
    "build damaged.safetensors --out new/deep",
    "build small.safetensors --out new/deep --lanes none",
    "build small.safetensors --out new/deep --lanes hiden=2",
    "build small.safetensors --out new/deep --target vhdl",
    "build small.safetensors --out new/deep --inputs no.npy",
    "build small.safetensors --out new/deep --inputs seven.npy",
    "build small.safetensors --out new/deep --images 0",
    "build small.safetensors --out new/deep --also missing.safetensors",
    "build small.safetensors --out damaged.safetensors",
    "build small.safetensors --out damaged.safetensors/new",
    "build small.safetensors --out nowhere",
    "build small.safetensors --out own",
    "build small.safetensors --out built --lanes hiden=2",
    "build long.safetensors --out built",
    "verify missing.safetensors",
    "verify damaged.safetensors --out new/deep",
    "verify small.safetensors --out new/deep --stall 200",
    "verify small.safetensors --out new/deep --lanes none",
    "verify own",
    "verify built --images 1000",
    "profile missing",
    "profile own",
    "profile built --images 1000",
    "report missing",
    "report own",
    "report built",
    "synth missing.safetensors",
    "synth own",
    "synth built --target vhdl",
    "run missing",
    "run small.safetensors --save own",
    "run small.safetensors --save pipe",
    "run small.safetensors --save nowhere",
    "run small.safetensors --save damaged.safetensors/new.npz",
    "run missing --save new/deep/trace.npz",
    "run small.safetensors --save new/deep/trace.npz --inputs no.npy",
    "train nothing",
    "train nothing --out new/deep",
    "train digits --out new/deep --set training.epochs=0",
    "train digits --out new/deep --device cuda:99",
    "train mnist-fc --out new/deep",
    "train mnist-fc",
    "train digits --out nowhere",
    "experiment nothing",
    "experiment mnist.toml",
    "experiment mnist.toml --out new/deep",
    "experiment mnist.toml --out damaged.safetensors",
    "demo --recipe nothing",
    "demo --recipe mnist-fc --out new/deep",
    "demo --out damaged.safetensors",
)


def content(folder: Path) -> dict[str, object]:
    """Every path in a folder with what it is and holds."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        regular = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(folder))] = path.read_bytes() if regular else path.lstat().st_ino
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    network = random_network(5, Limits(side=3, channels=2, units=4, layers=1, timesteps=2))
    stimulus = spikewright.choose_stimulus(network, "random").first(5)
    spikewright.build(network, folder, stimulus=stimulus)
    return folder


@pytest.fixture
def place(
    built: Path, small_network: spikewright.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder: networks, a build, own files, and what is no file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPIKEWRIGHT_DATA", raising=False)
    spikewright.save_network(small_network, "small.safetensors")
    with monkeypatch.context() as patch:  # a file of others
        patch.setattr(file, "MAX_META_CHARACTERS", 300)
        long = replace(small_network, meta={"name": "n" * 300})
        spikewright.save_network(long, "long.safetensors")
    Path("damaged.safetensors").write_bytes(Path("small.safetensors").read_bytes()[:-5])
    np.save("seven.npy", np.zeros((3, 7), int))
    Path("recipe.toml").write_text('name = "small"\n' + RECIPE)
    Path("digits.toml").write_text(EXPERIMENT)
    Path("mnist.toml").write_text(EXPERIMENT.replace('"digits"', '"mnist"'))
    Path("own/rtl").mkdir(parents=True)
    Path("own/rtl/own.v").write_text("mine")
    Path("nowhere").symlink_to("nothing")
    os.mkfifo("pipe")
    shutil.copytree(built, "built")
    return tmp_path


def test_a_refused_command_leaves_all_as_it_was(command, place: Path) -> None:
    before = content(place)
    for line in REFUSED:
        outcome = command(*line.split())
        assert outcome.code in (2, 3), (line, outcome)
        assert outcome.err.splitlines()[-1].startswith("spikewright: "), line
        assert "Traceback" not in outcome.err, line
        assert content(place) == before, line


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file may grow over `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 600])
def test_where_nothing_fits_all_is_as_it_was(command, place: Path, size: int) -> None:
    shutil.copytree("built", "older")
    before = content(place)
    for line in (
        "build small.safetensors --out new/deep",
        "build small.safetensors --out older --lanes 1",
        "train recipe.toml --out new/deep",
        *([] if size else ["experiment digits.toml --out new/deep"]),  # keeps its CPU seconds
        "run small.safetensors --save new/deep/trace.npz",
        "verify older",
    ):
        with files_of_at_most(size):
            outcome = command(*line.split())
        last = outcome.err.splitlines()[-1]
        assert outcome.code == 2, (line, outcome)
        assert "file too large" in last.lower(), line
        after = {name: value for name, value in content(place).items() if "older/sim" not in name}
        assert after == before, line


def test_a_folder_that_may_not_be_written_can_be_run(
    command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(place)
    true_open = os.open

    def read_only(path, flags, *rest, **named):
        if flags & (os.O_WRONLY | os.O_RDWR) and "built" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return true_open(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    assert command("run", "built").code == 0
    outcome = command("verify", "built")
    assert outcome.code == 2
    assert "cannot write 'built': Permission denied" in outcome.err.splitlines()[-1]
    assert content(place) == before
