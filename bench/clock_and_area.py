"""Measures clock and area on real devices with open tools: ECP5 (speed grade 6) and iCE40HX8K.

Command (needs nextpnr: `pip install --editable '.[synth]'`):

    python bench/clock_and_area.py [--parts cores,peer,bits] [--seeds 1,2,3] [--router router2]
                                   [--json] [--out build/bench-clock]

- cores: a 3 x 3 convolution with 16-bit membranes and 4-bit weights, 30 % of them kept, with
  decoder, lanes, sweep and serialiser, without counters
- peer: whole accelerators for the case on which other designs report figures (`peer_case`); needs
  MNIST in the folder that SPIKEWRIGHT_DATA names
- bits: memory bits per kept weight of the networks in examples/networks
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import peer_case

from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.build import bits_per_weight, build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim.synth.flow import synthesise
from spikewright.sim.synth.scripts import Part
from spikewright.sim.synth.targets import target_of
from spikewright.sim.synth.tools import versions

Row = dict[str, Any]

OBSERVED = ("trace", "broken", "counts", "count_clear")
"""The ports of a core that only benches and counters use."""

CORES = (("ecp5-25k", 1), ("ecp5-25k", 8), ("ice40-hx8k", 1))
NETWORKS = Path(__file__).parents[1] / "examples" / "networks"
LANES = 8  # the most in a core, where bits are counted: what `build` takes by itself


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description="Clock and area.")
    parser.add_argument("--parts", default="cores,peer,bits", help="some of them, by comma")
    parser.add_argument("--seeds", default="1,2,3", help="of placement; the median counts")
    parser.add_argument("--out", type=Path, default=Path("build/bench-clock"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--router", help="of nextpnr, for the peers' case: router2 takes less time")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    makers: dict[str, Callable[[], list[Row]]] = {
        "cores": lambda: [core_row(*case, seeds, options.out) for case in CORES],
        "peer": lambda: [
            peer_row(point, seeds, options.router, options.out) for point in peer_case.POINTS
        ],
        "bits": lambda: [row for path in sorted(NETWORKS.glob("*")) for row in bits_rows(path)],
    }
    tables = {part: makers[part]() for part in options.parts.split(",")}
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, **_provenance(seeds), **tables}) + "\n")
        return
    printers = {"cores": core_table, "peer": peer_table, "bits": bits_table}
    tools = ", ".join(f"{name} {number}" for name, number in _provenance(seeds)["versions"].items())
    sys.stdout.write(f"seeds {options.seeds}; {tools}\n")
    for part, rows in tables.items():
        sys.stdout.write(f"\n{printers[part](rows)}\n")


def _provenance(seeds: Sequence[int]) -> dict[str, Any]:
    return {"seeds": list(seeds), "versions": versions("ecp5") | versions("ice40")}


def core_row(target: str, lanes: int, seeds: Sequence[int], out: Path) -> Row:
    """A core of so many lanes."""
    # iCE40's block RAMs are small: a quarter of the map there.
    folder, side = out / f"{target}-{lanes}", 8 if target.startswith("ice40") or lanes > 1 else 16
    image = build(
        core_network(16 if lanes == 1 else 64, side),
        folder,
        BuildOptions({"conv": lanes, "readout": 1}),
    )
    result = synthesise(
        folder, folder / "synth", target_of(target), seeds, Part("conv", OBSERVED), progress
    )
    return result.as_dict() | {"lanes": lanes, "acc_bits": image.cores[0].acc_bits}


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


def peer_row(point: peer_case.Point, seeds: Sequence[int], router: str | None, out: Path) -> Row:
    """The peers' case, the whole accelerator without registers and counters."""
    name = f"{point.density}-{point.lanes}-{point.channels_per_word}-{point.steps_per_pass}"
    folder = out / f"peer-{name}"
    cycles, fired = peer_case.build_point(point, folder)
    device = target_of("ecp5-85k")
    if router:
        device = replace(device, options=(*device.options, "--router", router))
    result = synthesise(folder, folder / "synth", device, seeds, progress=progress).as_dict()
    return result | {
        "density": point.density, "lanes": point.lanes, "cycles": cycles,
        "channels_per_word": point.channels_per_word, "steps_per_pass": point.steps_per_pass,
        "hidden_spikes_per_step": fired, "latency_us": cycles / result["median_mhz"],
    }  # fmt: skip


