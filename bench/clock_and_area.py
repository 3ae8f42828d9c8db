"""Clock and area of a core on real devices: ECP5 (speed grade 6) and iCE40HX8K, open tools.

A convolution of 3 x 3 with 16-bit membranes and 4-bit weights, 30 % of them kept, complete with
decoder, lanes, sweep and serialiser, without counters; and the case on which peers were measured.

    python bench/clock_and_area.py [--seeds 3] [--json] [--out build/bench-clock]

Needs nextpnr: `pip install --editable '.[synth]'`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from golden.edges import Conv2d, Edge, Linear
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from hw.build import build
from sim.synth.flow import synthesise
from sim.synth.scripts import Part
from sim.synth.targets import target_of

OBSERVED = ("trace", "broken", "counts", "count_clear")
"""The ports of a core that only benches and counters use."""

CASES = (("ecp5-25k", 1), ("ecp5-25k", 8), ("ice40-hx8k", 1))


def main() -> None:
    """Synthesise, then print."""
    parser = argparse.ArgumentParser(description="Clock and area of a core.")
    parser.add_argument("--seeds", type=int, default=3, help="of placement; the median counts")
    parser.add_argument("--out", type=Path, default=Path("build/bench-clock"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    rows = [measure(target, lanes, options.seeds, options.out) for target, lanes in CASES]
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, "rows": rows}) + "\n")
    else:
        sys.stdout.write(table(rows, options.seeds) + "\n")


def measure(target: str, lanes: int, seeds: int, out: Path) -> dict[str, Any]:
    """One row: a core of so many lanes."""
    # iCE40's block RAMs are small: a quarter of the map there.
    folder, side = out / f"{target}-{lanes}", 8 if target.startswith("ice40") or lanes > 1 else 16
    image = build(
        core_network(16 if lanes == 1 else 64, side), folder, {"conv": lanes, "readout": 1}
    )
    found = synthesise(
        folder, folder / "synth", target_of(target), range(1, seeds + 1), Part("conv", OBSERVED),
        progress,
    )  # fmt: skip
    return found.as_dict() | {"lanes": lanes, "acc_bits": image.cores[0].acc_bits}


def core_network(channels: int, side: int) -> Network:
    """16 maps to `channels` maps, 3 x 3; so many steps that membranes take 16 bits."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-8, 8, (channels, 16, 3, 3))
    weight[rng.random(weight.shape) > 0.3] = 0
    shape = (channels, side, side)
    readout = rng.integers(-8, 8, (10, channels * side * side))
    return Network(
        1000,
        (Input("input", (16, side, side), "events", 1),
         LIF("conv", shape, rng.integers(5, 60, channels), rng.integers(-5, 5, channels),
             1, 3, "subtract", 15),
         Readout("readout", (10,), np.zeros(10, int))),
        (Edge("input", "conv", (Conv2d(weight, 4, (1, 1)),)),
         Edge("conv", "readout", (Linear(readout, 4),))),
    )  # fmt: skip


def progress(done: int, total: int, what: str) -> None:
    """Say it, apart from the table."""
    sys.stderr.write(f"  {done}/{total} {what}\n")


def table(rows: list[dict[str, Any]], seeds: int) -> str:
    """The rows in Markdown."""
    names = ("target", "lanes", "median MHz", "seeds", "LUT4 / lane", "FF / lane",
             "block RAM / lane", "limited by")  # fmt: skip
    lines = [f"{seeds} seeds each", "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        lanes = row["lanes"]
        each = ", ".join(f"{mhz:.0f}" for mhz in row["mhz"].values())
        lines.append(
            f"| {row['target']} | {lanes} | {row['median_mhz']:.1f} | {each} "
            f"| {row['lut4'] / lanes:.0f} | {row['flip_flops'] / lanes:.0f} "
            f"| {row['block_rams'] / lanes:.1f} "
            f"| {row['limit']['begins']} > {row['limit']['ends']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
