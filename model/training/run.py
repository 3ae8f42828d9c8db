"""A whole run in memory: the stages of a recipe one after the other, and what they hand on."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.data import DataSet, batches
from spikewright.model.data.batches import evenly_spaced
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.layers.teacher import Teacher
from spikewright.model.recipes import check_dataset, stages
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.stages import Stage
from spikewright.model.runtime import distributed
from spikewright.model.runtime.device import CPU
from spikewright.model.training import stage_network
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.ratios import spikes_per_neuron
from spikewright.model.training.trainer import History, Inheritance, Trainer, Weights


@dataclass(frozen=True, eq=False)
class FinishedStage:
    """A finished stage: the weights of its chosen epoch, and its line of the summary."""

    weights: Weights
    changes: dict[str, Any]
    summary: dict[str, Any]
    history: History

    @property
    def kind(self) -> str:
        """Of the stage."""
        return self.summary["kind"]


class Run:
    """The stage in training, and the finished ones before it.

    Members
    -------
    trainer : Trainer of the present stage
    done : the stages before it
    epochs, steps : of all stages; epochs_before, steps_before : of the finished ones
    """

    def __init__(
        self, recipe: Recipe, data_root: str | Path | None = None, device: torch.device = CPU
    ) -> None:
        self.recipe, self.data_root, self.plan = recipe, data_root, recipe.plan()
        self.device = device
        self.done: list[FinishedStage] = []
        self._datasets: dict[int, DataSet] = {}
        self.trainer = self._trainer()
        count = [len(self.trainer.images)] * len(self.plan)
        training = [recipe.of_stage(stage).training for stage in self.plan]
        check_dataset.check_batches(recipe.name, self.plan, training, len(self.trainer.images))
        for stage, part, images in zip(self.plan, training, count, strict=True):
            where = f"recipe {recipe.name!r}: stage {stage.name!r}"
            distributed.check_batch_size(where, min(part.batch_size, images))
        self._epochs = [part.epochs for part in training]
        self._steps = [
            part.epochs * batches.steps_per_epoch(images, part.batch_size)
            for part, images in zip(training, count, strict=True)
        ]
        self.epochs, self.steps = sum(self._epochs), sum(self._steps)

    @property
    def epochs_before(self) -> int:
        """Of the finished stages."""
        return sum(self._epochs[: len(self.done)])

    @property
    def steps_before(self) -> int:
        """Of the finished stages."""
        return sum(self._steps[: len(self.done)])

    @property
    def finished(self) -> bool:
        """Whether the last epoch of the last stage is over."""
        last = self.trainer.recipe.training.epochs
        return len(self.done) == len(self.plan) - 1 and self.trainer.epoch >= last

    @property
    def history(self) -> History:
        """The entries of all epochs so far; with stages, each names its own."""
        parts = [*(part.history for part in self.done), self._labelled()]
        return [entry for part in parts for entry in part]

    def _labelled(self) -> History:
        if not self.recipe.stages:
            return self.trainer.history
        return [{"stage": self.trainer.stage.name, **entry} for entry in self.trainer.history]

    def _recipe(self, place: int) -> Recipe:
        changes: dict[str, Any] = {}
        for part in self.done[:place]:
            changes |= part.changes
        return self.recipe.of_stage(self.plan[place], changes)

    def _dataset(self, recipe: Recipe) -> DataSet:
        if recipe.timesteps not in self._datasets:
            whole = data.load(recipe.data, self.data_root, recipe.timesteps)
            check_dataset.check(recipe, whole)
            count = recipe.training.images or len(whole.train_x)
            images, labels = (
                evenly_spaced(whole.train_x, count),
                evenly_spaced(whole.train_y, count),
            )
            part = dataclasses.replace(whole, train_x=images, train_y=labels)
            self._datasets = {recipe.timesteps: part}
        return self._datasets[recipe.timesteps]

    def network(self, stage: Stage) -> LayeredNetwork:
        """The network of a finished stage, with the weights of its chosen epoch."""
        place = self.plan.index(stage)
        network = stage_network.build(stage, self._recipe(place)).to(self.device)
        network.load_state_dict(self.done[place].weights)
        return network

    def _trainer(self) -> Trainer:
        place = len(self.done)
        source, teacher = stages.source(self.plan, place), stages.teacher(self.plan, place)
        inherited = Inheritance(
            self.network(source) if source else None,
            Teacher(self.network(teacher)) if teacher else None,
            sum(self._epochs[:place]) if place else 0,
        )
        recipe = self._recipe(place)
        return Trainer(recipe, self._dataset(recipe), self.plan[place], inherited, self.device)

    def one_epoch(self, report: Callable[..., None]) -> None:
        """The next epoch, of the next stage if the present one is over."""
        if self.trainer.epoch >= self.trainer.recipe.training.epochs:
            self._next()
        self.trainer.one_epoch(report)

    def _next(self) -> None:
        best, dataset = self.trainer.best, self.trainer.dataset
        score = evaluate(self._best(), dataset.test_x, dataset.test_y)
        assert best.weights is not None
        line = self._line() | {"test_accuracy": score.accuracy}
        self.done.append(FinishedStage(best.weights, best.changes, line, self._labelled()))
        self.trainer = self._trainer()

    def _line(self) -> dict[str, Any]:
        best, stage = self.trainer.best, self.trainer.stage
        chosen = self.trainer.history[best.epoch - 1]
        keys = ("validation_accuracy", "validation_loss", "density")
        line = self.trainer.converted | {key: chosen[key] for key in keys}
        if stage.kind == "snn":
            rates, steps = chosen["spike_rate"], self.trainer.recipe.timesteps
            line["spikes_per_neuron"] = spikes_per_neuron(rates, self.trainer.layers, steps)
        return {"name": stage.name, "kind": stage.kind, "chosen_epoch": best.epoch, **line}

    def summary(self, test_accuracy: float) -> list[dict[str, Any]]:
        """A line for each stage; the last one, which is in training, has this accuracy."""
        last = self._line() | {"test_accuracy": test_accuracy}
        return [*(part.summary for part in self.done), last]

    def reference_spikes(self) -> float | None:
        """Spikes per neuron of the first spiking stage, if it is not the last."""
        found = [part.summary["spikes_per_neuron"] for part in self.done if part.kind == "snn"]
        return found[0] if found else None

    def chosen(self) -> SpikingNetwork:
        """The network of the last stage, with the weights of its chosen epoch."""
        network = self._best()
        assert isinstance(network, SpikingNetwork)
        return network

    def _best(self) -> LayeredNetwork:
        network, best = self.trainer.network, self.trainer.best
        assert best.weights is not None
        network.load_state_dict(best.weights)
        return network

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on: the stage's state, and earlier stages."""
        done = [
            {
                "weights": part.weights,
                "record": json.dumps([part.changes, part.summary, part.history]),
            }
            for part in self.done
        ]
        return {**self.trainer.state(), "done": done}

    def resume(self, done: Sequence[Mapping[str, Any]]) -> None:
        """Continue after these finished stages, which are parts of what `state` returned."""
        for part in done:
            self.done.append(FinishedStage(part["weights"], *json.loads(part["record"])))
        if self.done:
            self.trainer = self._trainer()

    def restore(self, state: dict[str, Any], where: Path) -> None:
        """Restores from `state`, loaded from `where`.

        Raises
        ------
        BadInput
            As `Trainer.restore`.
        """
        try:
            self.resume(state.get("done", []))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"{where}: is no complete checkpoint ({type(error).__name__}); use another folder"
            ) from None
        self.trainer.restore(state, where)


def trained(recipe: Recipe, state: dict[str, Any]) -> SpikingNetwork:
    """The network of the last stage, with the weights of its chosen epoch, from a checkpoint."""
    changes: dict[str, Any] = {}
    for part in state.get("done", []):
        changes |= json.loads(part["record"])[0]
    network = SpikingNetwork(recipe.of_stage(recipe.plan()[-1], changes))
    network.load_state_dict(state["best"])
    return network
