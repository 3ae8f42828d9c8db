"""The result of a build: what was planned, and what was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikewright.golden.image.memory_image import Image
from spikewright.results.base import NOT_IN_JSON, NetworkResult, Result
from spikewright.results.stuck import StuckLayer


@dataclass(frozen=True)
class Share(Result):
    """What is taken of a resource, and how much of it the device has."""

    taken: int
    of: int


@dataclass(frozen=True)
class PlannedCore(Result):
    """A core of a plan: its lanes, its cycles per inference by cause, and what it takes."""

    node: str
    lanes: int
    channels_per_word: int
    cycles_per_inference: float
    event_cycles: float
    entry_cycles: float
    sweep_cycles: float
    output_cycles: float
    bound: str
    busy_share: float
    block_rams: int
    luts: int
    dsps: int
    reason: str


@dataclass(frozen=True)
class Plan(Result):
    """What a build was planned to do and to take: see docs/plan.md."""

    target: str
    interval_cycles: float
    block_rams: Share
    luts: Share
    dsps: Share
    cores: tuple[PlannedCore, ...]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """What `as_dict` gave."""
        return cls(
            values["target"], values["interval_cycles"],
            Share(**values["block_rams"]), Share(**values["luts"]), Share(**values["dsps"]),
            tuple(PlannedCore(**core) for core in values["cores"]),
        )  # fmt: skip


@dataclass(frozen=True)
class BuildResult(NetworkResult):
    """A build folder.

    Attributes
    ----------
    folder, image
        Where it is, and the memory image that its hardware executes.
    images, stimulus
        How many inputs it keeps for `verify` and `profile`, and where they are from.
    lanes, memory_bits
        By node; bits also by purpose.
    stuck_layers
        Layers that were silent, or fired always, on the images on which training counted spikes.
    """

    images: int
    stimulus: str
    lanes: Mapping[str, int]
    memory_bits: Mapping[str, Mapping[str, int]]
    plan: Plan
    stuck_layers: tuple[StuckLayer, ...]
    folder: Path = field(metadata=NOT_IN_JSON)
    image: Image = field(metadata=NOT_IN_JSON, repr=False, compare=False)
