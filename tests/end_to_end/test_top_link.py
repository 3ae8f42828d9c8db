"""`verify` drives `top` through its AXI ports too: the last link of the chain, what it finds."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import spikewright
from spikewright import api, top_link
from spikewright.driver import Accelerator
from spikewright.golden.image.host_interface import HostInterface

LINK = "Verilog == top over AXI"
INPUTS = np.array([[3, 2], [15, 15], [1, 9], [0, 0]])


@pytest.fixture(scope="module")
def built(small_network: spikewright.Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with its simulations. Tests copy it where they change it."""
    folder = tmp_path_factory.mktemp("built") / "small"
    spikewright.build(small_network, folder, stimulus=spikewright.Stimulus(INPUTS))
    return folder


@pytest.fixture(scope="module")
def verified(built: Path) -> tuple[spikewright.Verification, list[str]]:
    said: list[str] = []
    options = spikewright.SimulationOptions(stalls=(0, 40))
    result = spikewright.verify(built, options, progress=lambda *call: said.append(call[2]))
    return result, said


def test_the_last_link_is_that_of_top(verified) -> None:
    result, said = verified
    *inner, last = result.links
    assert result.mismatches == 0
    assert [link.name for link in inner][-1] == "memory image == Verilog"
    assert last.as_dict() == {
        "link": LINK, "images": 2, "spikes": 0, "membranes": 0, "logits": 4, "mismatches": 0,
        "first_mismatch": None,
    }  # fmt: skip
    # What `compared` says is of the Verilog inside, where every value is seen.
    assert result.compared_logits == inner[-1].logits == 2 * 4 * 2
    assert said[-3:] == [
        "building the verilator simulation of top",
        "simulating 2 inputs through the AXI ports of top", "simulated",
    ]  # fmt: skip


def test_both_simulations_are_found_again(built: Path, verified) -> None:
    def builds() -> dict[str, float]:
        listed = (built / "sim" / "verilator").glob("*/inputs.txt")
        return {path.parent.name: path.stat().st_mtime for path in listed}

    before = builds()
    assert len(before) == 2
    assert spikewright.verify(built, images=1).links[-1].images == 1
    assert builds() == before


def with_faulty_top(built: Path, folder: Path) -> Path:
    """A copy whose `top` turns a bit of every logit around, and whose manifest lists that `top`."""
    shutil.copytree(built, folder, ignore=shutil.ignore_patterns("report"))
    top, manifest = folder / "rtl" / "top.v", json.loads((folder / "manifest.json").read_text())
    text, times = re.subn(
        r"assign m_axis_logits_tdata = (.*);", r"assign m_axis_logits_tdata = (\1) ^ 32'd2;",
        top.read_text(),
    )  # fmt: skip
    assert times == 1
    top.write_text(text)
    manifest["files"]["top.v"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_fault_of_top_is_named_by_its_link_alone(
    command, built: Path, verified, tmp_path: Path
) -> None:
    folder = with_faulty_top(built, tmp_path / "faulty")
    outcome = command("verify", folder, "--images", "2", "--json")
    assert outcome.code == 1
    broken = {each["link"]: each["mismatches"] for each in outcome.json["links"]}
    assert {name: count for name, count in broken.items() if count} == {LINK: 4}
    assert outcome.json["mismatches"] == 4
    assert outcome.json["first_mismatch"].startswith(f"{LINK}: image 0, step 0, node 'logits'")
    assert outcome.err.endswith(f"4 values differ; first: {outcome.json['first_mismatch']}\n")
    assert command("verify", folder, "--images", "2", "--no-top").code == 0


def test_an_error_flag_of_top_fails_the_check(built: Path, verified, monkeypatch) -> None:
    monkeypatch.setattr(Accelerator, "errors", lambda self: ("event_rejected",))
    with pytest.raises(spikewright.CheckFailed, match="top sets the error flags event_rejected"):
        spikewright.verify(built, images=1)


def test_without_registers_or_wish_there_is_no_such_link(
    small_network: spikewright.Network, built: Path, verified, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def never(*given: object) -> None:
        raise AssertionError("top was simulated")

    monkeypatch.setattr(api, "top_link", never)
    inner = "memory image == Verilog"
    options = spikewright.SimulationOptions(top=False)
    assert spikewright.verify(built, options, images=1).links[-1].name == inner
    bare = spikewright.BuildOptions(host=HostInterface(registers=False))
    stimulus = spikewright.Stimulus(INPUTS[:1])
    spikewright.build(small_network, tmp_path / "bare", bare, stimulus)
    assert spikewright.verify(tmp_path / "bare").links[-1].name == inner


def test_one_image_is_enough(built: Path, verified, small_network: spikewright.Network) -> None:
    trace = spikewright.run(small_network, INPUTS[2:3])
    inputs = small_network.check_inputs(INPUTS[2:3])
    link = top_link.top_link(built, inputs, trace, spikewright.SimulationOptions())
    assert (link.images, link.logits, link.mismatches) == (1, 2, 0)
