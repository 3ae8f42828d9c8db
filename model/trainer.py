"""One training run in memory: steps, epochs, and everything that its future depends on."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from golden.errors import BadInput
from model import batches
from model.data import DataSet
from model.evaluate import evaluate
from model.export import export
from model.prune import Pruner
from model.recipe import Recipe, Training
from model.spiking import SpikingNetwork

History = list[dict[str, Any]]


def learning_rate(training: Training, step: int, steps: int) -> float:
    """Linear warmup over `warmup` of all steps, then half a cosine down to 0."""
    warm = max(1, round(training.warmup * steps))
    if step < warm:
        return training.learning_rate * (step + 1) / warm
    return (
        training.learning_rate
        * 0.5
        * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    )


class Trainer:
    """The state of one run: network, optimiser, history, the best epoch so far."""

    def __init__(self, recipe: Recipe, dataset: DataSet) -> None:
        self.recipe, self.dataset, training = recipe, dataset, recipe.training
        chosen, held = batches.split(len(dataset.train_x), training.validation, training.seed)
        self.images, self.labels = dataset.train_x[chosen], dataset.train_y[chosen]
        self.held = dataset.train_x[held], dataset.train_y[held]
        self.per_epoch = batches.steps_per_epoch(len(chosen), training.batch_size)
        self.steps = self.per_epoch * training.epochs
        self.network = SpikingNetwork(recipe)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=training.learning_rate)
        self.pruner = Pruner(recipe.pruning, self.steps, self.per_epoch)
        self.freeze_step = min(math.ceil(training.freeze * self.steps), self.steps - 1)
        self.epoch = 0
        self.history: History = []
        self.best: dict[str, Tensor] | None = None
        self.best_epoch = 0
        self.data_crc32 = zlib.crc32(dataset.train_x.tobytes())

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": json.dumps(self.history),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "data_crc32": self.data_crc32,
        }

    def restore(self, state: dict[str, Any], where: Path) -> None:
        """Go on from `state`, which `where` held.

        Raises
        ------
        BadInput
            If the training data are not those of the checkpoint, or the state is incomplete.
        """
        if state.get("data_crc32") != self.data_crc32:
            raise BadInput(
                f"{where}: was made with other training data of {self.recipe.data!r}; "
                "use another folder"
            )
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.history = json.loads(state["history"])
            self.epoch, self.best, self.best_epoch = (
                state["epoch"],
                state["best"],
                state["best_epoch"],
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"{where}: is no complete checkpoint ({type(error).__name__}); use another folder"
            ) from None

    def one_step(self, step: int, images: Tensor, labels: Tensor) -> float:
        """Prune or freeze if it is due, then one step of Adam; returns the loss."""
        training = self.recipe.training
        self.pruner.before_step(self.network, step)
        self.network.freeze(step >= self.freeze_step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(training, step, self.steps)
        spikes: list[Tensor] | None = [] if training.spike_penalty else None
        logits, factor = self.network.scaled(images, spikes)
        loss = functional.cross_entropy(logits * factor, labels)
        total = loss
        for fired in spikes or []:
            total = total + training.spike_penalty * fired.mean()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        self.network.project()
        return float(loss.detach())

    def one_epoch(self, report: Callable[..., None]) -> None:
        """All steps of the next epoch, then validation and, if it is the best so far, a copy."""
        training, first = self.recipe.training, self.epoch * self.per_epoch
        self.network.train()
        losses: list[float] = []
        source = batches.epoch_batches(
            self.images,
            self.labels,
            training.batch_size,
            training.augmentation,
            training.seed,
            self.epoch,
        )
        for step, (images, labels) in enumerate(source, start=first):
            losses.append(self.one_step(step, images, labels))
            if (step - first) % 20 == 0:
                report(step + 1, losses[-1], None)
        self.epoch += 1
        score = evaluate(self.network, *self.held)
        self.history.append(
            {
                "epoch": self.epoch,
                "loss": sum(losses) / len(losses),
                "density": export(self.network).density,
                "validation_accuracy": score.accuracy,
                "validation_loss": score.loss,
                "spike_rate": score.spike_rate,
            }
        )
        self._keep_if_best()
        report(self.epoch * self.per_epoch, losses[-1], score.accuracy)

    def _keep_if_best(self) -> None:
        """Of the epochs that end pruned and frozen: highest accuracy, lowest loss, then latest."""
        due = max(self.freeze_step, self.pruner.last if self.recipe.pruning.density < 1 else 0)
        if self.epoch * self.per_epoch <= due:
            return

        def rank(epoch: int) -> tuple[float, float]:
            entry = self.history[epoch - 1]
            return entry["validation_accuracy"], -entry["validation_loss"]

        if self.best is None or rank(self.epoch) >= rank(self.best_epoch):
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
            self.best_epoch = self.epoch

    def density(self) -> float:
        """Nonzero integer weights over all, as last exported."""
        return self.history[-1]["density"] if self.history else 1.0
