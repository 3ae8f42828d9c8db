"""Measures the speed of the cycle model against the simulation of the hardware that it predicts.

Command:

    python bench/cycle_model.py [--json] [--seed N] [--repeats N] [--verilator]

Each case is simulated in Amaranth's simulator (with --verilator its Verilog too, compiled) and
predicted in the same run, in some cases with random stalls on all streams. Every counter of every
core and the cycle of every logit must be equal before anything is printed. Times are CPU seconds of
one thread; the model's is the best of the repeats, with compiled code warm and the tables from the
memory image included.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.cycles.prediction import Source, predict
from spikewright.golden.cycles.stalls import Stalls
from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.counters import COUNTERS
from spikewright.golden.image.memory_image import Image
from spikewright.golden.models import engine
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import Trace
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim import pysim
from spikewright.sim.measurement.cycle_check import CycleCheck
from spikewright.sim.options import SimulationOptions
from spikewright.sim.verify import verify


@dataclass(frozen=True)
class Case:
    """What to measure: `rate` of events, `stall` in percent."""

    name: str
    network: Network
    lanes: int
    rate: float
    stall: int = 0


@dataclass(frozen=True)
class Row:
    """One line of the table; `images` were simulated, `predicted_images` predicted."""

    case: str
    simulator: str
    stall_percent: int
    lanes: int
    images: int
    cycles: int
    compared_values: int
    differences: int
    simulated_cycles_per_second: float
    predicted_images: int
    predicted_cycles: int
    predicted_milliseconds_per_image: float
    predicted_cycles_per_second: float
    predicted_lane_cycles_per_second: float
    ratio: float


def fully_connected(rng: np.random.Generator, density: float) -> Network:
    """784-128-10, T = 4, 1-bit events."""
    first = rng.integers(-7, 8, (128, 784)) * (rng.random((128, 784)) < density)
    hidden = LIF("hidden", (128,), _all(128, 12), _all(128, 0), 1, 3, "subtract", 12)
    second = rng.integers(-7, 8, (10, 128))
    return Network(
        4,
        (Input("input", (784,), "events", 1), hidden, Readout("readout", (10,), _all(10, 0))),
        (
            Edge("input", "hidden", (Linear(first, 4),)),
            Edge("hidden", "readout", (Linear(second, 4),)),
        ),
    )


def convolutional(rng: np.random.Generator, density: float) -> Network:
    """8C3-P2-16C3-P2-10 on 20 x 20 bytes, T = 2."""
    second = rng.integers(-7, 8, (16, 8, 3, 3)) * (rng.random((16, 8, 3, 3)) < density)
    return Network(
        2,
        (
            Input("input", (1, 20, 20), "direct", 8),
            LIF("conv1", (8, 20, 20), _all(8, 1500), _all(8, 0), 1, 3, "subtract", 16),
            LIF("conv2", (16, 10, 10), _all(16, 9), _all(16, 0), 1, 3, "subtract", 10),
            Readout("readout", (10,), _all(10, 0)),
        ),
        (
            Edge("input", "conv1", (Conv2d(rng.integers(-7, 8, (8, 1, 3, 3)), 4, (1, 1)),)),
            Edge("conv1", "conv2", (SumPool2d((2, 2)), Conv2d(second, 4, (1, 1)))),
            Edge(
                "conv2",
                "readout",
                (SumPool2d((2, 2)), Linear(rng.integers(-7, 8, (10, 400)), 4)),
            ),
        ),
    )


def residual(rng: np.random.Generator, density: float) -> Network:
    """Two 3 x 3 convolutions of 12 x 12 maps, a skip over the second, and a loop; T = 4."""
    first = rng.integers(-7, 8, (8, 2, 3, 3)) * (rng.random((8, 2, 3, 3)) < density)
    second = rng.integers(-7, 8, (8, 8, 3, 3)) * (rng.random((8, 8, 3, 3)) < density)
    maps = (8, 12, 12)
    return Network(
        4,
        (
            Input("input", (2, 12, 12), "events", 1),
            LIF("stem", maps, _all(8, 9), _all(8, 0), 1, 3, "subtract", 12),
            LIF("block", maps, _all(8, 9), _all(8, 0), 1, 3, "subtract", 12),
            LIF("joined", maps, _all(8, 6), _all(8, 0), 1, 3, "subtract", 12),
            Readout("readout", (10,), _all(10, 0)),
        ),
        (
            Edge("input", "stem", (Conv2d(first, 4, (1, 1)),)),
            Edge("stem", "block", (Conv2d(second, 4, (1, 1)),)),
            Edge("block", "joined", (Conv2d(second[::-1], 4, (1, 1)),)),
            Edge("stem", "joined", (Identity(_all(8, 4), 4),)),
            Edge("joined", "joined", (Identity(_all(8, -2), 4),), delay=1),
            Edge(
                "joined",
                "readout",
                (SumPool2d((2, 2)), Linear(rng.integers(-7, 8, (10, 288)), 4)),
            ),
        ),
    )


def _all(count: int, value: int) -> NDArray[np.int64]:
    return np.full(count, value)


def stimulus(network: Network, images: int, rate: float, seed: int) -> NDArray[np.int64]:
    """Random inputs of which `rate` are not zero."""
    rng, node = np.random.default_rng(seed), network.input
    frame = node.shape if node.coding == "direct" else (network.timesteps, *node.shape)
    values = rng.integers(1, node.highest, (images, *frame), endpoint=True)
    return network.check_inputs(values * (rng.random((images, *frame)) < rate))


def by_amaranth(
    image: Image, inputs: NDArray[np.int64], trace: Trace, stall: int
) -> tuple[float, int, CycleCheck]:
    """CPU seconds of the simulation, cycles, and what differs from the model."""
    begin = time.process_time()
    run = pysim.simulate(image, inputs, stall / 100, seed=1, deadline=10**7)
    spent = time.process_time() - begin
    prediction = predict(image, inputs, trace, Source(1, stalls=Stalls.from_percent(stall, 1)))
    wrong = int((prediction.logits != run.logits).sum())
    expected = prediction.counters([run.counted] * len(run.counters))
    pairs = zip(expected, run.counters, strict=True)
    wrong += sum(a.as_dict()[name] != b.as_dict()[name] for a, b in pairs for name in COUNTERS)
    return (
        spent,
        run.cycles,
        CycleCheck(run.logits.size + len(expected) * len(COUNTERS), wrong, None),
    )


def by_verilator(
    network: Network, lanes: int, inputs: NDArray[np.int64], stall: int
) -> tuple[float, int, CycleCheck]:
    """Wall seconds of a second verification (the simulator is built by the first), and as above."""
    with tempfile.TemporaryDirectory() as name:
        build(network, Path(name), BuildOptions(lanes))
        verify(Path(name), inputs[:1])
        begin = time.perf_counter()
        verification = verify(Path(name), inputs, SimulationOptions(stalls=(stall,)))
        spent = time.perf_counter() - begin
    return spent, verification.cycles, verification.cycles_checked


def measure(case: Case, options: argparse.Namespace, simulator: str) -> Row:
    """Simulate a few images, predict them, compare; then predict many."""
    image = compile_network(case.network, BuildOptions(case.lanes))
    few = stimulus(case.network, 3 if simulator == "amaranth" else 20, case.rate, options.seed)
    if simulator == "amaranth":
        trace = engine.run(case.network, few)
        spent, cycles, check = by_amaranth(image, few, trace, case.stall)
    else:
        spent, cycles, check = by_verilator(case.network, case.lanes, few, case.stall)
    if check.differences or not check.compared:
        raise CheckFailed(
            f"{case.name}: {check.differences} numbers differ from the {simulator} run"
        )
    many = stimulus(case.network, 200, case.rate, options.seed)
    trace, source = (
        engine.run(case.network, many),
        Source(1, stalls=Stalls.from_percent(case.stall, 1)),
    )
    best, prediction = float("inf"), predict(image, many, trace, source)
    for _ in range(options.repeats):
        begin = time.process_time()
        prediction = predict(image, many, trace, source)
        best = min(best, time.process_time() - begin)
    total, speed = sum(core.lanes for core in image.cores), prediction.cycles / best
    return Row(
        case.name, simulator, case.stall, total, len(few), cycles, check.compared,
        check.differences, cycles / spent, len(many), prediction.cycles, 1e3 * best / len(many),
        speed, speed * total, speed / (cycles / spent),
    )  # fmt: skip


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    names = ("case", "lanes", "held", "cycles simulated", "by", "differences",
             "cycles/s simulated", "cycles/s predicted", "lane-cycles/s predicted", "ms/image",
             "ratio")  # fmt: skip
    lines = [
        f"Python {platform.python_version()} on {platform.machine()}, one thread",
        "",
        f"| {' | '.join(names)} |",
        "|---" * len(names) + "|",
    ]
    for row in rows:
        lines.append(
            f"| {row.case} | {row.lanes} | {row.stall_percent} % | {row.cycles:,} "
            f"| {row.simulator} "
            f"| {row.differences} of {row.compared_values} "
            f"| {row.simulated_cycles_per_second:,.0f} | {row.predicted_cycles_per_second:,.0f} "
            f"| {row.predicted_lane_cycles_per_second / 1e6:,.0f} M "
            f"| {row.predicted_milliseconds_per_image:.2f} | {row.ratio:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description="The cycle model against simulation.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--verilator", action="store_true", help="also against compiled Verilog")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    cases = [
        Case("784-128-10, density 0.1", fully_connected(rng, 0.1), 4, 0.05),
        Case("784-128-10, dense", fully_connected(rng, 1.0), 8, 0.05),
        Case("8C3-P2-16C3-P2-10, density 0.25", convolutional(rng, 0.25), 4, 0.2),
        Case("8C3-P2-16C3-P2-10, dense", convolutional(rng, 1.0), 8, 0.2, stall=25),
        Case("residual with a loop, density 0.25", residual(rng, 0.25), 4, 0.1),
        Case("residual with a loop, density 0.25", residual(rng, 0.25), 4, 0.1, stall=25),
    ]
    simulators = ("amaranth", "verilator") if options.verilator else ("amaranth",)
    rows = [measure(case, options, simulator) for simulator in simulators for case in cases]
    if options.json:
        document = {"schema": 1, "rows": [asdict(row) for row in rows]}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main())
