"""Measures time and memory to compile a network of the papers' size to a memory image and Verilog.

Command:

    python bench/compile_vgg9.py [--pool sum|max] [--out build/vgg9] [--simulate] [--json]

A VGG-9 shape: 3 x 3 convolutions to 64-64-128-128-256-256-256 maps, pooled by 2 x 2 after the
second, fourth and seventh, and a linear readout of 10; direct 8-bit input of 3 x 32 x 32, 2 steps,
random 4-bit weights, 5 % of them kept. The interpreted image is checked against golden.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from spikewright.golden.image import interpreter
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, MaxPool2d, Operation, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout, Shape
from spikewright.golden.network.trace import compare
from spikewright.hw.build import build
from spikewright.sim.verify import verify

CHANNELS = (64, 64, 128, 128, 256, 256, 256)
POOLED = (2, 4, 7)
BITS = 4


def vgg9(pool: str = "sum", density: float = 0.05, seed: int = 0) -> Network:
    """The network, with random weights; thresholds let about a tenth of the neurons fire."""
    rng = np.random.default_rng(seed)
    window = SumPool2d((2, 2)) if pool == "sum" else MaxPool2d((2, 2))

    def weights(*shape: int) -> np.ndarray:
        values = rng.integers(1, 8, shape) * rng.choice((-1, 1), shape)
        return (values * (rng.random(shape) < density)).astype(np.int8)

    nodes: list[Node] = [Input("input", (3, 32, 32), "direct", 8)]
    edges: list[Edge] = []
    shape: Shape = nodes[0].shape
    before: tuple[Operation, ...] = ()
    for number, channels in enumerate(CHANNELS, 1):
        for operation in before:
            shape = operation.output_shape(shape)
        conv = Conv2d(weights(channels, shape[0], 3, 3), BITS, (1, 1))
        edges.append(Edge(nodes[-1].name, f"conv{number}", (*before, conv)))
        shape = conv.output_shape(shape)
        threshold = np.full(channels, 500 if number == 1 else 20)
        bias = np.zeros(channels, int)
        nodes.append(LIF(f"conv{number}", shape, threshold, bias, 1, 3, "subtract", 12))
        before = (window,) if number in POOLED else ()
    for operation in before:
        shape = operation.output_shape(shape)
    linear = Linear(weights(10, int(np.prod(shape))), BITS)
    edges.append(Edge(nodes[-1].name, "readout", (*before, linear)))
    nodes.append(Readout("readout", (10,), np.zeros(10, int)))
    return Network(2, tuple(nodes), tuple(edges), {"name": f"VGG-9, {pool} pool"})


def main() -> None:
    """Build, measure, execute."""
    parser = argparse.ArgumentParser(description="Compile a VGG-9 shape.")
    parser.add_argument("--pool", choices=("sum", "max"), default="sum")
    parser.add_argument("--out", type=Path, default=Path("build/vgg9"))
    parser.add_argument("--simulate", action="store_true", help="one inference of its Verilog, too")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    row = measure(vgg9(options.pool), options.out, options.simulate)
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, **row}) + "\n")
        return
    sys.stdout.write("".join(f"{name:28} {value}\n" for name, value in row.items()))


def measure(network: Network, folder: Path, simulate: bool) -> dict[str, Any]:
    """Build, then compare one inference of the image, and of its Verilog, with the reference."""
    begin = time.perf_counter()
    image = build(network, folder)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    inputs = np.random.default_rng(1).integers(0, 256, (1, 3, 32, 32))
    expected = reference.run(network, inputs)
    comparison = compare(expected, interpreter.run(image, inputs))
    kept = sum(int(np.count_nonzero(synapse.weight)) for synapse in network.weights)
    spent = sum(core.memory_bits["weights"] + core.memory_bits["pointers"] for core in image.cores)
    row: dict[str, Any] = {
        "network": network.meta["name"],
        "build_seconds": round(seconds, 1),
        "build_peak_mib": round(peak),
        "kept_weights": kept,
        "bits_per_kept_weight": round(spent / kept, 2),
        "spike_rate": round(
            float(np.concatenate([s.reshape(-1) for s in expected.spikes.values()]).mean()), 3
        ),
        "image_values_compared": comparison.spikes + comparison.membranes + comparison.logits,
        "image_mismatches": comparison.mismatches,
    }
    if simulate:
        verdict = verify(folder, inputs)
        row |= {"rtl_values_compared": verdict.verilog.values,
                "rtl_mismatches": verdict.mismatches, "rtl_cycles": verdict.cycles}  # fmt: skip
    return row


if __name__ == "__main__":
    main()
