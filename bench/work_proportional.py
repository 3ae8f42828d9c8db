"""Measures how cycles follow the work: against synaptic operations and against density.

Command (needs MNIST in the folder that SPIKEWRIGHT_DATA names):

    python bench/work_proportional.py [--epochs 1] [--images 10] [--json] [--out build/bench-work]

Trains the mnist-conv recipe for a few epochs at each density (so that firing rates are realistic),
builds every network with the same lanes, simulates its Verilog on test images back to back, checks
every value against golden, and prints a table. The last row is an inference without
input events.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.models import engine
from spikewright.golden.network.graph import Network
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.model import data
from spikewright.model.recipes import recipe
from spikewright.model.training.train import train
from spikewright.sim.measurement.profile import Profile
from spikewright.sim.verify import verify

DENSITIES = (1.0, 0.5, 0.25, 0.1)
LANES = {"conv1": 8, "conv2": 8, "readout": 1}


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description="Cycles against synops and density.")
    parser.add_argument("--epochs", type=int, default=1, help="of training at each density")
    parser.add_argument("--images", type=int, default=10, help="test images through the RTL")
    parser.add_argument("--out", type=Path, default=Path("build/bench-work"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    dataset = data.load("mnist")
    images = dataset.test_x[: options.images]
    rows, blank = [], {}
    for density in DENSITIES:
        changes = {"pruning.density": density, "training.epochs": options.epochs}
        network = train(
            recipe.load("mnist-conv", changes), options.out / f"train-{density}"
        ).network
        accuracy = float(
            (engine.logits(network, dataset.test_x).argmax(1) == dataset.test_y).mean()
        )
        rows.append(measure(network, options.out / f"build-{density}", images, accuracy))
        blank = measure(network, options.out / f"build-{density}", 0 * images, float("nan"))
    rows.append(blank | {"density": "no events"})
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, "machine": machine(), "rows": rows}) + "\n")
    else:
        sys.stdout.write(table(rows, options) + "\n")


def measure(
    network: Network, folder: Path, images: NDArray[Any], accuracy: float
) -> dict[str, Any]:
    """Build, simulate, compare, count."""
    lanes = {node.name: LANES[node.name] for node in network.nodes[1:]}
    build(network, folder, BuildOptions(lanes))
    verification = verify(folder, images)
    verification.require_equal()
    profile = verification.profile
    count = len(images)
    return {
        "density": round(network.density, 3),
        "accuracy": accuracy,
        "synops_per_inference": profile.synops / count,
        "events_per_inference": sum(layer.counters.events_in for layer in profile.layers) / count,
        "cycles_per_inference": profile.cycles_per_inference,
        "latency_cycles": profile.latency_cycles,
        "busy_cycles": {layer.node: layer.counters.busy / count for layer in profile.layers},
        "sweep_cycles": {layer.node: layer.counters.sweep / count for layer in profile.layers},
        "slowest": slowest(profile),
        "bound_cycles": bound(profile),
        "mismatches": verification.mismatches,
    }


def slowest(profile: Profile) -> str:
    """The core with the most cycles of work."""
    return max(profile.layers, key=lambda layer: layer.counters.busy + layer.counters.sweep).node


def bound(profile: Profile) -> float:
    """Cycles per inference that no core can beat: max(events, synops / lanes) + words swept."""
    bounds = [
        max(layer.counters.events_in, layer.counters.synops / layer.lanes) / profile.images
        + layer.words * profile.timesteps
        for layer in profile.layers
    ]
    return max(bounds)


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """The rows in Markdown."""
    setting = (
        f"mnist-conv, {options.epochs} epochs at each density, seed 0, "
        f"lanes {'-'.join(map(str, LANES.values()))}, {options.images} test images, {machine()}"
    )
    names = ("density", "accuracy", "events", "synops", "cycles", "bound", "cycles / bound")
    head = f"| {' | '.join(names)} | slowest |"
    lines = [setting, "", head, "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cycles, least = row["cycles_per_inference"], row["bound_cycles"]
        accuracy = "" if np.isnan(row["accuracy"]) else f"{100 * row['accuracy']:.2f} %"
        lines.append(
            f"| {row['density']} | {accuracy} | {row['events_per_inference']:,.0f} "
            f"| {row['synops_per_inference']:,.0f} | {cycles:,.0f} | {least:,.0f} "
            f"| {cycles / least:.2f} | {row['slowest']} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """What the figures were taken on; cycles do not depend on it."""
    return f"Python {platform.python_version()} on {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
