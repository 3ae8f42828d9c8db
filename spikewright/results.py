"""The parts of which every command's result is made, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikewright.chain import Link
from spikewright.layout import BuildFolder, read_json

if TYPE_CHECKING:
    from golden.network import Network


def describe(network: Network) -> dict[str, Any]:
    """What every result says about its network."""
    return {
        "name": network.meta.get("name", "network"),
        "timesteps": network.timesteps,
        "weight_bits": network.weight_bits,
        "density": network.density,
    }


def compared(link: Link) -> dict[str, int]:
    """How many values of each kind a link compared."""
    return {
        "compared_spikes": link.spikes,
        "compared_membranes": link.membranes,
        "compared_logits": link.logits,
    }


def rates(counts: Any) -> list[dict[str, Any]]:
    """Per layer: what came in, what it cost and what went out, per inference."""
    images = max(counts.images, 1)
    return [
        {
            "node": node.name,
            "events_in": edge.events / images,
            "synops": edge.synops / images,
            "spike_rate": node.spike_rate,
            "zeta": node.zeta,
        }
        for edge, node in zip(counts.edges, counts.nodes, strict=True)
    ]


def image_figures(folder: BuildFolder) -> dict[str, Any]:
    """Lanes and memory of each core of a build, from its image, and the plan behind them."""
    from golden.image import load_image

    cores = load_image(folder.path).cores
    return {
        "lanes": {core.node: core.lanes for core in cores},
        "memory_bits": {core.node: core.memory_bits for core in cores},
        "plan": read_json(folder.manifest)["plan"],
    }


def hardware(profile: Any) -> dict[str, Any]:
    """Cycles, utilization and operations of a measured profile."""
    return {
        "cycles_per_inference": profile.cycles_per_inference,
        "latency_cycles": profile.latency_cycles,
        "utilization": profile.utilization,
        "synops": profile.synops / profile.images,
    }
