"""The network of a stage: built by its kind, started from that of an earlier stage."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from spikewright.golden.errors import BadInput
from spikewright.model.compression.conversion import Spikes
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.recipes.stages import Stage
from spikewright.model.training import transfer


def build(stage: Stage, recipe: Recipe) -> LayeredNetwork:
    """A network with fresh weights for `stage`, whose recipe this is."""
    network = (
        SpikingNetwork(recipe) if stage.kind == "snn" else AnnNetwork(recipe, stage.activation)
    )
    if not stage.rounded:
        network.use_float_weights()
    return network


def inherit(
    network: LayeredNetwork, source: LayeredNetwork, stage: Stage, images: NDArray[np.uint8]
) -> list[Spikes] | None:
    """Start `network` from the weights, masks, thresholds and statistics of `source`.

    A spiking network that starts from an ANN gets its thresholds by the stage's `convert`, on
    training `images`; one that starts from a spiking network takes them over, times the stage's
    `threshold_scale`. A leak that is not learned is that of the stage, whatever `source` had.
    Returned is what each layer of an ANN became, if one was converted.

    Raises
    ------
    BadInput
        If the two have other layers, or only one of them batch norm.
    """
    state = source.state_dict()
    if network.recipe.neuron.leak != "learned":
        own = network.state_dict()
        state.update({name: own[name] for name in own if name.endswith(".leak")})
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise BadInput(
            f"recipe {network.recipe.name!r}: stage {stage.name!r} has other layers or another "
            'neuron.batch_norm than the stage that it starts from; let it start = "fresh"'
        ) from None
    for layer, before in zip(network.layers, source.layers, strict=True):
        layer.rescale_statistics(before.weights()[2])  # which may have other bits
    if isinstance(network, SpikingNetwork) and isinstance(source, AnnNetwork):
        found = transfer.found(
            source, images, stage.convert, network.timesteps, stage.threshold_scale
        )
        transfer.adopt(network, found)
        return found
    if isinstance(network, SpikingNetwork):
        with torch.no_grad():
            for layer in network.layers:
                layer.theta.mul_(stage.threshold_scale)
    return None
