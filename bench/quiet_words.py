"""Estimates what skipping quiet membrane words in the sweep could save.

Command (needs MNIST in the folder that SPIKEWRIGHT_DATA names):

    python bench/quiet_words.py [--images 8] [--json]

A word is quiet in a step if no event touched it in that step, and the sweep before neither fired
nor changed it: its value stays the same. All lanes are swept together, so an address is skipped
only if the words of all lanes are quiet. Quiet words are counted with golden, on the shipped
networks and on the cases of the hardware benchmarks; cycles come from the cycle model. The saving
is an upper bound: finding the next word is assumed to take no time, and the core to limit the
throughput.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hardware_cases import convolutional, fully_connected, one_convolution, residual
from numpy.typing import NDArray

from spikewright.golden.cycles.prediction import predict
from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.models import engine, reference
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear
from spikewright.golden.network.file import load
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF
from spikewright.golden.network.trace import Trace
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.model import data

Bits = NDArray[np.bool_]
NETWORKS = Path(__file__).parents[1] / "examples" / "networks"
DATA = {"digits": "digits", "mnist-conv": "mnist", "mnist-fc": "mnist"}


def main() -> None:
    """Count, then print."""
    parser = argparse.ArgumentParser(description="What skipping quiet words could save.")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    rows = [
        row
        for name, network, inputs, lanes in cases(options.images)
        for row in measure(name, network, inputs, lanes)
    ]
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, "rows": rows}) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")


def cases(images: int) -> Iterator[tuple[str, Network, NDArray[Any], int | dict[str, int]]]:
    """Name, network, inputs, lanes."""
    for name, source in DATA.items():
        network = load(NETWORKS / f"{name}.safetensors")
        yield name, network, data.load(source, train=False).test_x[:images], 8
    made = (fully_connected("magnitude", 8), convolutional("magnitude"), residual("magnitude", 4),
            one_convolution())  # fmt: skip
    for case in made:
        yield case.name, case.network, case.inputs[:images], dict(case.lanes)


def measure(
    name: str, network: Network, inputs: NDArray[Any], lanes: int | dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Every spiking core of a network."""
    inputs = network.check_inputs(inputs)
    trace, image = engine.run(network, inputs), compile_network(network, BuildOptions(lanes))
    prediction = predict(image, inputs, trace)
    slowest = max(prediction.cores, key=lambda core: core.busy + core.sweep)
    for core, counters in zip(image.cores, prediction.cores, strict=True):
        node = network.node(core.node) if core in image.traced else None
        if not isinstance(node, LIF):
            continue
        untouched, still = quiet(network, node, core, inputs, trace)
        share = float(still.mean())
        saved = share * core.words * network.timesteps
        yield {
            "case": name,
            "core": core.node,
            "slowest": counters is slowest,
            "words": core.words,
            "lanes": core.lanes,
            "untouched_share": float(untouched.mean()),
            "quiet_share": share,
            "cycles_saved": saved,
            "share_of_core": saved * len(inputs) / (counters.busy + counters.sweep),
            "share_of_inference": saved / prediction.cycles_per_inference,
        }


def quiet(
    network: Network, node: LIF, core: CoreImage, inputs: NDArray[Any], trace: Trace
) -> tuple[Bits, Bits]:
    """(batch, timesteps, words): untouched by events in all lanes; quiet in all lanes."""
    batch, steps = len(inputs), network.timesteps
    direct = network.input.coding == "direct"
    touched = np.zeros((batch, steps, *node.shape), bool)
    for edge in network.into(node.name):
        marks = _marks(edge)
        for step in range(edge.delay, steps):
            if edge.source == network.input.name:
                sent = inputs if direct else inputs[:, step]
            else:
                sent = trace.spikes[edge.source][:, step - edge.delay]
            touched[:, step] |= reference.summed(marks, (sent != 0).astype(np.int64)) != 0
    after = np.moveaxis(np.asarray(trace.membranes[node.name]), 1, 0)
    held = np.concatenate([np.zeros_like(after[:1]), after[:-1]])
    still = held - ((held * node.leak_mul) >> node.leak_shift) == held
    bias = node.bias.reshape(-1, *[1] * (len(node.shape) - 1)) == 0
    alone = np.moveaxis(still, 0, 1) & bias & ~touched
    alone[:, 1:] &= trace.spikes[node.name][:, :-1] == 0
    return _all_lanes(core, ~touched), _all_lanes(core, alone)


def _all_lanes(core: CoreImage, bits: Bits) -> Bits:
    """Of every address, whether it holds in the words of all lanes."""
    neurons = core.neurons
    flat = bits.reshape(*bits.shape[:2], -1)
    return np.asarray((flat[..., np.maximum(neurons, 0)] | (neurons < 0)).all(axis=2))


def _marks(edge: Edge) -> Edge:
    """The edge with ones for its weights: it counts the events that touch a neuron."""

    def plain(part: Any) -> Any:
        if isinstance(part, Linear | Conv2d):
            return replace(part, weight=(part.weight != 0).astype(np.int8), weight_bits=2)
        if isinstance(part, Identity):
            return replace(part, gain=(part.gain != 0).astype(np.int64), weight_bits=2)
        return part

    return replace(edge, operations=tuple(map(plain, edge.operations)))


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    names = ("case", "core", "words a lane", "lanes", "untouched", "quiet", "cycles saved at most",
             "of the core's", "of an inference's")  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [
        f"| {row['case']} | {row['core']}{' (slowest)' * row['slowest']} | {row['words']} "
        f"| {row['lanes']} | {100 * row['untouched_share']:.1f} % "
        f"| {100 * row['quiet_share']:.1f} % | {row['cycles_saved']:,.0f} "
        f"| {100 * row['share_of_core']:.1f} % "
        f"| {100 * row['share_of_inference'] * row['slowest']:.1f} % |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
