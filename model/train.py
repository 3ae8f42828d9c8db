"""The training loop: from a recipe to an integer network, resumable at any moment.

`FOLDER/checkpoint.pt` is written after every epoch. Whatever stops a run, the same call goes on
from there, and the final network file is, byte for byte, that of a run that was never stopped.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils import deterministic

from golden import reference
from golden.errors import BadInput, CheckFailed
from golden.network import Network
from golden.trace import compare
from model import batches, checkpoint, data
from model.data import DataSet
from model.evaluate import evaluate
from model.export import dead_channels, export
from model.prune import Pruner
from model.recipe import Recipe, Training
from model.spiking import SpikingNetwork

NETWORK_NAME = "network.safetensors"
HISTORY_NAME = "history.json"
CHECKED_IMAGES = 16

History = list[dict[str, Any]]


@dataclass(frozen=True)
class Progress:
    """Where a run is: called after every few steps, and after every epoch with its validation."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    density: float
    validation_accuracy: float | None
    seconds: float


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What a finished run leaves; `history` has an entry per epoch, `summary` is in the file."""

    network: Network
    network_path: Path
    validation_accuracy: float
    test_accuracy: float
    history: History
    summary: dict[str, Any]


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


@contextmanager
def exact_settings(threads: int) -> Iterator[None]:
    """Same numbers on every run: deterministic kernels, full float32, a fixed number of threads.

    Memory is not filled before use, as torch would do to find errors: that only costs time.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    )
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(threads)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_float32_matmul_precision(before[1])
        torch.set_num_threads(before[2])
        deterministic.fill_uninitialized_memory = before[3]  # type: ignore[attr-defined]


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
            self.images, self.labels, training.batch_size, training.shift, training.seed, self.epoch
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


def train(
    recipe: Recipe,
    folder: str | Path,
    data_root: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> TrainResult:
    """Train `recipe`, or go on where an earlier call stopped, and write the network into `folder`.

    Writes `network.safetensors`, `history.json` and, after every epoch, `checkpoint.pt`. A run that
    had finished is only scored again.

    Raises
    ------
    BadInput
        If data are missing or damaged, the folder cannot be written, or its checkpoint is damaged
        or belongs to another recipe.
    CheckFailed
        If the exported network differs from the trained one in any spike, membrane or logit.
    """
    folder = Path(folder)
    checkpoint.make_folder(folder)
    state = checkpoint.load(folder, recipe)
    dataset = data.load(recipe.data, data_root, timesteps=recipe.timesteps)
    with exact_settings(recipe.training.threads):
        trainer = Trainer(recipe, dataset)
        if state is not None:
            trainer.restore(state, folder / checkpoint.NAME)
        started = time.monotonic()

        def report(step: int, loss: float, accuracy: float | None) -> None:
            if progress is not None:
                rate = trainer.optimizer.param_groups[0]["lr"]
                number = min(trainer.epoch + (accuracy is None), recipe.training.epochs)
                seconds = time.monotonic() - started
                position = (number, recipe.training.epochs, step, trainer.steps)
                progress(Progress(*position, loss, rate, trainer.density(), accuracy, seconds))

        while trainer.epoch < recipe.training.epochs:
            trainer.one_epoch(report)
            checkpoint.save(folder, recipe, trainer.state())
        return finish(trainer, folder)


def finish(trainer: Trainer, folder: Path) -> TrainResult:
    """Export the best epoch, check it against the golden reference, score it on the test images."""
    from golden import file

    assert trainer.best is not None
    dataset, network = trainer.dataset, trainer.network
    network.load_state_dict(trainer.best)
    exported = export(network)
    check_against_golden(network, exported, dataset.test_x[:CHECKED_IMAGES])
    score = evaluate(network, dataset.test_x, dataset.test_y)
    chosen = trainer.history[trainer.best_epoch - 1]
    summary = {
        "chosen_epoch": trainer.best_epoch,
        "validation_accuracy": chosen["validation_accuracy"],
        "test_accuracy": score.accuracy,
        "test_images": len(dataset.test_x),
        "timesteps": exported.timesteps,
        "weight_bits": exported.weight_bits,
        "density": exported.density,
        "spike_rate": score.spike_rate,
        "dead_channels": dead_channels(exported),
    }
    record = {
        "schema": 1,
        "recipe": trainer.recipe.as_dict(),
        "summary": summary,
        "epochs": trainer.history,
    }
    file.save(exported, folder / NETWORK_NAME)
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    checkpoint.write_whole(folder / HISTORY_NAME, text.encode())
    return TrainResult(
        exported,
        folder / NETWORK_NAME,
        summary["validation_accuracy"],
        score.accuracy,
        trainer.history,
        summary,
    )


def check_against_golden(network: SpikingNetwork, exported: Network, images: np.ndarray) -> None:
    """Compare every spike, membrane and logit of torch and of the golden reference on `images`.

    Raises
    ------
    CheckFailed
        Naming the first value that differs.
    """
    result = compare(reference.run(exported, images), network.trace(images))
    if result.mismatches:
        raise CheckFailed(
            f"torch and golden reference differ in {result.mismatches} values: {result.first}"
        )