def bits_rows(path: Path) -> list[Row]:
    """Rows and pointers of every core of a network, in bits for each weight that is not 0."""
    network = file.load(path)
    image, loadable = (
        compile_network(network, BuildOptions(LANES, host=HostInterface(loadable=each)))
        for each in (False, True)
    )
    whole, least = (bits_per_weight(network, one) for one in (image, loadable))
    rows = []
    for core in image.traced:
        entries = core.memories["entries_0"].layout.width
        words = core.memory_bits["weights"] / entries
        spent = core.memory_bits["weights"] + core.memory_bits["pointers"]
        kept = spent / whole[core.node]
        rows.append({
            "network": path.stem, "core": core.node, "lanes": core.lanes, "entry_bits": entries,
            "entries_per_weight": words / kept, "bits_per_weight": whole[core.node],
            "pointer_bits_per_weight": core.memory_bits["pointers"] / kept,
            "loadable_bits_per_weight": least[core.node],
        })  # fmt: skip
    return rows


def progress(done: int, total: int, what: str) -> None:
    """Say it, apart from the tables."""
    sys.stderr.write(f"  {done}/{total} {what}\n")


def core_table(rows: list[Row]) -> str:
    """One line for each core."""
    names = ("target", "lanes", "median MHz", "seeds", "LUT4 / lane", "FF / lane",
             "block RAM / lane", "limited by")  # fmt: skip
    return _table(names, [
        (row["target"], row["lanes"], f"{row['median_mhz']:.1f}", _each(row),
         f"{row['lut4'] / row['lanes']:.0f}", f"{row['flip_flops'] / row['lanes']:.0f}",
         f"{row['block_rams'] / row['lanes']:.1f}", _limit(row))
        for row in rows
    ])  # fmt: skip


def peer_table(rows: list[Row]) -> str:
    """Spiker+, then one line for each point."""
    names = ("design", "lanes x channels x steps", "cycles", "LUT4", "carry cells", "FF",
             "block RAM", "DSP", "median MHz", "seeds", "latency us", "limited by")  # fmt: skip
    peer = peer_case.PEER
    lines = [(
        "Spiker+", "", f"{peer['cycles']:,}", f"{peer['lut4']:,}", f"{peer['carry_cells']:,}",
        f"{peer['flip_flops']:,}", peer["block_rams"], 0, peer["mhz"], "",
        f"{peer['cycles'] / peer['mhz']:,.0f}", "selection of an input spike",
    )]  # fmt: skip
    for row in rows:
        shape = f"{row['lanes']} x {row['channels_per_word']} x {row['steps_per_pass']}"
        lines.append((
            f"{row['density']:.0%} of weights", shape, f"{row['cycles']:,.0f}",
            f"{row['lut4'] - 2 * row['carry_cells']:,}", f"{row['carry_cells']:,}",
            f"{row['flip_flops']:,}", row["block_rams"], row["dsps"], f"{row['median_mhz']:.1f}",
            _each(row), f"{row['latency_us']:,.0f}", _limit(row),
        ))  # fmt: skip
    return _table(names, lines)


def bits_table(rows: list[Row]) -> str:
    """One line for each core."""
    names = ("network", "core", "lanes", "bits of an entry", "entries / kept weight",
             "pointer bits / kept weight", "bits / kept weight", "in a loadable build")  # fmt: skip
    return _table(names, [
        (row["network"], row["core"], row["lanes"], row["entry_bits"],
         f"{row['entries_per_weight']:.2f}", f"{row['pointer_bits_per_weight']:.2f}",
         f"{row['bits_per_weight']:.2f}", f"{row['loadable_bits_per_weight']:.2f}")
        for row in rows
    ])  # fmt: skip


def _each(row: Row) -> str:
    return ", ".join(f"{mhz:.0f}" for mhz in row["mhz"].values())


def _limit(row: Row) -> str:
    return f"{row['limit']['begins']} > {row['limit']['ends']}"


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
