"""Exports a trained torch model as the integer network of `golden`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.widths import drive_bounds
from spikewright.model.architecture import INPUT, Path
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.runtime.device import to_numpy


def _whole(tensor: Tensor) -> NDArray[np.int64]:
    values = to_numpy(tensor.to(torch.float64))
    integers = np.rint(values).astype(np.int64)
    assert (integers == values).all(), "a tensor of the integer domain has a fraction"
    return integers


def _edge(path: Path, target: str, weights: Tensor) -> Edge:
    integers = _whole(weights).astype(np.int8)
    window = (path.pool, path.pool)
    pools = ((MaxPool2d if path.maximum else SumPool2d)(window),) if path.pool > 1 else ()
    bits = path.weight_bits
    if path.kind == "conv":
        sides = (path.padding, path.padding), (path.stride, path.stride)
        return Edge(path.origin, target, (*pools, Conv2d(integers, bits, *sides)))
    kind = Identity if path.kind == "identity" else Linear
    return Edge(path.origin, target, (*pools, kind(integers, bits)))


@torch.no_grad()
def export(model: SpikingNetwork, meta: Mapping[str, str] | None = None) -> Network:
    """The integer network that `model` computes in eval mode.

    Its metadata are `name`, `data`, `recipe` and `seed` of the recipe, and `meta`.
    """
    recipe, was_training = model.recipe, model.training
    model.eval()
    shape, bits, coding = recipe.frame()
    nodes: list[Input | LIF | Readout] = [Input(INPUT, shape, coding, bits)]  # type: ignore[arg-type] (checked by Input)
    edges: list[Edge] = []
    for layer in model.spiking_layers:
        integers, _ = layer.integers()
        whole = integers.weights, integers.shortcut
        for path, weights in zip(layer.layer.paths, whole, strict=False):
            assert weights is not None
            edges.append(_edge(path, layer.layer.name, weights))
        leak_mul = int(_whole(integers.leak_mul))
        nodes.append(
            LIF(
                layer.layer.name,
                layer.layer.shape,
                _whole(integers.threshold),
                _whole(integers.bias),
                leak_mul,
                layer.neuron.leak_shift if leak_mul else 0,
                layer.neuron.reset,  # type: ignore[arg-type] (checked by LIF)
                layer.neuron.membrane_bits,
            )
        )
    weights, bias, _ = model.readout.integers()
    edges.append(_edge(model.readout.layer, "readout", weights))
    nodes.append(Readout("readout", model.readout.layer.shape, _whole(bias)))
    model.train(was_training)
    origin = {
        "name": recipe.name,
        "data": recipe.data,
        "recipe": recipe.name,
        "seed": str(recipe.training.seed),
    }
    if recipe.coding != "values":
        origin["coding"] = recipe.coding
    return Network(recipe.timesteps, tuple(nodes), tuple(edges), {**origin, **(meta or {})})


def dead_channels(network: Network) -> dict[str, int]:
    """The number of channels of each LIF node that can never fire; they are kept, and reported.

    A channel is dead if the largest drives of all T steps together stay below its threshold.
    """
    dead: dict[str, int] = {}
    for node in network.hidden:
        gain = np.zeros(node.shape, np.int64)
        for edge in network.into(node.name):
            gain = gain + drive_bounds(edge, network.node(edge.source))[0]
        highest = gain.reshape(len(gain), -1).max(axis=1) + node.bias
        best = np.maximum(highest, 0) * network.timesteps
        dead[node.name] = int((best < node.threshold).sum())
    return dead
