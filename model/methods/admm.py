"""ADMM: weights are drawn to a constraint set for some epochs, then put into it, then retrained.

With Z in the set and the scaled dual U, every step of a first part of the stage adds

    rho / 2  sum over layers of || W - Z + U ||^2

to the loss, and `admm.updates` times an epoch Z = projection(W + U), then U = U + W - Z. The gap
|| W - Z || / || W || in the history says how near the weights have come. After that part, the hard
step W = projection(W): with all epochs in that part, the next stage retrains, from a learning rate
of its own.

``sparse = "admm"``    the set: of every layer so many weights as magnitude pruning would keep of
                       the weights that the stage starts from. Then masks are fixed, all retrain.
``quantize = "admm"``  the set: alpha Q, per channel. Weights are float until the hard step; then Q
                       is fixed, and thresholds, biases and leaks retrain. Masks stay as they are.

(S. Boyd et al.: Distributed Optimization and Statistical Learning via ADMM. 2011. The norm is
squared; Z starts as a projected copy of W, U as 0.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikewright.golden.errors import require
from spikewright.model.methods.base import Batch, Context, Method
from spikewright.model.methods.prune import magnitude_masks
from spikewright.model.recipes.check_sparsity import check_ranked
from spikewright.model.recipes.fields import field, integer, number, table
from spikewright.model.recipes.methods import PlacedStage, Selector, register

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.model.layers.synapse import Synapse


@dataclass(frozen=True)
class AdmmOptions:
    """How strongly weights are drawn to their set, and for which share of the stage's epochs.

    In each of these, what they are drawn to moves `updates` times.
    """

    rho: float = field(number(0, 1e6), 0.1)
    share: float = field(number(0, 1), 0.5)
    updates: int = field(integer(1, 1000), 5, quiet=True)


KEYS = {"admm": table(AdmmOptions, AdmmOptions())}


class Admm(Method):
    """The part that both sets share; a subclass projects, and does what follows the hard step."""

    stage_keys = KEYS

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """There are epochs for it, and for what follows."""
        recipe, share, where = placed.recipe, placed.stage.admm.share, placed.where
        if placed.is_last:
            require(share < 1, placed.here, "admm.share", share,
                    "below 1 in the last stage, to retrain")  # fmt: skip
        epochs, freeze = recipe.training.epochs, recipe.training.freeze
        least = 1 if share == 1 else 2
        require(epochs >= least, where, "training.epochs", epochs,
                "at least 2: ADMM, then retraining")  # fmt: skip
        highest = freeze if recipe.neuron.batch_norm else 1.0
        remedy = f"at most training.freeze = {highest}, or 1 with a later stage that retrains"
        require(share <= highest or share == 1, where, "admm.share", share, remedy)

    def begin(self, context: Context) -> None:
        """Z = projection(W), U = 0; copies, so that W is not touched."""
        import torch

        self.network, options = context.network, context.stage.admm
        self.rho = options.rho
        epochs, self.per_epoch = context.recipe.training.epochs, context.per_epoch
        most = epochs if options.share == 1 else epochs - 1
        self.epochs = min(max(1, round(options.share * epochs)), most)
        self.settled = self.epochs * context.per_epoch - 1
        self.updates = min(options.updates, context.per_epoch)
        self.synapses = list(self.network.synapses())
        self.gaps: dict[str, float] = {}
        self.prepare(context)
        weights = [synapse.weight.detach() for synapse in self.synapses]
        self.nearest = self.project(weights)
        self.dual = [torch.zeros_like(weight) for weight in weights]

    def prepare(self, context: Context) -> None:
        """What a subclass computes from the weights that the stage starts from."""

    def project(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """New tensors: the nearest point of the set, layer by layer."""
        raise NotImplementedError

    def settle(self) -> None:
        """What follows the hard step."""

    def loss(self, batch: Batch) -> Tensor | None:
        """Rho / 2 || W - Z + U ||^2 of all layers; None after the hard step."""
        import torch

        if batch.step > self.settled:
            return None
        terms = [
            (synapse.weight - near + dual).square().sum()
            for synapse, near, dual in zip(self.synapses, self.nearest, self.dual, strict=True)
        ]
        return 0.5 * self.rho * torch.stack(terms).sum()

    def after_step(self, step: int) -> None:
        """Move Z and U when an equal part of an epoch is over; not after the hard step."""
        inside = step % self.per_epoch
        before, after = ((inside + n) * self.updates // self.per_epoch for n in (0, 1))
        if after > before and step <= self.settled:
            self.update()

    def update(self) -> None:
        """Z = projection(W + U), U = U + W - Z."""
        weights = [synapse.weight.detach() for synapse in self.synapses]
        sums = [weight + dual for weight, dual in zip(weights, self.dual, strict=True)]
        self.nearest = self.project(sums)
        self.dual = [total - near for total, near in zip(sums, self.nearest, strict=True)]

    def end_epoch(self, epoch: int) -> None:
        """Measure the gap; after the last epoch of this part, the hard step."""
        pairs = zip(self.synapses, self.nearest, strict=True)
        self.gaps = {s.layer.name: gap(s.weight.detach(), near) for s, near in pairs}
        if epoch >= self.epochs:
            self.gaps = {}
        if epoch + 1 == self.epochs:
            self.harden()

    def harden(self) -> None:
        """W = projection(W). Running statistics follow the units of the weights."""
        import torch

        with torch.no_grad():
            before = [layer.weights()[2] for layer in self.network.layers]
            nearest = self.project([synapse.weight.detach() for synapse in self.synapses])
            for synapse, near in zip(self.synapses, nearest, strict=True):
                synapse.weight.copy_(near)
            self.settle()
            for layer, old in zip(self.network.layers, before, strict=True):
                layer.rescale_statistics(old)

    def log(self) -> dict[str, Any]:
        """|| W - Z || / || W || of every layer, until the hard step."""
        return {"gap": self.gaps} if self.gaps else {}

    def state(self) -> dict[str, Any]:
        """Z and U."""
        return {"nearest": self.nearest, "dual": self.dual}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up Z and U."""
        found = state["nearest"], state["dual"]
        self.nearest, self.dual = ([t.to(self.network.device) for t in part] for part in found)


