"""Averages of what is trained: by hand, in validation, and over an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spikewright.model import data
from spikewright.model.methods.average import Lookahead, MovingAverage
from spikewright.model.recipes import recipe
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, Progress, train
from spikewright.model.training.trainer import Trainer


def of(average: str, every: int = 2, decay: float = 0.5, **more: Any) -> Recipe:
    training = {"epochs": 2, "batch_size": 64, "images": 300, "threads": 1, "average": average,
                "average_every": every, "average_decay": decay}  # fmt: skip
    return recipe.from_dict({
        "name": "tiny", "data": "digits", "timesteps": 2, "layers": ["4C3", "P2", "10"],
        "pruning": {"density": 0.5}, "training": training, **more,
    })  # fmt: skip


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [synapse.weight.detach().clone() for synapse in trainer.network.synapses()]


def steps(trainer: Trainer) -> list[list[torch.Tensor]]:
    """The weights after each step of the next epoch."""
    found: list[list[torch.Tensor]] = []
    one_step = trainer.one_step

    def recorded(*arguments: Any) -> float:
        loss = one_step(*arguments)
        found.append(weights(trainer))
        return loss

    trainer.one_step = recorded
    trainer.one_epoch(lambda *_: None)
    trainer.one_step = one_step
    return found


def test_what_is_averaged_is_what_recipes_ask_for() -> None:
    for name, kind in (("lookahead", Lookahead), ("ema", MovingAverage)):
        trainer = Trainer(of(name), data.load("digits"))
        assert [type(m) for m in trainer.methods if isinstance(m, (Lookahead, MovingAverage))] == [
            kind
        ]
    assert not [m for m in Trainer(of("none"), data.load("digits")).methods
                if isinstance(m, (Lookahead, MovingAverage))]  # fmt: skip


def test_moving_average_by_hand() -> None:
    average, plain = (Trainer(of(name), data.load("digits")) for name in ("ema", "none"))
    (follows,) = (method for method in average.methods if isinstance(method, MovingAverage))
    slow, validated = weights(average), list[list[torch.Tensor]]()
    begin = follows.begin_validation

    def seen() -> None:
        begin()
        validated.append(weights(average))

    follows.begin_validation = seen
    done = 0
    for _ in range(2):
        for mine, its in zip(steps(average), steps(plain), strict=True):
            assert all(map(torch.equal, mine, its))  # training goes its own way
            done += 1
            if done % 2 == 0:
                decay = min(0.5, (done // 2) / (done // 2 + 9))
                slow = [decay * s + (1 - decay) * f for s, f in zip(slow, mine, strict=True)]
        assert all(map(torch.equal, weights(average), weights(plain)))
        masks = [synapse.mask for synapse in average.network.synapses()]
        for found, expected, mask in zip(validated[-1], slow, masks, strict=True):
            assert torch.allclose(found, expected * mask, atol=1e-6)
        scores = [trainer.history[-1]["validation_loss"] for trainer in (average, plain)]
        assert scores[0] != scores[1]
    assert average.best.weights is not None
    kept = [value for name, value in average.best.weights.items() if name.endswith("weight")]
    assert any(all(map(torch.equal, kept, each)) for each in validated)


def test_lookahead_by_hand() -> None:
    trainer = Trainer(of("lookahead", 3, 0.9, pruning={}), data.load("digits"))
    (ahead,) = (method for method in trainer.methods if isinstance(method, Lookahead))
    slow, after_step = weights(trainer), ahead.after_step

    def checked(step: int) -> None:
        nonlocal slow
        fast, last = weights(trainer), step + 1 == trainer.steps
        moves = (step + 1) % 3 == 0 and not last
        if moves:
            kept = 0.9 * ((step + 1) / trainer.steps) ** 3
            slow = [kept * s + (1 - kept) * f for s, f in zip(slow, fast, strict=True)]
        after_step(step)
        expected = slow if moves or last else fast
        for found, wanted in zip(weights(trainer), expected, strict=True):
            assert torch.allclose(found, wanted, atol=1e-6)

    ahead.after_step = checked
    for _ in range(2):
        trainer.one_epoch(lambda *_: None)
    assert all(map(torch.allclose, weights(trainer), slow))


@pytest.mark.parametrize("average", ["ema", "lookahead"])
def test_interrupted_it_goes_on_byte_for_byte(average: str, tmp_path: Path) -> None:
    tiny = of(average)
    train(tiny, tmp_path / "whole")

    def stop(at: Progress) -> None:
        if at.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny, tmp_path / "broken", progress=stop)
    train(tiny, tmp_path / "broken")
    for name in (NETWORK_NAME, HISTORY_NAME):
        whole, broken = (tmp_path / folder / name for folder in ("whole", "broken"))
        assert whole.read_bytes() == broken.read_bytes()
