"""Results about the network itself: training, and the golden models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikewright.golden.equality_chain import Equality, Link
from spikewright.golden.network.graph import Network
from spikewright.results.base import NOT_IN_JSON, LayerWork, NetworkResult, facts
from spikewright.results.stuck import StuckLayer, stuck_layers

SUMMARY = {
    "test_accuracy": float, "test_images": int, "validation_accuracy": float, "chosen_epoch": int,
    "dead_channels": {str: int}, "spike_rate": {str: float},
}  # fmt: skip
"""The form of that part of `history.json` which a `TrainResult` shows: see `golden.records`."""


@dataclass(frozen=True)
class TrainResult(NetworkResult):
    """A trained network.

    Attributes
    ----------
    network, path
        The integer network, and its file.
    accuracy, accuracy_images
        On the test images, 0..1, and how many they are.
    validation_accuracy, chosen_epoch
        Of the epoch that was chosen, which is the best one on the validation images.
    dead_channels
        How many channels of each LIF can never fire, whatever enters.
    stuck_layers
        Layers that are silent, or fire always, on the test images.
    """

    recipe: str
    accuracy: float
    accuracy_images: int
    validation_accuracy: float
    chosen_epoch: int
    dead_channels: Mapping[str, int]
    stuck_layers: tuple[StuckLayer, ...]
    path: Path = field(metadata=NOT_IN_JSON)
    network: Network = field(metadata=NOT_IN_JSON, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the network is its file."""
        return {**super().as_dict(), "network": self.path}

    @classmethod
    def of(
        cls, recipe: str, network: Network, path: Path, summary: Mapping[str, Any]
    ) -> TrainResult:
        """From the summary that training leaves in `history.json`."""
        return cls(
            **facts(network), recipe=recipe, path=path, network=network,
            accuracy=summary["test_accuracy"], accuracy_images=summary["test_images"],
            validation_accuracy=summary["validation_accuracy"],
            chosen_epoch=summary["chosen_epoch"], dead_channels=summary["dead_channels"],
            stuck_layers=stuck_layers(summary["spike_rate"]),
        )  # fmt: skip


@dataclass(frozen=True)
class Evaluation(NetworkResult):
    """A network on the golden models.

    Attributes
    ----------
    accuracy, accuracy_images
        By the engine on all images, 0..1; None without labels.
    images, links
        Images on which reference and engine were compared, and what was.
    synops, spike_rate, zeta, layers
        Work of these images: see `LayerWork`.
    stuck_layers
        Layers that are silent, or fire always, on these images.
    cycles_per_inference, latency_cycles, utilization
        Predicted by the cycle model for a build folder; None for a network alone.
    """

    stimulus: str
    accuracy: float | None
    accuracy_images: int | None
    images: int
    compared_spikes: int
    compared_membranes: int
    compared_logits: int
    links: tuple[Link, ...]
    mismatches: int
    first_mismatch: str | None
    synops: float
    spike_rate: float
    zeta: float
    layers: tuple[LayerWork, ...]
    stuck_layers: tuple[StuckLayer, ...]
    cycles_per_inference: float | None = None
    latency_cycles: int | None = None
    utilization: float | None = None


def compared(equality: Equality, link: Link) -> dict[str, Any]:
    """The fields of a result about its chain; `compared_*` are of one `link` of it."""
    return {
        "compared_spikes": link.spikes,
        "compared_membranes": link.membranes,
        "compared_logits": link.logits,
        "links": equality.links,
    }