@register
class AdmmSparsity(Admm):
    """Every layer keeps so many weights; which, ADMM finds."""

    name = "ADMM pruning"
    order = 14
    selector = Selector("sparse", "admm")
    pruning_keys = ("density", "allocation")

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Weights are ranked one by one."""
        pruning = placed.recipe.pruning
        require(pruning.structure == "none", placed.where, "pruning.structure",
                repr(pruning.structure), "'none' with sparse = 'admm'")  # fmt: skip
        check_ranked("admm", pruning, placed.layers, placed.where)
        super().check(placed)

    def prepare(self, context: Context) -> None:
        """Count what magnitude pruning would keep."""
        pruning = context.recipe.pruning
        masks = magnitude_masks(self.network, pruning.density, pruning.allocation)
        self.counts = [int(mask.sum()) for mask in masks]

    def project(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """The largest weights of every layer, among those that its mask has kept so far."""
        from spikewright.model.compression import projection

        found = []
        for synapse, weight, count in zip(self.synapses, weights, self.counts, strict=True):
            weight = weight * synapse.mask
            found.append(weight * projection.largest_mask(weight, count))
        return found

    def settle(self) -> None:
        """Fix the masks."""
        for synapse in self.synapses:
            synapse.mask.copy_(synapse.weight != 0)
        self.network.project()

    def log(self) -> dict[str, Any]:
        """The gap, and the share of weights that each layer keeps."""
        kept = {s.layer.name: int(s.mask.sum()) / s.mask.numel() for s in self.synapses}
        return {**super().log(), "kept": kept}


@register
class AdmmLevels(Admm):
    """All weights of a channel are multiples of one number."""

    name = "ADMM levels"
    order = 20
    selector = Selector("quantize", "admm")

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Weights have levels to be drawn to, and may change."""
        stage, here = placed.stage, placed.here
        require(stage.sparse != "admm", here, "quantize", "'admm'",
                "in a stage after that of sparse = 'admm'")  # fmt: skip
        require(stage.rounded, here, "weights", repr(stage.weights),
                "'quantized' with quantize = 'admm'")  # fmt: skip
        require(stage.train == "all", here, "train", repr(stage.train),
                "'all' with quantize = 'admm', after which weights are fixed")  # fmt: skip
        super().check(placed)
        joined = any(layer.shortcut is not None for layer in placed.layers)
        remedy = "'none' with residual blocks: two paths into a neuron share their levels"
        require(not joined, placed.where, "quantize", "'admm'", remedy)

    def prepare(self, context: Context) -> None:
        """Weights are float until the hard step."""
        for synapse in self.synapses:
            synapse.rounded = False

    def project(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Alpha Q of every layer."""
        return [levels(s, weight) for s, weight in zip(self.synapses, weights, strict=True)]

    def settle(self) -> None:
        """Round from now on, and hold the weights."""
        for synapse in self.synapses:
            synapse.rounded = True
            synapse.weight.requires_grad_(False)

    def state(self) -> dict[str, Any]:
        """Z, U, and on which side of the hard step the run is."""
        return {**super().state(), "hard": self.synapses[0].rounded}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take them up."""
        super().restore(state)
        if state["hard"]:
            self.settle()


def levels(synapse: Synapse, weight: Tensor) -> Tensor:
    """Alpha Q with the bits of the synapse, of what its mask keeps."""
    from spikewright.model.compression import projection

    bits, each_channel = synapse.layer.weight_bits, not synapse.readout
    return projection.project_to_levels(weight * synapse.mask, bits, each_channel)


def gap(weight: Tensor, near: Tensor) -> float:
    """|| W - Z || / || W ||."""
    return float((weight - near).norm() / weight.norm().clamp(min=1e-12))
