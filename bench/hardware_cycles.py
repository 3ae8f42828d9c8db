"""Cycles of the hardware against the lower bound, and how busy its lanes are.

Builds each case, runs its Verilog on random inputs back to back, checks every value against golden
and every counter against the cycle model, and prints a table of the core that sets the pace:

- bound: max(synops / lanes + words swept, events) + 8 cycles to fill the pipeline at each pass
- utilization: synops / (lanes x cycles of the synapse phase: a pass's first entry to its sweep)

Synops are counted as the hardware does: an entry is one, in however many steps of the pass.

    python bench/hardware_cycles.py [--images 8] [--json] [--out build/bench-hw]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardware_cases import Case, convolutional, fully_connected, one_convolution, residual

from hw.build import build
from sim.verify import verify

FILL = 8  # cycles per step until the pipeline is full: what no design of this kind does without

CASES: tuple[Callable[[], Case], ...] = (
    *(lambda k=k, n=n: fully_connected(k, n) for n in (1, 8, 32) for k in ("magnitude", "banks")),
    *(lambda n=n: fully_connected("magnitude", 32, steps=n) for n in (2, 4, 8)),
    *(lambda k=k: convolutional(k) for k in ("magnitude", "banks")),
    *(lambda k=k: residual(k) for k in ("magnitude", "banks")),
    one_convolution,
)  # fmt: skip


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description="Cycles against the lower bound.")
    parser.add_argument("--images", type=int, default=8, help="inferences, back to back")
    parser.add_argument("--out", type=Path, default=Path("build/bench-hw"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    rows = [measure(make(), options.out / str(place), options.images)
            for place, make in enumerate(CASES)]  # fmt: skip
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, "machine": machine(), "rows": rows}) + "\n")
    else:
        sys.stdout.write(table(rows, options.images) + "\n")


def measure(case: Case, folder: Path, images: int) -> dict[str, Any]:
    """Build, simulate, compare, count."""
    build(case.network, folder, dict(case.lanes), steps_per_pass=case.steps)
    verification = verify(folder, case.inputs[:images])
    verification.require_equal()
    profile = verification.profile
    layer = next(layer for layer in profile.layers if layer.node == case.focus)
    counters, steps = layer.counters, case.network.timesteps
    synops, events = counters.synops / images, counters.events_in / images
    synapse_phase = (counters.busy + counters.waiting) / images
    bound = max(synops / layer.lanes + layer.words * steps, events) + FILL * steps / case.steps
    return {
        "case": case.name,
        "pruning": case.pruning,
        "core": layer.node,
        "lanes": layer.lanes,
        "steps_per_pass": case.steps,
        "density": round(case.network.density, 4),
        "events_per_inference": events,
        "synops_per_inference": synops,
        "entries_per_event_and_lane": synops / events / layer.lanes,
        "bound_cycles": bound,
        "cycles_per_inference": profile.cycles_per_inference,
        "cycles_over_bound": profile.cycles_per_inference / bound,
        "cycles_per_event": profile.cycles_per_inference / events,
        "utilization": synops / layer.lanes / synapse_phase,
        "mismatches": verification.mismatches,
    }


def table(rows: list[dict[str, Any]], images: int) -> str:
    """The rows in Markdown."""
    names = ("case", "pruning", "lanes", "steps / pass", "entries / (event x lane)", "events",
             "synops", "bound", "cycles", "cycles / bound", "utilization")  # fmt: skip
    lines = [f"{images} inferences back to back, {machine()}", "", f"| {' | '.join(names)} |",
             "|---" * len(names) + "|"]  # fmt: skip
    for row in rows:
        lines.append(
            f"| {row['case']} | {row['pruning']} | {row['lanes']} "
            f"| {row['steps_per_pass']} "
            f"| {row['entries_per_event_and_lane']:.2f} | {row['events_per_inference']:,.0f} "
            f"| {row['synops_per_inference']:,.0f} | {row['bound_cycles']:,.0f} "
            f"| {row['cycles_per_inference']:,.0f} | {row['cycles_over_bound']:.3f} "
            f"| {100 * row['utilization']:.1f} % |"
        )
    return "\n".join(lines)


def machine() -> str:
    """What the figures were taken on; cycles do not depend on it."""
    return f"Python {platform.python_version()} on {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
