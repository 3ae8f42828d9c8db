"""Results as a few lines for a reader; `--json` has all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spikewright.layout import BuildFolder

Values = Mapping[str, Any]


def of_training(result: Values) -> list[str]:
    """How good, how small, and where."""
    validation = f"(validation {result['validation_accuracy']:.2%})"
    return [
        f"{_accuracy(result)} {validation}",
        _size(result),
        f"file        {result['network']}",
        *_stuck(result, f"{result['accuracy_images']} test images"),
    ]


def of_run(result: Values) -> list[str]:
    """Accuracy, and what was compared."""
    lines = [_accuracy(result), _size(result), _compared(result, "reference == engine")]
    lines.append(
        f"work        {result['synops']:.1f} synaptic operations per inference, "
        f"{result['spike_rate']:.4f} spikes per neuron and step"
    )
    lines += [_cycles(result)] if result["cycles_per_inference"] else []
    return [*lines, *_stuck(result, f"{result['images']} images")]


def of_build(result: Values, folder: BuildFolder) -> list[str]:
    """What was compiled, and where it lies."""
    bits = sum(sum(kinds.values()) for kinds in result["memory_bits"].values())
    return [
        _size(result),
        f"memory      {bits} bits",
        *_plan(result["plan"]),
        f"build       {folder.path}",
        *_stuck(result, "the images on which training counted its spikes"),
    ]


def _plan(plan: Values) -> list[str]:
    """Lanes and expected time of every core, and what they take."""
    kinds = (("block_rams", "block RAMs"), ("luts", "LUTs"), ("dsps", "multipliers"))
    limited = plan["target"] != "none"
    taken = [
        f"{plan[key]['taken']}" + (f" of {plan[key]['of']}" if limited else "") + f" {name}"
        for key, name in kinds
    ]
    device = f"on {plan['target']}" if limited else "no target, counted as ECP5"
    head = ("core", "lanes", "cycles", "busy", "RAMs", "LUTs", "bound by", "no more lanes, as")
    rows = [
        f"plan        {device}: {', '.join(taken)}",
        f"            {plan['interval_cycles']:.1f} cycles per inference expected",
        "  {:12}{:>6}{:>10}{:>6}{:>6}{:>7}  {:10}{}".format(*head),
    ]
    for core in plan["cores"]:
        wide = core.get("channels_per_word", 1)
        lanes = f"{core['lanes']} x{wide}" if wide > 1 else str(core["lanes"])
        rows.append(
            f"  {core['node']:12}{lanes:>6}{core['cycles_per_inference']:>10.1f}"
            f"{core['busy_share']:>6.0%}{core['block_rams']:>6}{core['luts']:>7}  "
            f"{core['bound']:10}{core['reason']}"
        )
    return rows


def of_verification(result: Values, folder: BuildFolder) -> list[str]:
    """Every link with its counts, and the verdict."""
    waves = [f"waves       {folder.path / wave}" for wave in result["waves"]]
    lines = [_accuracy(result), *_links(result), _compared(result, "Verilog")]
    lines += [_predicted(result), *_corners(result), _cycles(result), *waves]
    return [*lines, *_stuck(result, f"{result['images']} images")]


def of_synthesis(result: Values, folder: BuildFolder) -> list[str]:
    """The clock and what limits it, and what of the device is taken."""
    each = ", ".join(f"seed {seed} {mhz:.1f}" for seed, mhz in result["mhz"].items())
    limit, available = result["limit"], result["available"]
    kinds = (("lut4", "LUT4"), ("block_rams", "block RAMs"), ("dsps", "multipliers"))
    taken = [f"{result[key]} of {available[key]} {name}" for key, name in kinds]
    delay = f"{limit['logic_ns']:.2f} ns logic, {limit['routing_ns']:.2f} ns routing"
    taken.append(f"{result['flip_flops']} flip-flops")
    return [
        f"clock       {result['median_mhz']:.1f} MHz on {result['target']} ({each})",
        f"limited by  {limit['begins']} > {limit['ends']}: {limit['levels']} cells, {delay}",
        f"area        {', '.join(taken)}; {result['lut4_per_lane']:.0f} LUT4 a lane",
        f"report      {folder.synthesis(result['target']) / 'report.json'}",
    ]


def of_profile(result: Values) -> list[str]:
    """One line for each layer."""
    images = result["images"]
    rows = [f"  {'layer':12}{'lanes':>6}{'synops':>12}{'busy':>10}{'sweep':>10}{'utilization':>13}"]
    for row in result["layers"]:
        busy, sweep = (row["counters"][f"{kind}_cycles"] / images for kind in ("busy", "sweep"))
        synops = "-" if row["synops"] is None else f"{row['synops']:.1f}"
        rows.append(
            f"  {row['node']:12}{row['lanes']:>6}{synops:>12}{busy:>10.1f}{sweep:>10.1f}"
            f"{row['utilization']:>13.1%}"
        )
    return [_cycles(result), *rows]


def of_demo(summary: Values, folder: BuildFolder) -> list[str]:
    """The whole story."""
    return [
        _accuracy(summary),
        _size(summary),
        *_links(summary),
        _compared(summary, "Verilog"),
        _predicted(summary),
        *_corners(summary),
        _cycles(summary),
        f"report      {folder.html}",
        *_stuck(summary, f"{summary['images']} images"),
    ]


def _stuck(result: Values, where: str) -> list[str]:
    """A line for each layer that tells nothing about its input."""
    words = {"silent": "is silent", "always": "fires all the time"}
    return [
        f"warning     layer {layer['node']!r} {words[layer['state']]}: "
        f"{layer['spike_rate']:.4f} spikes per neuron and step on {where}"
        for layer in result["stuck_layers"]
    ]


def _links(result: Values) -> list[str]:
    rows = []
    for number, link in enumerate(result["links"]):
        values = link["spikes"] + link["membranes"] + link["logits"]
        head = "" if number else "equality"
        rows.append(
            f"{head:12}{link['link']:26}{values:>11} values, {link['mismatches']} mismatches"
        )
    return rows


def _accuracy(result: Values) -> str:
    if result["accuracy"] is None:
        return f"accuracy    unknown, without labels: {result['stimulus']}"
    return f"accuracy    {result['accuracy']:.2%} on {result['accuracy_images']} images"


def _size(result: Values) -> str:
    return (
        f"network     {result['weight_bits']} bits a weight, density {result['density']:.1%}, "
        f"{result['timesteps']} time steps"
    )


def _compared(result: Values, what: str) -> str:
    return (
        f"compared    {what}, {result['images']} images: {result['compared_spikes']} spikes, "
        f"{result['compared_membranes']} membranes, {result['compared_logits']} logits; "
        f"{result['mismatches']} mismatches"
    )


def _corners(result: Values) -> list[str]:
    """Which corners of the contract no input met; exact ties and clamps are some of them."""
    from spikewright.golden.testing.corners import never_visited

    corners, added = result["corners"], result["corner_images"]
    missed = never_visited(corners)
    line = f"corners     {len(corners) - len(missed)} of {len(corners)} visited"
    line += f", with {added} more inputs" if added else ""
    if not missed:
        return [line]
    remedy = "; verify --corners looks for inputs for the rest" if added is None else ""
    return [line + remedy, f"  never     {', '.join(missed)}"]


def _predicted(result: Values) -> str:
    return (
        f"predicted   {result['compared_cycles']} counters and cycles of logits; "
        f"{result['cycle_differences']} differ from the Verilog's"
    )


def _cycles(result: Values) -> str:
    return (
        f"speed       {result['cycles_per_inference']:.1f} cycles per inference, "
        f"utilization {result['utilization']:.1%}, "
        f"{result['synops']:.1f} synaptic operations per inference"
    )
