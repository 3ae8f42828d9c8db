"""Not a number, or infinite: where in a network it began, in words for a message.

In training a loss that is not finite ends the run at once. A spiking layer can hide it, as a
membrane that is no number never fires: so parameters are looked at as well, once an epoch, before
anything is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from spikewright.model.architecture import INPUT
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.neuron import NeuronLayer
from spikewright.model.layers.readout import ReadoutLayer

AnyLayer = NeuronLayer | ReadoutLayer

_WORDS = {
    "synapse": "weights",
    "shortcut": "weights of the shortcut",
    "theta": "threshold",
    "beta": "bias",
    "gamma": "gain of batch norm",
    "mean": "statistics",
    "var": "statistics",
}
"""What the first part of a parameter's name, or of a buffer's, means."""


def bad_parameters(network: LayeredNetwork) -> str:
    """The first layer, in forward order, that holds what is not finite, and what; or ""."""
    for layer in _in_order(network):
        if found := _held(layer):
            return _described(layer, found)
    return ""


@torch.no_grad()
def origin(network: LayeredNetwork, images: Tensor) -> str:
    """The first layer whose parameters, last gradients, drive or output are not finite, and which.

    Runs the forward pass of `images` (as `LayeredNetwork.forward` takes them) again, so that
    running statistics move: for a run that ends here. "" if all layers are finite.
    """
    sent = {INPUT: network.rows(images)}
    for layer in _in_order(network):
        found = [*_held(layer), *_gradients(layer)]
        events = network.take_inputs(sent, layer.layer)
        drive, output = _forward(layer, events, len(images))
        found += [name for name, v in (("drive", drive), ("output", output)) if not finite(v)]
        if found:
            return _described(layer, found)
        sent[layer.layer.name] = output
    return ""


def finite(values: Tensor) -> bool:
    """Whether all of `values` are."""
    return bool(torch.isfinite(values).all())


def _in_order(network: LayeredNetwork) -> Iterator[AnyLayer]:
    yield from network.layers
    yield network.readout


def _described(layer: AnyLayer, found: list[str]) -> str:
    return f"{', '.join(dict.fromkeys(found))} of layer {layer.layer.name!r}"


def _tensors(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from layer.named_parameters()
    yield from layer.named_buffers()


def _word(name: str) -> str:
    first = name.split(".")[0]
    return _WORDS.get(first, first)


def _held(layer: AnyLayer) -> list[str]:
    """Which of the layer's parameters and buffers are not finite."""
    return [_word(name) for name, value in _tensors(layer) if not finite(value)]


def _gradients(layer: AnyLayer) -> list[str]:
    """Which of its parameters had, in the last backward pass, a gradient that is not finite."""
    return [
        f"gradient of {_word(name)}"
        for name, value in layer.named_parameters()
        if value.grad is not None and not finite(value.grad)
    ]


def _forward(layer: AnyLayer, events: list[Tensor], batch: int) -> tuple[Tensor, Tensor]:
    """The drive in units of the weights, and what the layer sends."""
    if isinstance(layer, ReadoutLayer):
        drive = layer.synapse.drive(events[0], layer.integers()[0])
        return drive, layer(events[0], batch)[0]
    weights, second, _ = layer.weights()
    drive = layer.deliver(weights, second, events[0], events[1] if len(events) > 1 else None)
    return drive, layer(events[0], batch, *events[1:])
