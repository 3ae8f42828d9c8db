"""Stages that another run has finished are taken up, and change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from spikewright.golden.errors import CheckFailed
from spikewright.model.recipes import recipe
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training import checkpoint, stage_reuse
from spikewright.model.training.train import Progress, train
from spikewright.model.training.trainer import Trainer

BASE: dict[str, Any] = {
    "name": "base",
    "data": "digits",
    "timesteps": 2,
    "layers": ["4C3", "P2", "10"],
    "training": {"epochs": 1, "batch_size": 128, "learning_rate": 0.02, "calibration": 0},
    "stages": [{"kind": "ann", "epochs": 2}, {"kind": "snn"}],
}


def made(**changes: Any) -> Recipe:
    return recipe.from_dict(recipe.merged(BASE, changes))


OTHER = made(name="other", stages=[{"kind": "ann", "epochs": 2}, {"kind": "snn", "epochs": 2}])


def test_a_stage_is_taken_up_and_bytes_are_the_same(tmp_path: Path) -> None:
    train(made(), tmp_path / "first")
    seen: list[Progress] = []
    found = train(OTHER, tmp_path / "with", progress=seen.append, others=[tmp_path / "first"])
    alone = train(OTHER, tmp_path / "alone")
    assert min(state.epoch for state in seen) == 3
    assert found.network_path.read_bytes() == alone.network_path.read_bytes()
    assert found.summary == alone.summary
    assert found.history == alone.history


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"seed": 1}},
        {"training": {"images": 640}},
        {"quantization": {"weight_bits": 3}},
        {"stages": [{"kind": "ann", "epochs": 1}, {"kind": "snn"}]},
        {"stages": [{"kind": "snn"}]},
    ],
)
def test_other_stages_are_not(changes: dict[str, Any]) -> None:
    assert stage_reuse.common(made(), made(name="other")) == 1
    assert stage_reuse.common(made(), made(**changes)) == 0


def test_the_last_stage_is_never_taken() -> None:
    longer = made(stages=[*BASE["stages"], {"kind": "snn", "timesteps": 1}])
    assert stage_reuse.common(made(), longer) == 1
    assert stage_reuse.common(longer, longer) == 2


def test_damaged_and_foreign_runs_are_passed_over(tmp_path: Path) -> None:
    train(made(), tmp_path / "first")
    state, _ = checkpoint.read(tmp_path / "first")
    crc = state["data_crc32"]
    assert len(stage_reuse.finished(OTHER, crc, [tmp_path / "none", tmp_path / "first"])) == 1
    assert stage_reuse.finished(OTHER, crc + 1, [tmp_path / "first"]) == []
    shutil.copytree(tmp_path / "first", tmp_path / "damaged")
    (tmp_path / "damaged" / checkpoint.NAME).write_bytes(b"PK")
    assert stage_reuse.finished(OTHER, crc, [tmp_path / "damaged"]) == []


def test_a_run_that_fails_behind_a_stage_taken_up_claims_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(made(), tmp_path / "first")

    def diverge(trainer: Trainer, *_: Any) -> float:
        raise CheckFailed("the loss is nan")

    monkeypatch.setattr(Trainer, "one_step", diverge)
    with pytest.raises(CheckFailed, match=r"the loss is nan; no epoch was over$"):
        train(OTHER, tmp_path / "second", others=[tmp_path / "first"])
    assert not (tmp_path / "second" / checkpoint.NAME).exists()
