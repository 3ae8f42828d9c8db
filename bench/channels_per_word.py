"""Measures what wider membrane words save: plans with one channel per word against several.

Command:

    python bench/channels_per_word.py [--target ecp5-85k] [--images 4] [--json]

Lanes and channels per word are planned for the target. Block RAMs and LUTs are the plan's
estimates, cycles those of the cycle model, per inference, back to back.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from hardware_cases import Case, digit, fully_connected, one_convolution

from spikewright.golden.cycles.prediction import predict
from spikewright.golden.models import engine
from spikewright.hw.compiler.build_plan import plan_and_compile
from spikewright.hw.options import BuildOptions


def main() -> None:
    """Plan, compile, predict, print."""
    parser = argparse.ArgumentParser(description="Plans with and without wider words.")
    parser.add_argument("--target", default="ecp5-85k")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    cases = (one_convolution(), digit("dense", 1, 32, 1.0), fully_connected("magnitude", 8))
    rows = [
        measure(case, options.target, width, options.images)
        for case in cases
        for width in (1, None)
    ]
    if options.json:
        sys.stdout.write(json.dumps({"schema": 1, "target": options.target, "rows": rows}) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")


def measure(case: Case, target: str, width: int | None, images: int) -> dict[str, Any]:
    """One plan: with `width` channels a word, or as many as it chooses."""
    options = BuildOptions(None, width, case.steps, target)
    plan, image = plan_and_compile(case.network, options)
    inputs = case.network.check_inputs(case.inputs[:images])
    prediction = predict(image, inputs, engine.run(case.network, inputs))
    return {
        "case": f"{case.name}, {case.pruning}",
        "chosen": width is None,
        "lanes": list(plan.lanes.values()),
        "channels_per_word": list(plan.widths.values()),
        "cycles_per_inference": prediction.cycles_per_inference,
        "block_rams": plan.total.ram,
        "luts": plan.total.lut,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = ["| network | lanes | W | cycles | block RAMs | LUTs |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row['case']}{', W chosen' * row['chosen']} | {', '.join(map(str, row['lanes']))} "
        f"| {', '.join(map(str, row['channels_per_word']))} "
        f"| {row['cycles_per_inference']:,.0f} | {row['block_rams']} | {row['luts']:,} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
