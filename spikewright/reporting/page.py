"""The report: one HTML file that needs no other, made from `summary.json` and one traced image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from numpy.typing import NDArray

from spikewright.golden.network.trace import Trace
from spikewright.golden.testing.corners import never_visited
from spikewright.reporting import charts, spike_maps
from spikewright.reporting.shapes import quantity

Values = Mapping[str, Any]

CYCLE_LEGEND = (
    ("busy", "adding a weight to a membrane"),
    ("sweep", "thresholds, resets, leaks, bias at the end of a step"),
    ("waiting", "no event to work on yet"),
    ("stalled", "the next core does not take its spikes"),
    ("idle", "between inferences"),
)

# Each link of the chain, the models at its two ends, and where they live.
CHAIN = (
    ("torch", "model/"),
    ("reference", "golden/"),
    ("engine", "golden/"),
    ("memory image", "golden/"),
    ("Verilog", "hw/ in sim/"),
)
TOP = ("top over AXI", "through a board's driver")  # of builds that have registers


@dataclass(frozen=True, eq=False)
class Shown:
    """The one image that is drawn: its input, what it did in every layer, its class if known."""

    frame: NDArray[Any]
    trace: Trace
    label: int | None
    name: str


def render(summary: Values, shown: Shown) -> str:
    """The report as HTML text; the same arguments give the same bytes.

    Parameters
    ----------
    summary
        What `spikewright.reporting.summary.gather` returns.
    shown
        The image whose spikes are drawn; its trace holds that image alone.
    """
    loader = jinja2.PackageLoader("spikewright.reporting", "templates")
    page = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=False, lstrip_blocks=False,
    )  # fmt: skip
    page.filters.update(num=_number, percent=_percent, rate=_rate)
    layers = summary["layers"]
    return page.get_template("report.html.j2").render(
        s=summary,
        title=f"{summary['name']}: {_shape_line(layers)}",
        compared=sum(summary[f"compared_{what}"] for what in ("spikes", "membranes", "logits")),
        first=summary["first_mismatch"],
        figures=_figures(summary),
        chain=_chain(summary["links"]),
        corners=_corners(summary["corners"]),
        totals=_totals(layers),
        raster=_raster(shown),
        raster_caption=_raster_caption(shown, summary),
        cycles_chart=charts.cycles([(r["node"], r["lanes"], r["cycles"]) for r in layers]),
        cycles_caption=_cycles_caption(summary),
        cycle_legend=CYCLE_LEGEND,
        energy_groups=_energy_groups(summary["energy"]),
        energy_notes=_energy_notes(summary["energy"]),
        provenance=[(name, str(value)) for name, value in summary["provenance"].items()],
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return quantity(round(value, 1) if abs(value) < 1000 else round(value))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _shape_line(layers: Sequence[Values]) -> str:
    return " → ".join([layers[0]["source_shape"], *(row["shape"] for row in layers)])


def _figures(summary: Values) -> list[tuple[str, str]]:
    accuracy, steps = summary["accuracy"], summary["timesteps"]
    first = ("–", "accuracy: inputs without labels")
    if accuracy is not None:
        first = (f"{accuracy:.2%}", f"accuracy on {summary['accuracy_images']} test images")
    return [
        first,
        (str(summary["weight_bits"]), "bits a weight, at most"),
        (f"{summary['density']:.1%}", "of the weights are kept"),
        (str(steps), f"time step{'s' if steps > 1 else ''}"),
        (_number(summary["cycles_per_inference"]), "cycles per inference"),
        (_number(summary["synops"]), "synaptic operations per inference"),
        (f"{summary['utilization']:.1%}", "utilization: operations per lane and cycle"),
    ]


def _chain(links: Sequence[Values]) -> list[dict[str, Any]]:
    """Nodes and links in turn; a link that this build did not compare says so."""
    known = {tuple(link["link"].split(" == ")): link for link in links}
    nodes = (*CHAIN, TOP) if any(right == TOP[0] for _, right in known) else CHAIN
    parts: list[dict[str, Any]] = []
    for place, (node, where) in enumerate(nodes):
        if place:
            link = known.get((nodes[place - 1][0], node))
            if link is None:
                parts.append({"kind": "none", "sign": "?"})
            else:
                bad = link["mismatches"] > 0
                parts.append(
                    {**link, "kind": "bad" if bad else "good", "sign": "≠" if bad else "="}
                )
        parts.append({"node": node, "where": where})
    return parts


def _corners(visits: Mapping[str, int]) -> str:
    missed = never_visited(visits)
    met = f"These inputs visited {len(visits) - len(missed)} of the {len(visits)} corners of the "
    met += "contract that the network has"
    return f"{met}, all but: {', '.join(missed)}." if missed else f"{met}."


def _totals(layers: Sequence[Values]) -> dict[str, int]:
    return {
        "neurons": sum(row["neurons"] for row in layers),
        "weights": sum(row["weights"] for row in layers),
        "kept": sum(row["kept"] for row in layers),
        "lanes": sum(row["lanes"] for row in layers),
        "memory_bits": sum(row["memory_bits_total"] for row in layers),
    }


def _raster(shown: Shown) -> str:
    spikes = {name: fired[0] for name, fired in shown.trace.spikes.items()}
    last = list(shown.trace.membranes.values())[-1][0]
    return spike_maps.spike_maps(shown.frame, spikes, last.reshape(len(last), -1), shown.label)


def _raster_caption(shown: Shown, summary: Values) -> str:
    found = int(shown.trace.predictions[0])
    is_class = "" if shown.label is None else f", whose class is {shown.label},"
    small = summary["timesteps"] <= spike_maps.MAPS_UP_TO
    how = (
        "Every square is a spike; a panel is a channel"
        if small
        else "Every mark is a spike; time runs to the right, neurons downwards"
    )
    return (
        f"{shown.name}{is_class} and read as {found}. {how}. "
        "The readout never fires: its membranes are shown."
    )


def _cycles_caption(summary: Values) -> str:
    pace, latency = summary["cycles_per_inference"], summary["latency_cycles"]
    return (
        "Read from the counters of the simulated hardware, averaged over "
        f"{summary['profile_images']} images. Cores work at the same time, on different steps and "
        f"images, so the longest bar sets the pace: {_number(pace)} cycles per inference in a full "
        f"pipeline, {_number(latency)} from an image's first event to its last logit."
    )


def _energy_groups(energy: Values) -> list[dict[str, str]]:
    """One chart for each number format: this network, and the same layers as an ANN."""
    totals, layers = energy["totals_per_inference"], energy["layers"]
    spiking = _operations(
        sum(row["synops"] for row in layers if not row["multiplies"]),
        sum(row["synops"] for row in layers if row["multiplies"]),
    )
    dense = sum(row["dense_macs"] for row in layers)
    pruned = sum(row["dense_macs"] * row["density"] for row in layers)
    groups = []
    for price in ("fp32", "int8"):
        rows = [
            ("This network", spiking, totals[f"snn_{price}_pj"] / 1000, "bar-snn"),
            ("Pruned ANN", _operations(0, pruned), totals[f"pruned_{price}_pj"] / 1000, "bar-ann"),
            ("Dense ANN", _operations(0, dense), totals[f"dense_{price}_pj"] / 1000, "bar-ann"),
        ]
        known = energy["prices"][price]
        title = (
            f"{known['number'].capitalize()}: {known['add_pj']:g} pJ an addition, "
            f"{known['mac_pj']:g} pJ a multiply-add"
        )
        groups.append({"title": title, "chart": charts.bars(rows, "nJ")})
    return groups


def _operations(additions: float, multiplications: float) -> str:
    parts = ((additions, "additions"), (multiplications, "multiply-adds"))
    return ", ".join(f"{_number(round(count))} {name}" for count, name in parts if count)


def _energy_notes(energy: Values) -> list[str]:
    prices = [
        f"{price['number']}: addition {price['add_pj']:g} pJ, multiplication "
        f"{price['multiply_pj']:g} pJ. Source: {price['source']}."
        for name, price in energy["prices"].items()
        if name in ("fp32", "int8")
    ]
    return [*prices, *(line[0].upper() + line[1:] + "." for line in energy["assumptions"])]
