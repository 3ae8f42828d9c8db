"""How fast is the cycle model? Against the simulation of the hardware that it replaces.

    python bench/cycle_model.py [--json] [--seed N] [--repeats N] [--verilator]

Each case is simulated (in Amaranth's simulator; with --verilator its Verilog too, compiled) and
predicted in the same run. Every counter of every core and the cycle of the last logit must be
equal, or nothing is printed. Times are CPU seconds of one thread, the model's the best of the
repeats with compiled code warm; the tables made from the memory image are part of its time.
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

from golden import engine
from golden.counters import COUNTERS
from golden.cycles import Prediction, predict
from golden.edges import Conv2d, Edge, Linear, SumPool2d
from golden.errors import CheckFailed
from golden.image import Image
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from golden.trace import Trace
from hw.build import build
from hw.compiler import compile_network
from sim import pysim
from sim.verify import verify

_VERIFY_START = 7
_CLEARED = ("sweep", "idle")


@dataclass(frozen=True)
class Row:
    """One line of the table; `images` were simulated, `predicted_images` predicted."""

    case: str
    simulator: str
    lanes: int
    images: int
    cycles: int
    compared_values: int
    differences: int
    simulated_cycles_per_second: float
    predicted_images: int
    predicted_cycles: int
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


def _all(count: int, value: int) -> NDArray[np.int64]:
    return np.full(count, value)


def stimulus(network: Network, images: int, rate: float, seed: int) -> NDArray[np.int64]:
    """Random inputs of which `rate` are not zero."""
    rng, node = np.random.default_rng(seed), network.input
    frame = node.shape if node.coding == "direct" else (network.timesteps, *node.shape)
    values = rng.integers(1, node.highest, (images, *frame), endpoint=True)
    return network.check_inputs(values * (rng.random((images, *frame)) < rate))


def differences(prediction: Prediction, counters: list[list[int]], last_logit: int) -> int:
    """How many counters differ, and whether the last logit's cycle does."""
    found = [[getattr(core, name) for name in COUNTERS] for core in prediction.cores]
    return int((np.array(found) != np.array(counters)).sum()) + (prediction.cycles != last_logit)


def by_amaranth(image: Image, inputs: NDArray[np.int64], trace: Trace) -> tuple[float, int, int]:
    """CPU seconds of the simulation, cycles, and differences from the model."""
    begin = time.process_time()
    run = pysim.simulate(image, inputs, deadline=10**7)
    spent = time.process_time() - begin
    counters = []
    for place, core in enumerate(run.counters):
        row = core.as_dict()
        row["idle"] -= 11 + 16 * place  # counters are read one after the other, idle going on
        counters.append(list(row.values()))
    return spent, run.cycles, differences(predict(image, inputs, trace), counters, run.cycles)


def by_verilator(
    network: Network, lanes: int, inputs: NDArray[np.int64], trace: Trace
) -> tuple[float, int, int]:
    """Wall seconds of a second verification (the simulator is built by the first), and as above.

    Its bench waits until the accelerator is ready, so the source starts `_VERIFY_START` cycles
    after reset, and clears the counters on the way: idle and sweep are not comparable, the run's
    cycles are.
    """
    with tempfile.TemporaryDirectory() as name:
        image = build(network, Path(name), lanes)
        verify(Path(name), inputs[:1])
        begin = time.perf_counter()
        verification = verify(Path(name), inputs)
        spent = time.perf_counter() - begin
    verification.require_equal()
    prediction = predict(image, inputs, trace, start=_VERIFY_START)
    wrong = sum(
        getattr(core, counter) != getattr(layer.counters, counter)
        for core, layer in zip(prediction.cores, verification.profile.layers, strict=True)
        for counter in COUNTERS
        if counter not in _CLEARED
    )
    wrong += prediction.latency_cycles != verification.latency_cycles
    wrong += prediction.cycles_per_inference != verification.cycles_per_inference
    return spent, verification.cycles, wrong


def measure(case: str, network: Network, lanes: int, rate: float, options: argparse.Namespace,
            simulator: str) -> Row:  # fmt: skip
    """Simulate a few images, predict them, compare; then predict many."""
    image = compile_network(network, lanes)
    few = stimulus(network, 3 if simulator == "amaranth" else 20, rate, options.seed)
    trace = engine.run(network, few)
    if simulator == "amaranth":
        spent, cycles, wrong = by_amaranth(image, few, trace)
    else:
        spent, cycles, wrong = by_verilator(network, lanes, few, trace)
    if wrong:
        raise CheckFailed(f"{case}: {wrong} values of the model differ from the {simulator} run")
    many = stimulus(network, 200, rate, options.seed)
    trace = engine.run(network, many)
    best, prediction = float("inf"), predict(image, many, trace)
    for _ in range(options.repeats):
        begin = time.process_time()
        prediction = predict(image, many, trace)
        best = min(best, time.process_time() - begin)
    total = sum(core.lanes for core in image.cores)
    counters = len(COUNTERS) - (0 if simulator == "amaranth" else len(_CLEARED))
    compared = len(image.cores) * counters + (1 if simulator == "amaranth" else 2)
    speed = prediction.cycles / best
    return Row(
        case, simulator, total, len(few), cycles, compared, wrong,
        cycles / spent, len(many), prediction.cycles, speed, speed * total,
        speed / (cycles / spent),
    )  # fmt: skip


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    names = ("case", "lanes", "cycles simulated", "by", "differences", "cycles/s simulated",
             "cycles/s predicted", "lane-cycles/s predicted", "ratio")  # fmt: skip
    lines = [
        f"Python {platform.python_version()} on {platform.machine()}, one thread",
        "",
        f"| {' | '.join(names)} |",
        "|---" * len(names) + "|",
    ]
    for row in rows:
        lines.append(
            f"| {row.case} | {row.lanes} | {row.cycles:,} | {row.simulator} "
            f"| {row.differences} of {row.compared_values} "
            f"| {row.simulated_cycles_per_second:,.0f} | {row.predicted_cycles_per_second:,.0f} "
            f"| {row.predicted_lane_cycles_per_second / 1e6:,.0f} M | {row.ratio:,.0f} |"
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
        ("784-128-10, density 0.1", fully_connected(rng, 0.1), 4, 0.05),
        ("784-128-10, dense", fully_connected(rng, 1.0), 8, 0.05),
        ("8C3-P2-16C3-P2-10, density 0.25", convolutional(rng, 0.25), 4, 0.2),
        ("8C3-P2-16C3-P2-10, dense", convolutional(rng, 1.0), 8, 0.2),
    ]
    simulators = ("amaranth", "verilator") if options.verilator else ("amaranth",)
    rows = [measure(*case, options, simulator) for simulator in simulators for case in cases]
    if options.json:
        document = {"schema": 1, "rows": [asdict(row) for row in rows]}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    sys.exit(main())
