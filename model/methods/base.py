"""What a training method is: a few hooks, called by the trainer in a fixed order.

A stage composes methods; none knows of the others. Per step::

    before_step of all  ->  forward, loss + loss of all  ->  backward, optimiser, project
                        ->  after_step of all

and after the last step of an epoch `end_epoch` of all, then validation, between
`begin_validation` and `end_validation` of all. What a method must remember
for the rest of its stage it returns from `state`, in tensors and plain values: a run that was
stopped builds the method anew, calls `begin`, then `restore`, and goes on byte for byte.

A file with a method imports torch inside its functions only: recipes are read without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.model.recipes.methods import Keys, PlacedStage, Selector, named

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from spikewright.model.layers.layered import LayeredNetwork
    from spikewright.model.layers.teacher import Teacher
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage


@dataclass(frozen=True, eq=False)
class Context:
    """A stage in training.

    `recipe` is that of the stage, its own tables included; `images` and `labels` are the training
    part; `steps` are all of the stage, `per_epoch` those of an epoch.
    """

    network: LayeredNetwork
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    stage: Stage
    steps: int
    per_epoch: int
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    teacher: Teacher | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """What a forward pass saw and gave.

    `logits` are scaled as the loss wants them; `sent` holds what each hidden layer sends, spikes or
    activations (T * batch, *shape), if any method of the stage `records`.
    """

    step: int
    images: Tensor
    labels: Tensor
    logits: Tensor
    sent: list[Tensor]


class Method:
    """A method that does nothing; subclasses declare themselves and override the hooks they need.

    Members
    -------
    name : str; unique, as messages call the method
    order : int; methods of a stage are called by rising order. Those of the kit: 10 to 14 choose
        weights, 20 levels, 30 freezes statistics, 35 and 36 average, 40 holds parameters, 50 and 60
        teach, 70 drops neurons, 80 measures widths, 90 penalises spikes
    selector : Selector or None; the key and the word by which a stage asks for the method
    stage_keys, training_keys : keys that it adds to a stage and to [training], by name
    pruning_keys : the keys of [pruning] that it reads
    taught : bool; it learns from an earlier ANN, `Context.teacher`
    reshapes : bool; later stages have other layers
    records : bool; True asks for `Batch.sent`
    settled : int; the last step (from 0) at which the method changes what is trained. Only epochs
        that end after it can be chosen; 0: any.
    """

    name: ClassVar[str]
    order: ClassVar[int]
    selector: ClassVar[Selector | None] = None
    stage_keys: ClassVar[Keys] = {}
    training_keys: ClassVar[Keys] = {}
    pruning_keys: ClassVar[tuple[str, ...]] = ()
    taught: ClassVar[bool] = False
    reshapes: ClassVar[bool] = False
    records: bool = False
    settled: int = 0

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """Whether the stage uses the method: by default if it has one of the selector's words."""
        return bool(named(stage, (cls,)))

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Refuse, with `golden.errors.require`, what the method cannot do in this stage."""

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Self:
        """The method of a stage that uses it."""
        return cls()

    def begin(self, context: Context) -> None:
        """Called once, when the network holds the weights that the stage starts from."""

    def before_step(self, step: int) -> None:
        """Called before the forward pass of step number `step` of the stage."""

    def loss(self, batch: Batch) -> Tensor | None:
        """A term to add to the loss, or None."""
        return None

    def after_step(self, step: int) -> None:
        """Called when the optimiser has stepped and pruned weights are zero again."""

    def end_epoch(self, epoch: int) -> None:
        """Called after the last step of epoch number `epoch` (from 0) of the stage."""

    def begin_validation(self) -> None:
        """Called before the network is validated, and kept if it is the best so far."""

    def end_validation(self) -> None:
        """Called after that."""

    def log(self) -> dict[str, Any]:
        """Plain values for the history's entry of the epoch that ended."""
        return {}

    def state(self) -> dict[str, Any]:
        """What the rest of the stage depends on: tensors and plain values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` returned; called after `begin`."""

    def changes(self) -> dict[str, Any]:
        """Called on the chosen epoch: what later stages shall change in the recipe."""
        return {}
