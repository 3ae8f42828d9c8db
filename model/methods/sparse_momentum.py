"""Sparse learning: a fixed number of weights, random at first, that move where momentum is.

At the end of an epoch, in every layer, a share of the kept units with the smallest norm is dropped.
As many weights grow again where there are none: each layer gets a share of them in proportion to
the mean momentum of the weights that it kept, and takes the units with the largest momentum, which
start at 0. Momentum is that of Adam, m / (sqrt(v) + 1e-8), which masked weights have as well. The
share falls from `pruning.drop` along half a cosine to 0 at the share `pruning.end` of all steps.
(T. Dettmers, L. Zettlemoyer: Sparse Networks from Scratch. 2019.)

No dense network is ever trained, and no step has more weights than `pruning.density` allows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikewright.model.compression import pruning_units
from spikewright.model.compression.pruning_units import Bools, Reals
from spikewright.model.methods.base import Context, Method
from spikewright.model.recipes.check_sparsity import check_random
from spikewright.model.recipes.methods import PlacedStage, Selector, register

if TYPE_CHECKING:
    import torch
    from torch import nn

    from spikewright.model.layers.layered import LayeredNetwork

MOST_GROWN = 0.99
"""Of the free places of a layer: what is more goes to other layers, as far as they have room."""


@register
class RandomMask(Method):
    """A random mask, fixed for the whole stage: what sparse learning is compared with."""

    name = "random mask"
    order = 12
    selector = Selector("sparse", "random")
    pruning_keys = ("density", "allocation")
    network: LayeredNetwork

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Every layer keeps a unit."""
        assert cls.selector is not None
        check_random(cls.selector.word, placed.recipe.pruning, placed.layers, placed.where)

    def begin(self, context: Context) -> None:
        """Draw the masks. Without batch norm, kept weights grow as their fan-in falls."""
        import torch

        self.network, self.recipe = context.network, context.recipe
        pruning = self.recipe.pruning
        self.density, self.structure = pruning.density, pruning.structure
        self.layers = [synapse.layer for synapse in self.network.synapses()]
        masks = pruning_units.random_masks(
            self.layers, self.density, pruning.allocation, self.structure,
            self.recipe.training.seed,
        )  # fmt: skip
        set_masks(self.network, masks)
        if not self.recipe.neuron.batch_norm:
            for synapse, mask in zip(self.network.synapses(), masks, strict=True):
                with torch.no_grad():
                    synapse.weight.mul_(math.sqrt(mask.size / mask.sum()))
        self.network.project()

    def log(self) -> dict[str, Any]:
        """The share of weights that every layer keeps."""
        return {"kept": kept(self.network)}


@register
class SparseMomentum(RandomMask):
    """Drops and grows units at the end of epochs."""

    name = "sparse momentum"
    order = 13
    selector = Selector("sparse", "momentum")
    pruning_keys = ("density", "allocation", "end", "drop")

    def begin(self, context: Context) -> None:
        """Draw the masks, list the epochs at whose end units move."""
        super().begin(context)
        self.optimizer = context.optimizer
        last = math.floor(self.recipe.pruning.end * context.steps / context.per_epoch)
        self.epochs = min(last, self.recipe.training.epochs - 1)
        self.settled = self.epochs * context.per_epoch

    def end_epoch(self, epoch: int) -> None:
        """Move units, unless it is too late."""
        from spikewright.model.runtime.device import to_numpy

        done = epoch + 1
        if done > self.epochs:
            return
        share = self.recipe.pruning.drop * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
        synapses = list(self.network.synapses())
        parts = self._split([to_numpy(s.weight) for s in synapses])
        masks = [mask[:, 0] != 0 for mask in self._split([to_numpy(s.mask) for s in synapses])]
        momenta = self._split([momentum(self.optimizer, s.weight) for s in synapses])
        found = redistribute(
            parts, masks, momenta, share, pruning_units.budget(self.density, self.layers)
        )
        set_masks(self.network, pruning_units.join_masks(found, self.layers, self.structure))
        self.network.project()

    def _split(self, parts: Sequence[NDArray[Any]]) -> list[Reals]:
        whole = [np.asarray(part, np.float64) for part in parts]
        return pruning_units.split_groups(whole, self.layers, self.structure)


def redistribute(
    weights: Sequence[Reals], masks: Sequence[Bools], momenta: Sequence[Reals], share: float,
    budget: int,
) -> list[Bools]:  # fmt: skip
    """The masks (units,) of every group of paths after `share` of its kept units moved.

    `weights` and `momenta` are (units, weights of a unit); `budget` is how many weights the new
    masks may keep. Every group keeps at least one unit. Of equal units the later is kept.
    """
    sizes = np.array([part.shape[1] for part in weights])
    left = [_drop(w, mask, share) for w, mask in zip(weights, masks, strict=True)]
    growth = [np.sqrt(np.square(m).sum(axis=1)) for m in momenta]
    importance = np.array([np.abs(m[mask]).mean() for m, mask in zip(momenta, left, strict=True)])
    missing = budget - sum(int(mask.sum()) * size for mask, size in zip(left, sizes, strict=True))
    free = np.array([int((~mask).sum()) for mask in left])
    grown = pruning_units.apportion(
        missing, importance, sizes, np.floor(MOST_GROWN * free).astype(np.int64)
    )
    rest = missing - int((grown * sizes).sum())
    grown += pruning_units.apportion(rest, importance, sizes, free - grown)
    for mask, count, score in zip(left, grown, growth, strict=True):
        order = np.argsort(np.where(mask, -1.0, score), kind="stable")
        mask[order[len(order) - count :]] = True
    return left


def _drop(weights: Reals, mask: Bools, share: float) -> Bools:
    norms = np.where(mask, np.square(weights).sum(axis=1), np.inf)
    count = min(math.ceil(share * int(mask.sum()) - 1e-9), int(mask.sum()) - 1)
    left = mask.copy()
    left[np.argsort(norms, kind="stable")[:count]] = False
    return left


def momentum(optimizer: torch.optim.Optimizer, weight: nn.Parameter) -> NDArray[np.float64]:
    """How strongly every weight is pulled: |m| / (sqrt(v) + 1e-8) of Adam, |m| of SGD."""
    import torch

    from spikewright.model.runtime.device import to_numpy

    state = optimizer.state[weight]
    if "momentum_buffer" in state:
        return to_numpy(state["momentum_buffer"].to(torch.float64).abs())
    mean, square = (state[key].to(torch.float64) for key in ("exp_avg", "exp_avg_sq"))
    return to_numpy(mean.abs() / (square.sqrt() + 1e-8))


def set_masks(network: LayeredNetwork, masks: Sequence[Bools]) -> None:
    """Replace the masks of all layers."""
    import torch

    for synapse, mask in zip(network.synapses(), masks, strict=True):
        synapse.mask.copy_(torch.from_numpy(mask))


def kept(network: LayeredNetwork) -> dict[str, float]:
    """The share of weights that each layer's mask keeps."""
    return {s.layer.name: int(s.mask.sum()) / s.mask.numel() for s in network.synapses()}
