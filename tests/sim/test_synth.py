"""Synthesis: registers packed into block RAMs are proven, block RAMs are what was declared."""

import copy
import json

import numpy as np
import pytest

from golden.edges import Edge, Linear
from golden.errors import BadInput, CheckFailed
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from hw.build import build
from hw.top import Outside
from sim.synth import outreg, rule
from sim.synth.flow import block_memories, limits, synthesise
from sim.synth.targets import target_of

SMALL = target_of("ecp5-25k")


def network() -> Network:
    rng = np.random.default_rng(0)
    return Network(
        2,
        (Input("input", (64,), "events", 1),
         LIF("hidden", (96,), np.full(96, 9), np.zeros(96, int), 1, 3, "subtract", 10),
         Readout("readout", (4,), np.zeros(4, int))),
        (Edge("input", "hidden", (Linear(rng.integers(-8, 8, (96, 64)), 4),)),
         Edge("hidden", "readout", (Linear(rng.integers(-8, 8, (4, 96)), 4),))),
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synth")
    build(network(), folder, 1, outside=Outside(registers=False, counters=False))
    found = synthesise(folder / "rtl", folder / "synth", SMALL, seeds=[1])
    return folder, found


def test_the_rule_is_proven_and_a_wrong_one_is_not():
    rule.prove()
    with pytest.raises(CheckFailed, match="not proven"):
        rule.prove(enabled=False)


def test_block_rams_are_used_and_their_registers_packed(built):
    _, found = built
    assert found.block_memories
    assert all(rams > 0 for rams in found.block_memories.values())
    assert found.packed >= 1
    assert found.rams == found.used["DP16KD"]
    assert 0 < found.luts < SMALL.luts
    assert found.limits


def test_packed_netlists_are_the_old_ones_but_for_the_rule(built):
    folder, found = built
    old = json.loads((folder / "synth" / "netlist.json").read_text())
    packed, ports = outreg.pack(old, "top")
    assert len(ports) == found.packed
    assert not outreg.same(packed, old, "top")
    assert outreg.same(outreg.unpack(packed, old, "top"), old, "top")
    # Anything else that changes is noticed.
    spoiled = copy.deepcopy(packed)
    lut = next(c for c in spoiled["modules"]["top"]["cells"].values() if c["type"] == "LUT4")
    lut["parameters"]["INIT"] = lut["parameters"]["INIT"][::-1] + "1"
    assert not outreg.same(outreg.unpack(spoiled, old, "top"), old, "top")


def test_a_register_with_an_enable_stays(built):
    folder, _ = built
    old = json.loads((folder / "synth" / "netlist.json").read_text())
    cells = old["modules"]["top"]["cells"]
    _, before = outreg.pack(old, "top")
    name, port = before[0].rsplit(".", 1)
    wire = next(w for b in range(18) if (w := cells[name]["connections"].get(f"DO{port}{b}")))
    behind = next(c for c in cells.values() if c["connections"].get("DI") == wire)
    behind["connections"]["CE"] = ["0"]
    behind["port_directions"]["CE"] = "input"
    behind["parameters"]["CEMUX"] = "CE"
    _, after = outreg.pack(old, "top")
    assert before[0] not in after


def test_finished_work_is_kept(built):
    folder, found = built
    stamp = (folder / "synth" / "report_1.json").stat().st_mtime_ns
    again = synthesise(folder / "rtl", folder / "synth", SMALL, seeds=[1])
    assert (folder / "synth" / "report_1.json").stat().st_mtime_ns == stamp
    assert again == found


def test_memories_that_became_something_else_are_found():
    cells = {"a.words.block.words.0.0": {"type": "TRELLIS_DPR16X4"}}
    assert block_memories(cells, SMALL) == {"a.words": 0}


def test_limits_name_cells_without_what_tools_add():
    report = {"critical_paths": [{"from": "a", "to": "a", "path": [
        {"from": {"cell": "x.sum_TRELLIS_FF_Q"}, "to": {"cell": "x.y_LUT4_Z_1"}},
        {"from": {"cell": "x.y_LUT4_Z_1"}, "to": {"cell": "x.z_TRELLIS_FF_Q_2"}},
    ]}]}  # fmt: skip
    assert limits(report) == ["x.sum", "x.y", "x.z"]


def test_refused(tmp_path):
    with pytest.raises(BadInput, match="target is 'z', must be one of ecp5-25k"):
        target_of("z")
    with pytest.raises(BadInput, match=r"filelist.f: not found; make it with `spikewright build`"):
        synthesise(tmp_path, tmp_path / "s", SMALL)
