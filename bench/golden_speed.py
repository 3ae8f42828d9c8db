"""Measures the speed of the golden engine: images per second on one core, against float32 torch.

Command:

    python bench/golden_speed.py [--json] [--seed N] [--repeats N]

Both programs run the same integer network on the same integers, and all their logits must be equal
before a number is printed. The torch program is well optimised: one thread, no gradients, layer
after layer, so that all time steps of a batch pass each synapse as one matrix product or
convolution, and a direct frame only once. Its best batch size and memory format count; the engine
is measured at one batch size.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch_network import TorchNetwork, as_floats

from spikewright.golden.models import engine
from spikewright.golden.network.edges import Conv2d, Edge, Linear, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.operations import count

IMAGES = 256
TORCH_BATCHES = (16, 64, 256)
EXACT = 2**24  # float32 holds every integer up to here


@dataclass(frozen=True)
class Row:
    """One line of the table; speeds are the best of the repeats."""

    case: str
    images: int
    timesteps: int
    density: float
    input_rate: float
    spike_rates: dict[str, float]
    synops_per_image: float
    engine_images_per_second: float
    torch_images_per_second: float
    torch_program: str
    ratio: float


def fully_connected(seed: int, density: float) -> Network:
    """784-512-10, T = 8, 4 bit, leak 1/8, 1-bit events; about 15 % hidden spikes."""
    rng = np.random.default_rng(seed)
    hidden = LIF("hidden", (512,), _all(512, 60 * density**0.5), _all(512, 0), 1, 3, "subtract", 16)
    return Network(
        8,
        (Input("input", (784,), "events", 1), hidden, Readout("readout", (10,), _all(10, 0))),
        (
            Edge("input", "hidden", (Linear(_weights(rng, (512, 784), density), 4),)),
            Edge("hidden", "readout", (Linear(_weights(rng, (10, 512), density), 4),)),
        ),
    )


def convolutional(seed: int, density: float) -> Network:
    """16C3-P2-32C3-P2-10 on 28 x 28 bytes, T = 2, 4 bit: about 15 % and 10 % spikes."""
    rng = np.random.default_rng(seed)
    first = _weights(rng, (16, 1, 3, 3), 1.0)
    second = _weights(rng, (32, 16, 3, 3), density)
    third = _weights(rng, (10, 32 * 7 * 7), density)
    return Network(
        2,
        (
            Input("input", (1, 28, 28), "direct", 8),
            LIF(
                "conv1",
                (16, 28, 28),
                _all(16, 200),
                np.repeat([120, 0], [2, 14]),
                1,
                2,
                "subtract",
                16,
            ),
            LIF(
                "conv2",
                (32, 14, 14),
                _all(32, 64 * density**0.4),
                _all(32, 0),
                1,
                2,
                "subtract",
                16,
            ),
            Readout("readout", (10,), _all(10, 0)),
        ),
        (
            Edge("input", "conv1", (Conv2d(first, 4, (1, 1)),)),
            Edge("conv1", "conv2", (SumPool2d((2, 2)), Conv2d(second, 4, (1, 1)))),
            Edge("conv2", "readout", (SumPool2d((2, 2)), Linear(third, 4))),
        ),
    )


def _weights(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> NDArray[np.int8]:
    """4-bit weights of both signs; zeros only by pruning."""
    sizes = rng.integers(1, 8, shape) * rng.choice((-1, 1), shape)
    return (sizes * (rng.random(shape) < density)).astype(np.int8)


def _all(channels: int, value: float) -> NDArray[np.int64]:
    return np.full(channels, int(value))


def event_frames(seed: int, network: Network, rate: float) -> NDArray[np.uint8]:
    """Plain spikes at `rate`, (images, timesteps, *shape)."""
    shape = (IMAGES, network.timesteps, *network.input.shape)
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.uint8)


def digit_frames(seed: int, network: Network) -> NDArray[np.uint8]:
    """Strokes like handwriting: 19 % of the pixels are not 0, as in MNIST, most of those bright."""
    rng = np.random.default_rng(seed)
    _, height, width = network.input.shape
    y, x = np.mgrid[0:height, 0:width]
    frames = np.zeros((IMAGES, height, width))
    for frame in frames:
        points = rng.uniform(6, 22, (4, 2))
        for (y0, x0), (y1, x1) in itertools.pairwise(points):
            for part in np.linspace(0, 1, 12):
                distance = np.hypot(y - y0 - part * (y1 - y0), x - x0 - part * (x1 - x0))
                np.maximum(frame, np.clip(2.8 - distance, 0, 1), out=frame)
    return np.rint(255 * frames[:, None]).astype(np.uint8)


def best_time(program: Callable[[], object], repeats: int) -> float:
    """The shortest of `repeats` runs, in seconds, after one that warms up."""
    program()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        program()
        times.append(time.perf_counter() - begin)
    return min(times)


def torch_best(
    network: Network, inputs: NDArray[np.uint8], expected: NDArray[np.int64], repeats: int
) -> tuple[float, str]:
    """(seconds for all images, which program) of the fastest way to run torch."""
    events = network.input.coding == "events"
    timings = []
    for channels_last in (False, True) if len(network.input.shape) == 3 else (False,):
        program = TorchNetwork(network, channels_last)
        for batch in TORCH_BATCHES:
            # The input is converted and ordered outside of the clock, in torch's favour.
            parts = [inputs[i : i + batch] for i in range(0, len(inputs), batch)]
            if events:
                parts = [part.swapaxes(0, 1).reshape(-1, *part.shape[2:]) for part in parts]
            tensors = [as_floats(part) for part in parts]
            logits = torch.cat([program(tensor) for tensor in tensors]).numpy()
            if not (np.abs(logits) < EXACT).all() or not np.array_equal(logits, expected):
                raise SystemExit("torch and the engine disagree")
            seconds = best_time(lambda p=program, ts=tensors: [p(t) for t in ts], repeats)
            timings.append(
                (seconds, f"batch {batch}" + (", channels last" if channels_last else ""))
            )
    return min(timings)


def measure(case: str, network: Network, inputs: NDArray[np.uint8], repeats: int) -> Row:
    """Compare both programs on one network."""
    trace = engine.run(network, inputs)
    expected = engine.logits(network, inputs)
    seconds = best_time(lambda: engine.logits(network, inputs), repeats)
    torch_seconds, program = torch_best(network, inputs, expected, repeats)
    counts = count(network, inputs, trace)
    return Row(
        case=case,
        images=len(inputs),
        timesteps=network.timesteps,
        density=round(network.density, 4),
        input_rate=round(float((inputs != 0).mean()), 4),
        spike_rates={node.name: round(node.spike_rate, 4) for node in counts.nodes if node.spikes},
        synops_per_image=round(counts.synops / len(inputs), 1),
        engine_images_per_second=round(len(inputs) / seconds, 1),
        torch_images_per_second=round(len(inputs) / torch_seconds, 1),
        torch_program=program,
        ratio=round(torch_seconds / seconds, 3),
    )


def main() -> int:
    """Measure all cases and print the table; exit code 1 if the engine is slower anywhere."""
    parser = argparse.ArgumentParser(description="engine against float32 torch, one core")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with torch.no_grad():
        for name, density in (("784-512-10, dense", 1.0), ("784-512-10, 90 % sparse", 0.1)):
            network = fully_connected(options.seed, density)
            rows.append(
                measure(name, network, event_frames(options.seed, network, 0.15), options.repeats)
            )
        for name, density in (("mnist-conv, dense", 1.0), ("mnist-conv, 85 % sparse", 0.15)):
            network = convolutional(options.seed, density)
            rows.append(
                measure(name, network, digit_frames(options.seed, network), options.repeats)
            )
    sys.stdout.write(as_json(rows, options.seed) if options.json else as_table(rows, options.seed))
    return 0 if all(row.ratio >= 1 for row in rows) else 1


def machine() -> dict[str, str]:
    """What the figures depend on."""
    cpu = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if "model name" in line
        ]
        cpu = names[0] if names else cpu
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {"cpu": cpu, **versions, "numpy": np.__version__, "numba": numba.__version__}


def as_json(rows: list[Row], seed: int) -> str:
    """One JSON object."""
    body = {
        "schema": 1,
        "seed": seed,
        "threads": 1,
        "machine": machine(),
        "rows": [asdict(row) for row in rows],
    }
    return json.dumps(body, indent=2, sort_keys=True) + "\n"


def as_table(rows: list[Row], seed: int) -> str:
    """Lines for a terminal."""
    titles = f"{'synops/img':>12}{'engine img/s':>14}{'torch img/s':>13}{'ratio':>7}"
    lines = [f"{'case':26}{'T':>3}{'spike rates':>14}" + titles]
    for row in rows:
        rates = " ".join(f"{100 * rate:.0f}%" for rate in row.spike_rates.values())
        lines.append(
            f"{row.case:26}{row.timesteps:>3}{rates:>14}{row.synops_per_image:>12,.0f}"
            f"{row.engine_images_per_second:>14,.0f}{row.torch_images_per_second:>13,.0f}{row.ratio:>7.2f}"
            f"   torch: {row.torch_program}"
        )
    about = ", ".join(f"{key} {value}" for key, value in machine().items())
    lines.append(
        f"{rows[0].images} images, seed {seed}, one thread each, best of several runs, logits equal"
    )
    lines.append(about)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
