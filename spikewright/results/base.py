"""The parts of which results are made: JSON of a result, facts of its network, work of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.golden.network.operations import OperationCounts

NOT_IN_JSON = {"json": False}


@dataclass(frozen=True)
class Result:
    """A value that JSON can hold: `as_dict` has a key for each field."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        shown = [each for each in fields(self) if each.metadata.get("json", True)]
        return {each.name: _plain(getattr(self, each.name)) for each in shown}


def _plain(value: Any) -> Any:
    if hasattr(value, "as_dict"):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return value


@dataclass(frozen=True)
class NetworkResult(Result):
    """What every result says about its network.

    Attributes
    ----------
    weight_bits
        Of the widest weights.
    density
        Weights that are kept / all weights, 0..1.
    fingerprint
        SHA-256 of the network, 64 hexadecimal digits.
    """

    name: str
    timesteps: int
    weight_bits: int
    density: float
    fingerprint: str


def facts(network: Network) -> dict[str, Any]:
    """The fields of `NetworkResult`."""
    return {
        "name": network.meta.get("name", "network"),
        "timesteps": network.timesteps,
        "weight_bits": network.weight_bits,
        "density": network.density,
        "fingerprint": file.fingerprint(network),
    }


@dataclass(frozen=True)
class LayerWork(Result):
    """What a node received, what that cost, and what it sent.

    Attributes
    ----------
    events_in, synops
        Events and synaptic operations per inference, of all its edges.
    spike_rate, zeta
        Spikes per neuron and step; spikes per neuron over all steps.
    """

    node: str
    events_in: float
    synops: float
    spike_rate: float
    zeta: float


def layer_work(counts: OperationCounts) -> tuple[LayerWork, ...]:
    """The work of every node, in the network's order."""
    images = max(counts.images, 1)
    rows = []
    for node in counts.nodes:
        edges = [edge for edge in counts.edges if edge.target == node.name]
        events, synops = sum(e.events for e in edges), sum(e.synops for e in edges)
        work = LayerWork(node.name, events / images, synops / images, node.spike_rate, node.zeta)
        rows.append(work)
    return tuple(rows)


def own_fields(kind: type[Result], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are fields; JSON also has a schema."""
    return {each.name: values[each.name] for each in fields(kind)}
