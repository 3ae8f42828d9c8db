"""Gradual pruning: how much to keep at a step; `model.compression` says which weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spikewright.golden.errors import CheckFailed
from spikewright.model.compression import banks, magnitude
from spikewright.model.methods.base import Context, Method
from spikewright.model.recipes.check_sparsity import check_ranked
from spikewright.model.recipes.methods import PlacedStage, Selector, register
from spikewright.model.recipes.sections import Pruning

if TYPE_CHECKING:
    from spikewright.model.layers.layered import LayeredNetwork


def target_density(pruning: Pruning, progress: float) -> float:
    """The density that is due at `progress` (0..1 of all steps): cubic from 1 to `pruning.density`.

    >>> pruning = Pruning(0.1, begin=0.1, end=0.6)
    >>> [round(target_density(pruning, p), 4) for p in (0, 0.1, 0.35, 0.6, 1)]
    [1.0, 1.0, 0.2125, 0.1, 0.1]
    """
    if pruning.density >= 1 or progress < pruning.begin:
        return 1.0
    if progress >= pruning.end:
        return pruning.density
    left = 1 - (progress - pruning.begin) / (pruning.end - pruning.begin)
    return pruning.density + (1 - pruning.density) * left**3


@register
class Pruner(Method):
    """Sets the masks when they are due: a function of the step alone, so that a run can resume."""

    name = "gradual pruning"
    order = 10
    selector = Selector("sparse", "gradual")
    pruning_keys = ("density", "allocation", "begin", "updates_per_epoch", "end")

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Every layer keeps a weight."""
        check_ranked("gradual", placed.recipe.pruning, placed.layers, placed.where)

    def begin(self, context: Context) -> None:
        """List the steps that prune: `updates_per_epoch` in each epoch, from `begin` to `end`."""
        self.network, self.pruning, self.steps = (
            context.network,
            context.recipe.pruning,
            context.steps,
        )
        pruning, steps = self.pruning, self.steps
        every = max(1, context.per_epoch // pruning.updates_per_epoch)
        first, last = (
            math.floor(pruning.begin * steps),
            min(math.ceil(pruning.end * steps), steps - 1),
        )
        self.settled = last if pruning.density < 1 else 0
        self.due = {*range(first, last, every), last} if pruning.density < 1 else set()

    def before_step(self, step: int) -> None:
        """Prune if step number `step` (from 0) asks for it."""
        if step not in self.due:
            return
        density = (
            self.pruning.density
            if step == self.settled
            else target_density(self.pruning, step / self.steps)
        )
        layers = sum(1 for _ in self.network.synapses())
        prune_to(self.network, density, self.pruning.allocation, self.pruning.banks_of(layers))


@register
class OneShot(Method):
    """Prunes to `pruning.density` by magnitude once, before the first step."""

    name = "one-shot pruning"
    order = 11
    selector = Selector("sparse", "magnitude")
    pruning_keys = ("density", "allocation")

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Every layer keeps a weight."""
        check_ranked("magnitude", placed.recipe.pruning, placed.layers, placed.where)

    def begin(self, context: Context) -> None:
        """Prune what the stage starts from."""
        pruning = context.recipe.pruning
        layers = sum(1 for _ in context.network.synapses())
        prune_to(context.network, pruning.density, pruning.allocation, pruning.banks_of(layers))


def prune_to(
    network: LayeredNetwork, density: float, allocation: str, bank_counts: Sequence[int] = ()
) -> None:
    """Mask the network down to `density` of its weights. Weights that are already zero go first.

    With `bank_counts`, one number for each layer, rows are balanced over so many banks.
    """
    import torch

    masks = magnitude_masks(network, density, allocation, bank_counts)
    for synapse, mask in zip(network.synapses(), masks, strict=True):
        synapse.mask.copy_(torch.from_numpy(mask).to(network.device) & (synapse.mask != 0))
    network.project()


def magnitude_masks(
    network: LayeredNetwork, density: float, allocation: str, bank_counts: Sequence[int] = ()
) -> magnitude.Masks:
    """The masks that magnitude pruning asks for, one for each layer.

    Raises
    ------
    CheckFailed
        If a layer would lose all weights, as one ranking of all may have it ("global").
    """
    import torch

    from spikewright.model.runtime.device import to_numpy

    weights = [to_numpy(s.weight.to(torch.float64)) for s in network.synapses()]
    if bank_counts:
        return banks.bank_masks(weights, density, allocation, bank_counts)
    masks = magnitude.magnitude_masks(weights, density, allocation)
    for synapse, mask in zip(network.synapses(), masks, strict=True):
        if not mask.any():
            raise CheckFailed(
                f"pruning to density {density:.4g} by {allocation!r} leaves layer "
                f"{synapse.layer.name!r} without weights; a higher pruning.density, or "
                "pruning.allocation 'lamp', leaves every layer some"
            )
    return masks
