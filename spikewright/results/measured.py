"""Results of a simulated build: what was compared, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from spikewright.golden.equality_chain import Link
from spikewright.golden.image.counters import Counters
from spikewright.results.base import LayerWork, NetworkResult, Result, own_fields
from spikewright.results.stuck import StuckLayer
from spikewright.sim.measurement.energy import Energy
from spikewright.sim.measurement.profile import LayerProfile, Profile


@dataclass(frozen=True)
class Verification(NetworkResult):
    """A proof of a build, or where it fails: `mismatches` is 0 if everything is equal.

    Attributes
    ----------
    images, stimulus, stimulus_sha256, build
        What was simulated: how many inputs of what, and hashes of inputs and build.
    simulator, stalls_percent, seed, waves
        How; waves are folders below the build folder.
    links
        The chain from the golden reference to the Verilog, and to its `top`, if that was simulated.
    compared_spikes, compared_membranes, compared_logits
        Values of the Verilog, at all stall rates.
    compared_cycles, cycle_differences
        Counters and cycles of logits, and how many differ from what the cycle model predicts.
    mismatches, first_mismatch
        What differs on any link, cycles included, and the first of it in words: link, image, step,
        layer, neuron, expected and actual value.
    corners, corner_images
        How often each corner of the contract that the network has was visited, and how many random
        inputs were added for that; None if that was not asked for.
    accuracy, accuracy_images
        Of the Verilog, 0..1; None without labels.
    cycles_per_inference, latency_cycles, utilization, profile
        Of the least stalled run; `profile` is None if that had stalls.
    synops, spike_rate, zeta, layers
        Work: see `LayerWork`.
    stuck_layers
        Layers that are silent, or fire always, on these inputs.
    energy
        Of the operations counted: see docs/energy.md.
    """

    stalls_percent: tuple[int, ...]
    images: int
    compared_spikes: int
    compared_membranes: int
    compared_logits: int
    compared_cycles: int
    cycle_differences: int
    mismatches: int
    first_mismatch: str | None
    links: tuple[Link, ...]
    corners: Mapping[str, int]
    corner_images: int | None
    cycles_per_inference: float
    latency_cycles: int
    utilization: float
    synops: float
    spike_rate: float
    zeta: float
    layers: tuple[LayerWork, ...]
    stuck_layers: tuple[StuckLayer, ...]
    profile: Profile | None
    energy: Energy
    build: str
    stimulus: str
    stimulus_sha256: str
    simulator: str
    seed: int
    waves: tuple[str, ...]
    accuracy: float | None
    accuracy_images: int | None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verification:
        """What `as_dict` gave, as it is read from `report/verification.json`."""
        profile = values["profile"]
        return cls(
            **own_fields(cls, values) | {
                "stalls_percent": tuple(values["stalls_percent"]),
                "links": tuple(map(Link.from_dict, values["links"])),
                "layers": tuple(LayerWork(**row) for row in values["layers"]),
                "stuck_layers": tuple(StuckLayer(**row) for row in values["stuck_layers"]),
                "profile": profile and Profile.from_dict(profile),
                "energy": Energy.from_dict(values["energy"]),
                "waves": tuple(values["waves"]),
            }
        )  # fmt: skip


@dataclass(frozen=True)
class ProfiledLayer(Result):
    """A core of a profiled build; `LayerWork` and `sim.measurement.profile.LayerProfile` in one.

    The core that counts the spikes of a spiking output is no node: its work is None.
    """

    node: str
    kind: str
    shape: tuple[int, ...]
    lanes: int
    words: int
    counters: Counters
    utilization: float
    memory_bits: Mapping[str, int]
    events_in: float | None
    synops: float | None
    spike_rate: float | None
    zeta: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, units in the keys."""
        return {**super().as_dict(), "counters": self.counters.with_units()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProfiledLayer:
        """What `as_dict` gave."""
        counters = Counters.from_units(values["node"], values["counters"])
        return cls(**{**values, "shape": tuple(values["shape"]), "counters": counters})


def profiled_layers(
    profile: Sequence[LayerProfile], work: Sequence[LayerWork]
) -> tuple[ProfiledLayer, ...]:
    """What was measured of every core, and what its node did."""
    by_node = {row.node: row.as_dict() for row in work}
    nothing: dict[str, Any] = dict.fromkeys(("events_in", "synops", "spike_rate", "zeta"))
    return tuple(
        ProfiledLayer(**{**nothing, **vars(layer), **by_node.get(layer.node, {})})
        for layer in profile
    )


@dataclass(frozen=True)
class ProfileResult(NetworkResult):
    """Measured cycles and energy of a verified build; attributes as in `Verification`.

    Attributes
    ----------
    cycles
        From the first event of the first inference to the last logit of the last.
    layers
        Every core, in the order of the network.
    """

    accuracy: float | None
    accuracy_images: int | None
    images: int
    stimulus: str
    simulator: str
    build: str
    cycles: int
    cycles_per_inference: float
    latency_cycles: int
    utilization: float
    synops: float
    spike_rate: float
    zeta: float
    energy: Energy
    layers: tuple[ProfiledLayer, ...]

    @classmethod
    def of(cls, verified: Verification, profile: Profile) -> ProfileResult:
        """What a verification without stalls measured."""
        shared = {each.name for each in fields(cls)} - {"cycles", "layers"}
        return cls(
            **{name: getattr(verified, name) for name in shared},
            cycles=profile.cycles, layers=profiled_layers(profile.layers, verified.layers),
        )  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProfileResult:
        """What `as_dict` gave, as it is read from `report/profile.json`."""
        layers = tuple(map(ProfiledLayer.from_dict, values["layers"]))
        energy = Energy.from_dict(values["energy"])
        return cls(**own_fields(cls, values) | {"energy": energy, "layers": layers})
