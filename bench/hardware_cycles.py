"""Measures cycles of the hardware against their lower bound, and the utilization of its lanes.

Command:

    python bench/hardware_cycles.py [--images 8] [--json] [--out build/bench-hw] [--only WORD]

Builds each case, simulates its Verilog in Verilator on inputs back to back, checks every value
against golden and every counter against the cycle model, and prints a table. It shows the core with
the largest bound, which should limit the throughput:

- bound: max(entries / lanes + words swept, events) + 8 cycles to fill the pipeline at each pass
- utilization: entries / (lanes x cycles of the synapse phase: a pass's first entry to its sweep)

A core is bound by rows if its lanes walk more entries than it has events, each of which takes a
cycle. An entry adds to the W neurons of a word at once, for all steps of the pass. All figures are
per inference, without the first one, which starts in an empty pipeline.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardware_cases import (
    IMAGES,
    Case,
    convolutional,
    digit,
    fully_connected,
    one_convolution,
    residual,
)

from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.sim.measurement.profile import LayerProfile
from spikewright.sim.verify import verify

FILL = 8  # cycles per pass until the pipeline is full: what no design of this kind does without
ENOUGH = 2.0  # entries of an average event in a lane from which on lanes, not events, are the bound
BOTH = ("magnitude", "banks")

CASES: tuple[Callable[[], Case], ...] = (
    *(lambda k=k, n=n: fully_connected(k, n) for n in (1, 8, 16, 32) for k in BOTH),
    lambda: fully_connected("magnitude", 16, steps=2),
    *(lambda n=n: fully_connected("magnitude", 32, steps=n) for n in (2, 4, 8)),
    *(lambda k=k: convolutional(k) for k in BOTH),
    *(lambda k=k, n=n: residual(k, n) for n in (4, 8) for k in BOTH),
    one_convolution,
    lambda: digit("dense", 1, 32, 1.0),
    lambda: digit("magnitude", 16, 1, 0.1),
)


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description="Cycles against the lower bound.")
    parser.add_argument("--images", type=int, default=8, help=f"inferences, 2..{IMAGES}")
    parser.add_argument("--out", type=Path, default=Path("build/bench-hw"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--only", default="", help="cases with this in their name or pruning")
    options = parser.parse_args()
    if not 2 <= options.images <= IMAGES:
        parser.error(f"--images {options.images}: must be 2..{IMAGES}")
    rows = []
    for index, make in enumerate(CASES):
        case = make()
        if options.only in f"{case.name} {case.pruning}":
            rows.append(measure(case, options.out / str(index), options.images))
    if options.json:
        sys.stdout.write(json.dumps({"schema": 2, "machine": machine(), "rows": rows}) + "\n")
    else:
        sys.stdout.write(table(rows, options.images) + "\n")


def measure(case: Case, folder: Path, images: int) -> dict[str, Any]:
    """Build, simulate one inference and many, compare, count."""
    options = BuildOptions(dict(case.lanes), dict(case.widths), case.steps)
    build(case.network, folder, options)
    first, whole = (verify(folder, case.inputs[:count]) for count in (1, images))
    for verification in (first, whole):
        verification.require_equal()
    profile = whole.profile
    layers = [
        of_layer(case, layer, before, images)
        for layer, before in zip(profile.layers, first.profile.layers, strict=True)
    ]
    slowest = max(layers, key=lambda layer: layer["bound_cycles"])
    cycles = profile.cycles_per_inference
    return {
        "case": case.name,
        "pruning": case.pruning,
        "steps_per_pass": case.steps,
        "density": round(case.network.density, 4),
        **slowest,
        "cycles_per_inference": cycles,
        "cycles_over_bound": cycles / slowest["bound_cycles"],
        "latency_cycles": profile.latency_cycles,
        "compared_cycles": whole.cycles_checked.compared,
        "cycle_differences": whole.cycles_checked.differences,
        "mismatches": whole.mismatches,
    }


def of_layer(case: Case, layer: LayerProfile, before: LayerProfile, images: int) -> dict[str, Any]:
    """The figures of one core per inference after the first, whose counters are `before`."""
    one, all_ = before.counters.as_dict(), layer.counters.as_dict()
    each = {name: (all_[name] - one[name]) / (images - 1) for name in all_}
    entries, events = each["synops"] / layer.lanes, each["events_in"]
    steps = case.network.timesteps
    rows = entries + layer.words * steps
    phase = each["busy"] + each["waiting"]
    return {
        "core": layer.node,
        "lanes": layer.lanes,
        "channels_per_word": case.widths.get(layer.node, 1),
        "bound_by": "events" if events > entries else "rows",
        "events_per_inference": events,
        "entries_per_inference": each["synops"],
        "entries_per_event_and_lane": entries / events,
        "bound_cycles": max(rows, events) + FILL * steps / case.steps,
        "phase_cycles_per_event": phase / events,
        "utilization": entries / phase,
    }


def table(rows: list[dict[str, Any]], images: int) -> str:
    """The rows in Markdown."""
    names = ("case", "pruning", "slowest core", "lanes", "W", "P", "entries / (event x lane)",
             "events", "entries", "bound by", "bound", "cycles", "cycles / bound", "utilization",
             "synapse phase / event")  # fmt: skip
    lines = [
        f"{images} inferences back to back, {machine()}", "",
        f"| {' | '.join(names)} |", "|---" * len(names) + "|",
    ]  # fmt: skip
    for row in rows:
        sparse = row["entries_per_event_and_lane"] < ENOUGH
        lines.append(
            f"| {row['case']} | {row['pruning']} | {row['core']} | {row['lanes']} "
            f"| {row['channels_per_word']} | {row['steps_per_pass']} "
            f"| {row['entries_per_event_and_lane']:.2f}{' *' if sparse else ''} "
            f"| {row['events_per_inference']:,.0f} | {row['entries_per_inference']:,.0f} "
            f"| {row['bound_by']} | {row['bound_cycles']:,.0f} "
            f"| {row['cycles_per_inference']:,.0f} | {row['cycles_over_bound']:.3f} "
            f"| {100 * row['utilization']:.1f} % | {row['phase_cycles_per_event']:.2f} |"
        )
    compared = sum(row["compared_cycles"] for row in rows)
    wrong = sum(row["cycle_differences"] + row["mismatches"] for row in rows)
    lines += ["", f"\\* less than {ENOUGH:.0f}, where a lane may wait for the next event", ""]
    lines.append(
        f"{compared:,} counters and cycles of logits compared with the cycle model, and all "
        f"values with golden: {wrong} differences"
    )
    return "\n".join(lines)


def machine() -> str:
    """What the figures were taken on; cycles do not depend on it."""
    return f"Python {platform.python_version()} on {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
