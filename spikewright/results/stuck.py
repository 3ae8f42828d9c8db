"""Layers that tell nothing about their input: silent on all images, or firing all the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikewright.golden.network.graph import Network
from spikewright.golden.network.operations import OperationCounts
from spikewright.results.base import Result

ALWAYS = 0.99
"""From so many spikes per neuron and step on, a layer counts as firing always."""


@dataclass(frozen=True)
class StuckLayer(Result):
    """A spiking node that is "silent", or fires "always"; `spike_rate` is per neuron and step."""

    node: str
    state: str
    spike_rate: float


def stuck_layers(rates: Mapping[str, float]) -> tuple[StuckLayer, ...]:
    """Those among spiking nodes with these rates, in their order."""
    states = {node: "silent" for node, rate in rates.items() if rate == 0}
    states |= {node: "always" for node, rate in rates.items() if rate >= ALWAYS}
    return tuple(StuckLayer(node, states[node], rates[node]) for node in rates if node in states)


def rates_of(counts: OperationCounts) -> dict[str, float]:
    """The rates of the spiking nodes in a run; none without images."""
    spiking = counts.images and [node for node in counts.nodes if node.spiking]
    return {node.name: node.spike_rate for node in spiking or ()}


def trained_rates(network: Network) -> dict[str, float]:
    """The rates of the spiking nodes on the images on which training counted their spikes.

    Of a network that does not say how many images they were, only silent nodes.
    """
    from spikewright.hw.compiler.workload import INFERENCES

    images = network.meta.get(INFERENCES, "")
    steps = int(images) * network.timesteps if images.isdecimal() else 0
    counts = {node.name: network.activity.get(node.name) for node in network.hidden}
    return {
        name: float(spikes.sum() / (spikes.size * max(steps, 1)))
        for name, spikes in counts.items()
        if spikes is not None and (steps or not spikes.any())
    }
