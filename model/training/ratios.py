"""How much smaller a network became: storage and operations against a dense float one.

    storage    = kept weights x their bits / (all weights x 32)
    operations = storage x (spikes / spikes of the reference)

Spikes are those per neuron in a whole inference, over all neurons. Both ratios are those of Deng et
al. (2020), as far as they could be reconstructed: operations count a b-bit addition as b / 32 of
one, and take pruning and fewer spikes as independent, which they are not. What hardware does is
counted elsewhere, event by event: the synaptic operations of a report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikewright.golden.network.graph import Network
from spikewright.model.architecture import Layer

FLOAT_BITS = 32


@dataclass(frozen=True)
class Ratios:
    """`storage` and `operations`, 1.0 for the reference; no `operations` without its spikes."""

    storage: float
    operations: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Plain values."""
        return {"storage_ratio": self.storage, "operations_ratio": self.operations}


def storage(network: Network) -> float:
    """Bits of the nonzero weights over 32 bits for every weight; addresses are not counted.

    Each synapse counts with its own width.
    """
    every = sum(synapse.weight.size for synapse in network.weights)
    bits = sum(int(np.count_nonzero(s.weight)) * s.weight_bits for s in network.weights)
    return bits / (FLOAT_BITS * every)


def spikes_per_neuron(rates: Mapping[str, float], layers: Sequence[Layer], timesteps: int) -> float:
    """Spikes of a neuron in one inference, mean over all hidden ones, from each layer's rate."""
    neurons = {layer.name: math.prod(layer.shape) for layer in layers if layer.name in rates}
    total = sum(rates[name] * count for name, count in neurons.items())
    return timesteps * total / max(1, sum(neurons.values()))


def ratios(network: Network, spikes: float, reference: float | None) -> Ratios:
    """Of a network with so many spikes per neuron, against a dense float one with `reference`."""
    stored = storage(network)
    return Ratios(stored, stored * spikes / reference if reference else None)
