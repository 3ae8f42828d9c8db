"""Interrupted anywhere, the same call goes on, and the files end up byte for byte the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.network import file
from spikewright.model.recipes import recipe
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training import checkpoint
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, Progress, train

ROOT = Path(__file__).parents[3]
SCRIPT = """
import json, sys
from spikewright.model.recipes import recipe
from spikewright.model.training.train import train

def progress(p):
    line = f"{p.epoch} {p.step} {'step' if p.validation_accuracy is None else 'epoch'}"
    print(line, flush=True)
    if line == sys.argv[3]:
        sys.stdin.read()  # until somebody kills us

train(recipe.from_dict(json.loads(sys.argv[1])), sys.argv[2], progress=progress)
"""


class Stopped(KeyboardInterrupt):
    """Raised by the progress callback."""


def stop_at(step: int):
    def progress(at: Progress) -> None:
        if at.step >= step:
            raise Stopped

    return progress


def artefacts(folder: Path) -> tuple[bytes, bytes]:
    return (folder / NETWORK_NAME).read_bytes(), (folder / HISTORY_NAME).read_bytes()


@pytest.mark.parametrize("step", [1, 10, 11, 31, 40])
def test_stopped_in_process(tiny: Recipe, uninterrupted: Path, tmp_path: Path, step: int) -> None:
    with pytest.raises(Stopped):
        train(tiny, tmp_path, progress=stop_at(step))
    assert not (tmp_path / NETWORK_NAME).exists()
    train(tiny, tmp_path)
    assert artefacts(tmp_path) == artefacts(uninterrupted)


def test_stopped_every_epoch(tiny: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    for step in (12, 23, 34):
        with pytest.raises(Stopped):
            train(tiny, tmp_path, progress=stop_at(step))
        state = checkpoint.load(tmp_path, tiny)
        assert state is not None
        assert state["epoch"] == step // 10
    train(tiny, tmp_path)
    assert artefacts(tmp_path) == artefacts(uninterrupted)


def test_finished_run_is_only_scored_again(tiny: Recipe, uninterrupted: Path) -> None:
    before, seen = artefacts(uninterrupted), []
    result = train(tiny, uninterrupted, progress=seen.append)
    assert not seen
    assert artefacts(uninterrupted) == before
    assert result.summary == json.loads(before[1])["summary"]
    assert file.load(result.network_path).meta["seed"] == "0"
    assert sorted(p.name for p in uninterrupted.iterdir()) == [
        checkpoint.NAME,
        HISTORY_NAME,
        NETWORK_NAME,
    ]


def test_a_restart_keeps_the_old_checkpoint_until_it_has_its_own(
    tiny: Recipe, uninterrupted: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(uninterrupted, tmp_path / "other"))
    other = recipe.from_dict({**tiny.as_dict(), "timesteps": tiny.timesteps + 1})
    with pytest.raises(BadInput, match="belongs to another recipe"):
        train(other, folder)
    before = (folder / checkpoint.NAME).read_bytes()
    with pytest.raises(Stopped):
        train(other, folder, progress=stop_at(1), restart=True)
    assert (folder / checkpoint.NAME).read_bytes() == before
    with pytest.raises(Stopped):
        train(other, folder, progress=stop_at(12), restart=True)
    assert (folder / checkpoint.NAME).read_bytes() != before
    train(tiny, folder, restart=True)
    assert artefacts(folder) == artefacts(uninterrupted)


def start(tiny: Recipe, folder: Path, hash_seed: str, last: str) -> subprocess.Popen[str]:
    """A training that prints its progress and stands still at line `last`."""
    settings = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": hash_seed,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", SCRIPT, json.dumps(tiny.as_dict()), str(folder), last]
    return subprocess.Popen(
        command, env=settings, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_killed_and_under_another_hash_seed(
    tiny: Recipe, uninterrupted: Path, tmp_path: Path
) -> None:
    for hash_seed, line in (("1", "1 1 step"), ("2", "2 11 step"), ("3", "3 30 epoch")):
        with start(tiny, tmp_path, hash_seed, line) as run:
            assert run.stdout is not None
            assert any(found.strip() == line for found in run.stdout), f"it ended before {line!r}"
            run.kill()
        assert run.returncode == -9
        assert not (tmp_path / NETWORK_NAME).exists()
    seen: list[Progress] = []
    train(tiny, tmp_path, progress=seen.append)  # in this process, which has another seed still
    assert seen[0].epoch == 3  # an epoch is reported before its checkpoint is in place
    assert artefacts(tmp_path) == artefacts(uninterrupted)


def test_seeds_differ(tiny: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    content = tiny.as_dict()
    content["training"]["seed"] = 1
    train(recipe.from_dict(content), tmp_path)
    assert artefacts(tmp_path)[0] != artefacts(uninterrupted)[0]


def test_checkpoint_of_another_recipe(tiny: Recipe, uninterrupted: Path) -> None:
    before = artefacts(uninterrupted)
    content = tiny.as_dict()
    content["training"]["learning_rate"] = 0.5
    with pytest.raises(
        BadInput, match=r"another recipe: training\.learning_rate is 0\.02 there and 0\.5 here; use"
    ):
        train(recipe.from_dict(content), uninterrupted)
    assert artefacts(uninterrupted) == before


@pytest.mark.parametrize("damage", ["truncated", "flipped", "pickle", "empty", "incomplete"])
def test_damaged_checkpoint(tiny: Recipe, uninterrupted: Path, tmp_path: Path, damage: str) -> None:
    content = (uninterrupted / checkpoint.NAME).read_bytes()
    if damage == "incomplete":
        state = checkpoint.load(uninterrupted, tiny)
        assert state is not None
        checkpoint.save(tmp_path, tiny, {"data_crc32": state["data_crc32"]})
    else:
        bad = {
            "truncated": content[: len(content) // 2],
            "flipped": b"x" + content[1:],
            "pickle": b"cos\nsystem\n(S'touch hacked'\ntR.",
            "empty": b"",
        }[damage]
        (tmp_path / checkpoint.NAME).write_bytes(bad)
    with pytest.raises(
        BadInput, match=r"checkpoint\.pt: is no (readable|complete) checkpoint"
    ) as caught:
        train(tiny, tmp_path)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.NAME]


def test_other_training_data(tiny: Recipe, uninterrupted: Path, tmp_path: Path) -> None:
    state = checkpoint.load(uninterrupted, tiny)
    assert state is not None
    checkpoint.save(tmp_path, tiny, {**state, "data_crc32": 1})
    with pytest.raises(BadInput, match="other training data of 'digits'"):
        train(tiny, tmp_path)


def test_unwritable_folder(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    with pytest.raises(BadInput, match="cannot be made"):
        train(tiny, tmp_path / "file" / "folder")


def test_failed_write_leaves_nothing(tiny: Recipe, tmp_path: Path) -> None:
    (tmp_path / checkpoint.NAME).mkdir()
    with pytest.raises(BadInput, match="cannot write"):
        checkpoint.save(tmp_path, tiny, {})
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.NAME]
