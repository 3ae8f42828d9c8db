"""One stage in memory: steps, epochs, and everything that its future depends on."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.model.architecture import Layer
from spikewright.model.data import DataSet, batches
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.layers.teacher import Teacher
from spikewright.model.methods.base import Batch, Context, Method
from spikewright.model.recipes import methods
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.stages import Stage
from spikewright.model.runtime import distributed
from spikewright.model.runtime.device import CPU, to_cpu
from spikewright.model.training import divergence, optimizers, stage_network
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.initialise import initialise
from spikewright.model.training.simulate import simulate

History = list[dict[str, Any]]
Weights = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Inheritance:
    """What a stage gets from earlier ones.

    `source` is the network it starts from (None: fresh weights), `teacher` the one it learns from,
    `epochs` how many went before, so that no two stages see their images in the same order.
    """

    source: stage_network.LayeredNetwork | None = None
    teacher: Teacher | None = None
    epochs: int = 0


def _kept(state: dict[str, Any], found: list[Method]) -> list[dict[str, Any]]:
    """What each method kept; nothing in a checkpoint that is older than methods."""
    return state.get("methods", [{}] * len(found))


@dataclass
class Best:
    """The chosen epoch so far (from 1; 0: none), and its weights."""

    epoch: int = 0
    weights: Weights | None = None
    changes: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """The state of one stage: network, optimiser, methods, history, the best epoch so far.

    Parameters
    ----------
    recipe
        That of the stage, its own tables included.
    stage
        Its kind and methods; None: those of a recipe without stages.
    device
        Where it trains.

    `converted` holds the validation accuracy of a network that was converted from an ANN, before
    its first step: in floats, and with the integers that it trains with.
    """

    def __init__(
        self, recipe: Recipe, dataset: DataSet, stage: Stage | None = None,
        inherited: Inheritance | None = None, device: torch.device = CPU,
    ) -> None:  # fmt: skip
        self.stage = stage or recipe.plan()[0]
        self.inherited = inherited or Inheritance()
        self.recipe, self.dataset, training = recipe, dataset, recipe.training
        chosen, held = batches.split(len(dataset.train_x), training.validation, training.seed)
        self.images, self.labels = dataset.train_x[chosen], dataset.train_y[chosen]
        self.validation = dataset.train_x[held], dataset.train_y[held]
        self.per_epoch = batches.steps_per_epoch(len(chosen), training.batch_size)
        self.steps = self.per_epoch * training.epochs
        self.network = stage_network.build(self.stage, recipe).to(device)
        self.converted: dict[str, float] = {}
        if self.inherited.source is not None:
            self._inherit(self.inherited.source)
        else:
            initialise(self.network, training.init, self.images)
        self.optimizer = optimizers.build(self.network, training)
        self.methods = self._begin()
        self.epoch = 0
        self.history: History = []
        self.best = Best()
        self.data_crc32 = zlib.crc32(dataset.train_x.tobytes())

    def _inherit(self, source: stage_network.LayeredNetwork) -> None:
        spikes = stage_network.inherit(self.network, source, self.stage, self.images)
        if spikes is not None:
            assert isinstance(source, AnnNetwork)
            timesteps = self.network.timesteps
            self.converted = {
                "converted_float_accuracy": simulate(
                    source, spikes, *self.validation, timesteps
                ).accuracy,
                "converted_accuracy": evaluate(self.network, *self.validation).accuracy,
            }

    def _begin(self) -> list[Method]:
        context = Context(
            self.network, self.optimizer, self.recipe, self.stage, self.steps, self.per_epoch,
            self.images, self.labels, self.inherited.teacher,
        )  # fmt: skip
        found = methods.of_stage(self.stage, self.recipe)
        for method in found:
            method.begin(context)
        return found

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the stage depends on."""
        return {
            "epoch": self.epoch,
            "network": to_cpu(self.network.state_dict()),
            "optimizer": to_cpu(self.optimizer.state_dict()),
            "methods": to_cpu([method.state() for method in self.methods]),
            "history": json.dumps(self.history),
            "best": self.best.weights,
            "best_epoch": self.best.epoch,
            "best_changes": json.dumps(self.best.changes),
            "data_crc32": self.data_crc32,
        }

    def restore(self, state: dict[str, Any], where: Path) -> None:
        """Restores from `state`, loaded from `where`.

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
            for method, kept in zip(self.methods, _kept(state, self.methods), strict=True):
                method.restore(kept)
            self.history, self.epoch = json.loads(state["history"]), state["epoch"]
            changes = json.loads(state.get("best_changes", "{}"))
            self.best = Best(state["best_epoch"], state["best"], changes)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"{where}: is no complete checkpoint ({type(error).__name__}); use another folder"
            ) from None

    def one_step(self, step: int, images: Tensor, labels: Tensor) -> float:
        """One step, and what the methods do around it; returns the loss of the task.

        `images` and `labels` are this process's slice of the batch, the loss that of the whole.

        Raises
        ------
        CheckFailed
            If the loss is not finite, naming the stage, the step and where it began.
        """
        for method in self.methods:
            method.before_step(step)
        training = self.recipe.training
        optimizers.set_rate(self.optimizer, optimizers.learning_rate(training, step, self.steps))
        sent: list[Tensor] | None = [] if any(m.records for m in self.methods) else None
        logits, factor = self.network.logits_and_scale(images, sent)
        batch = Batch(step, images, labels, logits * factor, sent or [])
        loss = functional.cross_entropy(
            batch.logits, labels, label_smoothing=training.label_smoothing
        )
        terms = [term for m in self.methods if (term := m.loss(batch)) is not None]
        total = sum(terms, loss)
        if not math.isfinite(value := float(total.detach())):
            origin = divergence.origin(self.network, images) or "no layer, but the loss itself"
            raise self._diverged(step, f"the loss is {value}, first not finite: {origin}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        loss = distributed.average_gradients(self.network.parameters(), loss.detach())
        optimizers.shrink_weights(self.optimizer)
        self.optimizer.step()
        self.network.project()
        for method in self.methods:
            method.after_step(step)
        return float(loss)

    def _diverged(self, step: int, what: str) -> CheckFailed:
        rate, epoch = self.recipe.training.learning_rate, step // self.per_epoch + 1
        return CheckFailed(
            f"recipe {self.recipe.name!r}: stage {self.stage.name!r}, epoch {epoch}, "
            f"step {step + 1} of {self.steps}: {what}; train in another folder with a "
            f"learning_rate below {rate:g}"
        )

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
            self.inherited.epochs + self.epoch,
            self.network.coder,
            (distributed.rank(), distributed.world_size()),
            self.network.device,
        )
        for step, (images, labels) in enumerate(source, start=first):
            losses.append(self.one_step(step, images, labels))
            if (step - first) % 20 == 0:
                report(step + 1, losses[-1], None)
        if bad := divergence.bad_parameters(self.network):
            last = first + self.per_epoch - 1
            raise self._diverged(last, f"not finite after this step: {bad}")
        for method in self.methods:
            method.end_epoch(self.epoch)
        self.epoch += 1
        self.require_equal()
        for method in self.methods:
            method.begin_validation()
        self._validate(sum(losses) / len(losses))
        self._keep_if_best()
        for method in self.methods:
            method.end_validation()
        report(self.epoch * self.per_epoch, losses[-1], self.history[-1]["validation_accuracy"])

    def require_equal(self) -> None:
        """Every process is at the same epoch with the same parameters, masks and statistics.

        Raises
        ------
        CheckFailed
            If not.
        """
        state = {"epoch": torch.tensor(self.epoch), **self.network.state_dict()}
        distributed.require_equal_replicas(
            state, f"after epoch {self.epoch} of {self.stage.name!r}"
        )

    def _validate(self, loss: float) -> None:
        score = evaluate(self.network, *self.validation)
        if not math.isfinite(score.loss):
            last = self.epoch * self.per_epoch - 1
            raise self._diverged(last, f"the loss of validation after this step is {score.loss}")
        entry = {
            "epoch": self.epoch,
            "loss": loss,
            "density": self.network.density(),
            "validation_accuracy": score.accuracy,
            "validation_loss": score.loss,
            self.network.measure: score.sent,
        }
        for method in self.methods:
            entry |= method.log()
        self.history.append(entry)

    def _keep_if_best(self) -> None:
        """Of the epochs that end with all methods settled: highest accuracy, loss, latest."""
        if self.epoch * self.per_epoch <= max(
            (method.settled for method in self.methods), default=0
        ):
            return

        def rank(epoch: int) -> tuple[float, float]:
            entry = self.history[epoch - 1]
            return entry["validation_accuracy"], -entry["validation_loss"]

        if self.best.weights is None or rank(self.epoch) >= rank(self.best.epoch):
            state = to_cpu(self.network.state_dict())
            weights = {name: value.clone() for name, value in state.items()}
            self.best = Best(self.epoch, weights, self._changes())

    def _changes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for method in self.methods:
            found |= method.changes()
        return found

    @property
    def layers(self) -> list[Layer]:
        """The hidden layers, in order."""
        return [layer.layer for layer in self.network.layers]

    def density(self) -> float:
        """The share of weights that are not zero, as of the last epoch."""
        return self.history[-1]["density"] if self.history else 1.0
