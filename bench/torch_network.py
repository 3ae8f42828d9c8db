"""The torch program of `golden_speed`: an integer network in float32, written for speed."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import conv2d, linear, pad

from spikewright.golden.network.edges import Conv2d, Edge
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Readout


def as_floats(values: NDArray[np.generic]) -> torch.Tensor:
    """The values as float32."""
    return torch.tensor(values, dtype=torch.float32)


class TorchNetwork:
    """An integer network in float32, layer after layer, all time steps at once."""

    def __init__(self, network: Network, channels_last: bool) -> None:
        self.network = network
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        synapses = [edge.synapse for edge in network.edges if edge.synapse is not None]
        self.weights = [self._ready(as_floats(synapse.weight)) for synapse in synapses]
        targets = [node for node in network.nodes if isinstance(node, LIF | Readout)]
        self.biases = [as_floats(node.bias) for node in targets]

    def _ready(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous(memory_format=self.format) if tensor.ndim == 4 else tensor

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of frames (batch, ...), or time first (steps * batch, ...)."""
        steps = self.network.timesteps
        batch = len(frames) if self.network.input.coding == "direct" else len(frames) // steps
        events = self._ready(frames)
        targets = self.network.nodes[1:]
        for edge, node, weight, bias in zip(
            self.network.edges, targets, self.weights, self.biases, strict=True
        ):
            drive = self._drive(edge, events, weight, bias)
            drives = [drive] * steps if len(drive) == batch else list(drive.split(batch))
            if isinstance(node, LIF):
                events = self._ready(torch.cat(self._spikes(node, drives)))
            else:
                v = torch.zeros_like(drives[0])
                for current in drives:
                    v = v + current
                return v
        raise AssertionError("a network ends in a readout")

    @staticmethod
    def _drive(
        edge: Edge, events: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        if edge.pool is not None:
            events = torch.nn.functional.avg_pool2d(
                events, edge.pool.kernel_size, divisor_override=1
            )
        if isinstance(edge.synapse, Conv2d):
            top, bottom, left, right = edge.synapse.padding
            if (top, left) != (bottom, right):
                events = pad(events, (left, right, top, bottom))
                top = left = 0
            stride, groups = edge.synapse.stride, edge.synapse.groups
            return conv2d(events, weight, bias, stride, (top, left), groups=groups)
        return linear(events.flatten(1), weight, bias)

    @staticmethod
    def _spikes(node: LIF, drives: list[torch.Tensor]) -> list[torch.Tensor]:
        threshold, part = float(node.threshold[0]), node.leak_mul / 2**node.leak_shift
        v = torch.zeros_like(drives[0])
        spikes = []
        for current in drives:
            v = v.sub_(torch.floor(v * part)).add_(current)
            fired = (v >= threshold).float()
            spikes.append(fired)
            v = v.sub_(fired, alpha=threshold).clamp_(node.lowest, node.highest)
        return spikes
