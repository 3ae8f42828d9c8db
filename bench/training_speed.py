"""Measures training speed: images per second, against snnTorch and SpikingJelly.

Command (needs the peers: `pip install --editable '.[bench]'`):

    python bench/training_speed.py [--rounds 9] [--steps 10] [--seed 0] [--json]

One step is forward, loss, backward and Adam on one batch that is in memory. Ours is the trainer's,
with 4-bit weights, all kept or 10 % of them; the peers train floats (`training_peers`),

- as in their examples: the image passes the first layer at every time step
- first layer once: its result is used T times
- memory kept: the same, and freed memory stays in the process, as our training sets it

In every round all programs take turns on one core, so that load on the machine affects all of them;
the median over the rounds counts. A ratio is ours over the faster peer in one round, then the
median. Times are CPU times of all threads of a process, so that the machine may be shared; `busy`
is their share of wall-clock time, 1 where nothing else ran.

The exit code is 1 if a peer, written as in its examples, is faster than ours in any row, and 3 if
the peers are not installed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import sys
from importlib.metadata import version
from typing import Any

from golden_speed import machine
from training_peers import CASES, Case
from training_worker import OURS, SNNTORCH, SPARSE, SPIKINGJELLY, Lap, Program, Worker

Row = dict[str, Any]
Speeds = dict[str, list[float]]

PACKAGES = ("snntorch", "spikingjelly.activation_based.neuron")
EXAMPLES = "as in their examples"
WAYS = {EXAMPLES: (False, False), "first layer once": (True, False), "memory kept": (True, True)}
"""How the peers are run: whether the first layer runs once, whether freed memory is kept."""


def main() -> int:
    """Measure all cases and print the table."""
    parser = argparse.ArgumentParser(description="training, one core, against two peers")
    parser.add_argument("--rounds", type=int, default=9, help="in which all programs take turns")
    parser.add_argument("--steps", type=int, default=10, help="of each program in each round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    options = parser.parse_args()
    try:
        for package in PACKAGES:
            importlib.import_module(package)
    except ImportError as error:
        sys.stderr.write(
            f"training_speed: {error.name} is not installed: pip install --editable '.[bench]'\n"
        )
        return 3
    workers = {"ours": Worker(True), False: Worker(False), True: Worker(True)}
    field: dict[str, tuple[Worker, Program]] = {
        name: (workers["ours"], Program(name)) for name in (OURS, SPARSE)
    }
    for way, (once, keep) in WAYS.items():
        for peer in (SNNTORCH, SPIKINGJELLY):
            field[f"{peer}, {way}"] = workers[keep], Program(peer, once)
    rows = [measure(case, normal, field, options) for case in CASES for normal in (True, False)]
    sys.stdout.write(as_json(rows, options) if options.json else as_table(rows, options))
    return 0 if all(row["ratios"][EXAMPLES]["median"] >= 1 for row in rows) else 1


def measure(
    case: Case,
    batch_norm: bool,
    field: dict[str, tuple[Worker, Program]],
    options: argparse.Namespace,
) -> Row:
    """All programs on one network."""
    for worker, program in field.values():
        worker.start(program, case, batch_norm, options.seed)
    laps: dict[str, list[Lap]] = {name: [] for name in field}
    for _ in range(options.rounds):
        for name, (worker, program) in field.items():
            laps[name].append(worker.lap(program, options.steps))
    images = options.steps * case.batch
    speeds = {name: [images / lap.cpu for lap in taken] for name, taken in laps.items()}
    every = [lap for taken in laps.values() for lap in taken]
    return {
        "network": case.name,
        "timesteps": case.timesteps,
        "batch": case.batch,
        "batch_norm": batch_norm,
        "images_per_second": {name: round(statistics.median(v), 1) for name, v in speeds.items()},
        "ratios": {way: ratio(speeds, way) for way in WAYS},
        "losses": {name: round(taken[-1].loss, 4) for name, taken in laps.items()},
        "busy": round(sum(lap.cpu for lap in every) / sum(lap.wall for lap in every), 3),
    }


def ratio(speeds: Speeds, way: str) -> dict[str, float]:
    """Our speed over that of the faster peer, round by round: median, least and most.

    >>> peers = {"snnTorch, w": [2.0, 3.0, 6.0], "SpikingJelly, w": [1.0, 1.0, 1.0]}
    >>> ratio({"ours": [4.0, 9.0, 6.0]} | peers, "w")
    {'median': 2.0, 'least': 1.0, 'most': 3.0}
    """
    columns = (speeds[name] for name in (OURS, f"{SNNTORCH}, {way}", f"{SPIKINGJELLY}, {way}"))
    ratios = [ours / max(peers) for ours, *peers in zip(*columns, strict=True)]
    summary = {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}
    return {name: round(value, 3) for name, value in summary.items()}


def setting(options: argparse.Namespace) -> str:
    """What the figures depend on, in one line."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("snntorch", "spikingjelly"))
    about = ", ".join(f"{key} {value}" for key, value in machine().items())
    return (
        f"{options.rounds} rounds of {options.steps} steps, seed {options.seed}, one core, "
        f"CPU time; {versions}; {about}"
    )


def as_json(rows: list[Row], options: argparse.Namespace) -> str:
    """One JSON object."""
    body = {"schema": 1, "setting": setting(options), "rows": rows}
    return json.dumps(body, indent=2, sort_keys=True) + "\n"


def as_table(rows: list[Row], options: argparse.Namespace) -> str:
    """In Markdown: images per second, and our ratio to the faster peer (least..most of a round)."""
    names = ("network", "norm", OURS, SPARSE, "the peers", SNNTORCH, SPIKINGJELLY, "ratio", "busy")
    lines = [setting(options), "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        speeds = row["images_per_second"]
        network = f"{row['network']}, T = {row['timesteps']}, batch {row['batch']}"
        norm = "batch" if row["batch_norm"] else "none"
        for way, ratio in row["ratios"].items():
            cells = [network, norm, f"{speeds[OURS]:,.0f}", f"{speeds[SPARSE]:,.0f}", way]
            cells += [f"{speeds[f'{peer}, {way}']:,.0f}" for peer in (SNNTORCH, SPIKINGJELLY)]
            cells.append(f"{ratio['median']:.2f} ({ratio['least']:.2f}..{ratio['most']:.2f})")
            lines.append(f"| {' | '.join(cells)} | {row['busy']:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
