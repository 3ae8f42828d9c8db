"""The parts of which every command's result is made, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spikewright.equality_chain import Link
from spikewright.layout import BuildFolder, read_json

if TYPE_CHECKING:
    from spikewright.golden.network.graph import Network
    from spikewright.sim.verify import Verification


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
    from spikewright.golden.image.image_file import load_image

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


def verified(network: Network, found: Verification, links: Sequence[Link]) -> dict[str, Any]:
    """What a simulation and the links above it found: comparisons, measurements, energy."""
    from spikewright.golden.network import file
    from spikewright.sim.measurement.energy import op_count_energy

    cycles = found.cycles_checked
    wrong = found.mismatches + cycles.differences + sum(link.mismatches for link in links[:-1])
    first = found.first or next((link.first for link in links if link.first), cycles.first)
    return {
        **describe(network),
        "fingerprint": file.fingerprint(network),
        "stalls_percent": list(found.stalls),
        "images": found.images,
        "compared_spikes": found.compared_spikes,
        "compared_membranes": found.compared_membranes,
        "compared_logits": found.compared_logits,
        "compared_cycles": cycles.compared,
        "cycle_differences": cycles.differences,
        "mismatches": wrong,
        "first_mismatch": str(first) if first else None,
        "links": [link.as_dict() for link in links],
        **hardware(found.profile),
        "spike_rate": found.operations.spike_rate,
        "zeta": found.operations.zeta,
        "layers": rates(found.operations),
        "profile": found.profile.as_dict() if 0 in found.stalls else None,
        "energy": op_count_energy(network, found.operations).as_dict(),
    }
