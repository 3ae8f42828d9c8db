"""The measured profile: what each core spends its cycles on, from the hardware's own counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from spikewright.golden.image.counters import Counters
from spikewright.golden.image.memory_image import Image

if TYPE_CHECKING:  # so that a result can be read without the simulation's tools
    from spikewright.sim.accelerator_bench import Run


@dataclass(frozen=True)
class LayerProfile:
    """One core, over all images of the run.

    `utilization` is synops / (lanes x cycles of the run): the share of lane-cycles that add a
    weight. `memory_bits` is storage by purpose.
    """

    node: str
    kind: str
    shape: tuple[int, ...]
    lanes: int
    words: int
    counters: Counters
    utilization: float
    memory_bits: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with units in the keys."""
        named = asdict(self) | {"shape": list(self.shape)}
        return named | {"counters": self.counters.with_units()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LayerProfile:
        """What `as_dict` gave."""
        counters = Counters.from_units(values["node"], values["counters"])
        return cls(**{**values, "shape": tuple(values["shape"]), "counters": counters})


@dataclass(frozen=True)
class Profile:
    """A run at full speed, inferences sent back to back.

    Attributes
    ----------
    cycles
        From the first event of the first inference to the last logit of the last.
    latency_cycles
        Of the first inference, which meets an empty machine: first event to last logit.
    cycles_per_inference
        In the steady state: mean distance between last logits; for one image the latency.
    utilization
        Synops of all cores / (all lanes x cycles).
    synops
        Synaptic operations of all cores and images, as the hardware counted them.
    """

    images: int
    timesteps: int
    cycles: int
    latency_cycles: int
    cycles_per_inference: float
    utilization: float
    synops: int
    layers: tuple[LayerProfile, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with schema and units in the keys."""
        values = {name: value for name, value in vars(self).items() if name != "layers"}
        return {"schema": 1, **values, "layers": [layer.as_dict() for layer in self.layers]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Profile:
        """What `as_dict` gave."""
        layers = tuple(map(LayerProfile.from_dict, values["layers"]))
        own = {name: value for name, value in values.items() if name != "schema"}
        return cls(**{**own, "layers": layers})


def profile_of(image: Image, run: Run) -> Profile:
    """The profile of a run without stalls."""
    capture = run.capture
    batch = len(capture.last_output)
    cycles = int(capture.last_output[-1] - capture.first_input[0]) + 1
    latency = int(capture.last_output[0] - capture.first_input[0]) + 1
    pace = (
        float(capture.last_output[-1] - capture.last_output[0]) / (batch - 1)
        if batch > 1
        else float(latency)
    )
    layers = tuple(
        LayerProfile(core.node, core.kind, core.shape, core.lanes, core.words, counts,
                     counts.synops / (core.lanes * cycles), core.memory_bits)
        for core, counts in zip(image.cores, run.counters, strict=True)
    )  # fmt: skip
    synops = sum(layer.counters.synops for layer in layers)
    lanes = sum(layer.lanes for layer in layers)
    return Profile(
        batch, image.timesteps, cycles, latency, pace, synops / (lanes * cycles), synops, layers
    )
