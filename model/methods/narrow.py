"""A spiking network's significant widths, and the stage method that hands them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import require
from spikewright.model.architecture import INPUT
from spikewright.model.compression.pca import CovarianceSums, components_needed, narrow_words
from spikewright.model.methods.base import Context, Method
from spikewright.model.recipes.fields import field, number, optional
from spikewright.model.recipes.methods import PlacedStage, register

if TYPE_CHECKING:
    from spikewright.model.layers.spiking import SpikingNetwork
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage

_IMAGES = 1024


def moments(network: SpikingNetwork, images: NDArray[np.uint8]) -> dict[str, CovarianceSums]:
    """Of each hidden layer: moments of the drive, averaged over all steps, reset excluded.

    A channel's drive is counted in units of its threshold, in which it meets its neurons.
    """
    import torch

    was_training = network.training
    network.eval()
    found = {layer.layer.name: CovarianceSums(layer.layer.shape[0]) for layer in network.layers}
    with torch.no_grad():
        _accumulate(network, images, found)
    network.train(was_training)
    return found


def _accumulate(
    network: SpikingNetwork, images: NDArray[np.uint8], found: dict[str, CovarianceSums]
) -> None:
    from spikewright.model.data.batches import sequential_batches
    from spikewright.model.runtime.device import to_numpy

    for batch in sequential_batches(images, network.coder, network.device):
        sent = {INPUT: network.rows(batch)}
        for layer in network.spiking_layers:
            name = layer.layer.name
            events, *skip = network.take_inputs(sent, layer.layer)
            integers, drive = layer.integers(events, *skip)
            assert drive is not None
            mean = drive.reshape(-1, len(batch), *drive.shape[1:]).mean(dim=0)
            unit = integers.threshold.reshape(-1, *[1] * (mean.ndim - 2))
            found[name].add(to_numpy(mean / unit))
            sent[name] = layer(events, len(batch), *skip)


def widths(network: SpikingNetwork, images: NDArray[np.uint8], share: float) -> dict[str, int]:
    """How many channels each hidden layer needs to keep `share` of the variance on `images`."""
    return {
        name: components_needed(part.variances(), share)
        for name, part in moments(network, images).items()
    }


@register
class SignificantWidths(Method):
    """Gives the recipe of later stages the significant widths of the chosen epoch.

    Those stages start fresh: what is found is a size, not weights.
    """

    name = "narrow"
    order = 80
    stage_keys = {  # noqa: RUF012 (declared once, never changed)
        "narrow": field(optional(number(0.01, 1)), None, quiet=True),
    }
    reshapes = True

    def __init__(self, share: float) -> None:
        self.share = share

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """Whether the stage names a share."""
        return stage.narrow is not None

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Self:
        """With the share of the stage."""
        return cls(stage.narrow)

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """Spikes are there to measure, and a later stage to hand the widths to."""
        stage = placed.stage
        require(stage.kind == "snn", placed.here, "narrow", stage.narrow, "in a stage of kind snn")
        require(not placed.is_last, placed.here, "narrow", repr(stage.narrow),
                "left out of the last stage: later ones get the widths")  # fmt: skip

    def begin(self, context: Context) -> None:
        """Choose the images: at most 1024, evenly spread over the training part."""
        from spikewright.model.data.batches import evenly_spaced
        from spikewright.model.layers.spiking import SpikingNetwork

        assert isinstance(context.network, SpikingNetwork)
        self.network, self.recipe = context.network, context.recipe
        self.images = np.asarray(evenly_spaced(context.images, _IMAGES), np.uint8)

    def changes(self) -> dict[str, Any]:
        """The layers, spelt with their new widths."""
        found = widths(self.network, self.images, self.share)
        names = [layer.name for layer in self.recipe.architecture()]
        return {"topology": "none", "layers": narrow_words(self.recipe.words(), names, found)}
