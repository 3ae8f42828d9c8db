"""The demo: everything is there, everything is equal, nothing is done twice."""

# Through these also reporting.charts, reporting.page, reporting.spike_maps, reporting.summary,
# step_cache, training_check.

from __future__ import annotations

import json
import re
from pathlib import Path

KEYS = (
    "accuracy", "timesteps", "weight_bits", "density", "images", "compared_spikes",
    "compared_membranes", "compared_logits", "mismatches", "cycles_per_inference", "utilization",
    "synops",
)  # fmt: skip


def test_summary_has_the_promised_keys_with_sense_in_them(demo_folder: Path) -> None:
    summary = json.loads((demo_folder / "report" / "summary.json").read_text())
    assert set(KEYS) <= set(summary)
    assert summary["mismatches"] == 0
    assert summary["images"] == 20
    assert summary["compared_spikes"] == 20 * 2 * 4 * 8 * 8
    assert summary["compared_membranes"] == 20 * 2 * (4 * 8 * 8 + 10)
    assert summary["compared_logits"] == 20 * 10
    assert 0.5 < summary["accuracy"] <= 1
    assert summary["accuracy_images"] == 360
    assert summary["timesteps"] == 2
    assert summary["weight_bits"] == 3
    assert 0 < summary["density"] <= 0.5
    assert 0 < summary["utilization"] <= 1
    assert summary["synops"] > 0
    assert summary["cycles_per_inference"] > 0


def test_every_link_of_the_chain_was_compared(demo_folder: Path) -> None:
    links = json.loads((demo_folder / "report" / "summary.json").read_text())["links"]
    assert [link["link"] for link in links] == [
        "torch == reference",
        "reference == engine",
        "engine == memory image",
        "memory image == Verilog",
        "Verilog == top over AXI",
    ]
    for link in links[:-1]:
        assert link["spikes"] > 0
        assert link["membranes"] > 0
    for link in links:
        assert link["logits"] > 0
        assert link["mismatches"] == 0


def test_the_network_fired_and_kept_silent(demo_folder: Path) -> None:
    layers = json.loads((demo_folder / "report" / "summary.json").read_text())["layers"]
    rates = [row["spike_rate"] for row in layers if row["spike_rate"] is not None]
    assert rates
    assert all(0 < rate < 1 for rate in rates)


def test_cycles_are_accounted_for(demo_folder: Path) -> None:
    summary = json.loads((demo_folder / "report" / "summary.json").read_text())
    profile = json.loads((demo_folder / "report" / "profile.json").read_text())
    counted = sum(row["counters"]["synops"] for row in profile["layers"])
    assert counted / profile["images"] == summary["synops"] > 0
    for row in profile["layers"]:
        counters = row["counters"]
        # One lane adds at most one weight in a cycle.
        assert counters["synops"] <= row["lanes"] * counters["busy_cycles"]
        assert counters["busy_cycles"] > 0


def test_the_report_needs_no_other_file(demo_folder: Path) -> None:
    page = (demo_folder / "report" / "report.html").read_text()
    assert not re.search(r"(src|href)\s*=|@import|url\(|https?://", page)
    assert page.count("<svg") >= 3
    for word in ("Bit-exact", "torch == reference", "Utilization", "Provenance"):
        assert word in page


def test_the_report_names_no_place_and_no_time(demo_folder: Path) -> None:
    for path in (demo_folder / "report").iterdir():
        text = path.read_text()
        assert str(demo_folder) not in text
        assert str(Path.home()) not in text


def test_a_second_demo_does_nothing_again(command, demo_folder: Path, tiny_recipe: Path) -> None:
    arguments = ("demo", "--recipe", tiny_recipe, "--out", demo_folder, "--images", 20, "--json")
    assert command(*arguments).code == 0  # other tests may have verified the folder otherwise
    before = (demo_folder / "report" / "summary.json").read_bytes()
    again = command(*arguments)
    assert again.code == 0
    assert again.err.count("kept") == 5
    assert re.search(r"\[6/6\] report \.+ ok", again.err)
    assert (demo_folder / "report" / "summary.json").read_bytes() == before
    assert again.json["mismatches"] == 0


def test_changed_input_is_worked_on_again(command, demo_folder: Path, tiny_recipe: Path) -> None:
    again = command("verify", demo_folder, "--images", 5, "--stall", "25", "--json")
    assert again.code == 0
    assert "kept" not in again.err
    assert again.json["images"] == 5
    assert again.json["stalls_percent"] == [25]
    command("demo", "--recipe", tiny_recipe, "--out", demo_folder, "--images", 20)


def test_nothing_half_written_is_left(demo_folder: Path) -> None:
    leftovers = [
        path
        for path in demo_folder.rglob("*")
        if path.name.endswith((".part", ".tmp")) or re.match(r"\..*[.-]", path.name)
    ]
    assert leftovers == []
