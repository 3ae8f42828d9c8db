"""Synthesis: registers packed into block RAMs are proven, block RAMs are what was declared."""

import copy
import json
import re
import shutil

import numpy as np
import pytest

from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.golden.network.edges import Edge, Identity, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.testing.random_chain import Limits, random_network
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.hw.system.top import HostInterface
from spikewright.sim.synth import memories, output_registers, output_registers_proof, scripts
from spikewright.sim.synth.flow import synthesise
from spikewright.sim.synth.path import longest
from spikewright.sim.synth.targets import target_of
from spikewright.sim.synth.tools import yosys

SMALL = target_of("ecp5-25k")
LARGE = Limits(side=9, channels=24, units=96, layers=3)


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
    build(network(), folder, BuildOptions(1, host=HostInterface(registers=False, counters=False)))
    found = synthesise(folder, folder / "synth", SMALL, seeds=[1])
    return folder, found


def test_the_rule_is_proven_and_a_wrong_one_is_not():
    output_registers_proof.prove()
    with pytest.raises(CheckFailed, match="not proven"):
        output_registers_proof.prove(enabled=False)


def test_block_rams_are_used_and_their_registers_packed(built):
    _, found = built
    assert found.block_memories
    assert all(rams > 0 for rams in found.block_memories.values())
    assert found.packed >= 1
    assert found.rams == found.used["DP16KD"]
    assert 0 < found.luts < SMALL.luts
    assert found.limit.begins.startswith("core.")
    assert found.limit.ends.startswith("core.")
    assert 1000 / found.median_mhz == pytest.approx(
        found.limit.logic_ns + found.limit.routing_ns, abs=0.1
    )


def test_packed_netlists_are_the_old_ones_but_for_the_rule(built):
    folder, found = built
    old = json.loads((folder / "synth" / "netlist.json").read_text())
    packed, ports = output_registers.pack(old, "top")
    assert len(ports) == found.packed
    assert not output_registers.same(packed, old, "top")
    assert output_registers.same(output_registers.unpack(packed, old, "top"), old, "top")
    # Anything else that changes is noticed.
    spoiled = copy.deepcopy(packed)
    lut = next(c for c in spoiled["modules"]["top"]["cells"].values() if c["type"] == "LUT4")
    lut["parameters"]["INIT"] = lut["parameters"]["INIT"][::-1] + "1"
    assert not output_registers.same(output_registers.unpack(spoiled, old, "top"), old, "top")


def test_a_register_with_an_enable_stays(built):
    folder, _ = built
    old = json.loads((folder / "synth" / "netlist.json").read_text())
    cells = old["modules"]["top"]["cells"]
    _, before = output_registers.pack(old, "top")
    name, port = before[0].rsplit(".", 1)
    wire = next(w for b in range(18) if (w := cells[name]["connections"].get(f"DO{port}{b}")))
    register = next(c for c in cells.values() if c["connections"].get("DI") == wire)
    register["connections"]["CE"] = ["0"]
    register["port_directions"]["CE"] = "input"
    register["parameters"]["CEMUX"] = "CE"
    _, after = output_registers.pack(old, "top")
    assert before[0] not in after


def test_finished_work_is_kept(built):
    folder, found = built
    stamp = (folder / "synth" / "routed_1.json").stat().st_mtime_ns
    again = synthesise(folder, folder / "synth", SMALL, seeds=[1])
    assert (folder / "synth" / "routed_1.json").stat().st_mtime_ns == stamp
    assert again == found


def recurrent() -> Network:
    """300 neurons that see themselves a step later: a queue that is deep enough for a block RAM."""
    given = network()
    rng = np.random.default_rng(1)
    size = 300
    hidden = LIF("hidden", (size,), np.full(size, 9), np.zeros(size, int), 1, 3, "subtract", 10)
    edges = (
        Edge("input", "hidden", (Linear(rng.integers(-8, 8, (size, 64)), 4),)),
        Edge("hidden", "hidden", (Identity(rng.integers(-8, 8, size), 4),), 1),
        Edge("hidden", "readout", (Linear(rng.integers(-8, 8, (4, size)), 4),)),
    )
    return Network(2, (given.nodes[0], hidden, given.nodes[2]), edges)


def branched() -> Network:
    """1024 neurons beside themselves: queues in front of the join that are deep enough too."""
    rng, size = np.random.default_rng(1), 1024

    def edge(source: str, target: str) -> Edge:
        return Edge(source, target, (Identity(rng.integers(1, 8, size), 4),))

    blank = np.zeros(size, int)
    nodes = [LIF(name, (size,), blank + 9, blank, 1, 3, "subtract", 10) for name in "abc"]
    last = Edge("c", "readout", (Linear(rng.integers(-8, 8, (4, size)), 4),))
    edges = (edge("input", "a"), edge("a", "b"), edge("b", "c"), edge("a", "c"), last)
    source, sink = Input("input", (size,), "events", 1), Readout("readout", (4,), blank[:4])
    return Network(2, (source, *nodes, sink), edges)


@pytest.mark.parametrize("make", [recurrent, branched, lambda: random_network(3, LARGE)])
def test_every_memory_of_the_image_is_looked_for(make, tmp_path):
    image = build(make(), tmp_path, BuildOptions(2))
    due = memories.declared(image)
    # The Verilog has as many; that their paths are right, synthesis shows.
    text = (tmp_path / "rtl" / "accelerator.v").read_text()
    assert len(due) == text.count("spikewright_ram #(") > 2
    alone = memories.declared(image, image.cores[0].node)
    assert alone
    assert {f"core.{image.cores[0].node}.{path}" for path in alone} <= due.keys()


def test_memories_that_became_something_else_are_found():
    def cell(kind):
        return {"type": kind}

    cells = {
        "a.b$59.words.block.words.0.0": cell("DP16KD"),
        "a.b$59.words.block.words.0.1": cell("DP16KD"),
        "a.c.block.words.0.0": cell("TRELLIS_DPR16X4"),
        "a.other": cell("LUT4"),
    }
    found = memories.mapped(cells, SMALL)
    assert found == {"a.b.words": 2, "a.c": 0}
    memories.check_mapping({"a.b.words": True}, {"a.b.words": 2})
    with pytest.raises(CheckFailed, match=r"'a\.c': declared as block RAM, mapped to something"):
        memories.check_mapping({"a.b.words": True, "a.c": True}, found)
    with pytest.raises(CheckFailed, match=r"'a\.d': declared as block RAM, removed by synthesis"):
        memories.check_mapping({"a.b.words": True, "a.d": True}, {"a.b.words": 2})
    with pytest.raises(
        CheckFailed, match=r"'a\.b\.words': block RAM that is not in the memory image"
    ):
        memories.check_mapping({}, {"a.b.words": 2})
    memories.check_mapping({"a.b.words": True, "a.same": False}, {"a.b.words": 2})


def test_a_memory_that_nobody_reads_is_missed(built, tmp_path):
    folder, _ = built
    shutil.copytree(folder / "rtl", tmp_path / "rtl")
    shutil.copy(folder / "manifest.json", tmp_path)
    place = tmp_path / "rtl" / "accelerator.v"
    text = place.read_text()
    cut, count = re.subn(r"(\.read_data\()[^)]*(\),\s+\.read_enable)", r"\1\2", text, count=1)
    assert count == 1
    place.write_text(cut)
    with pytest.raises(CheckFailed, match="declared as block RAM, removed by synthesis"):
        synthesise(tmp_path, tmp_path / "synth", SMALL, seeds=[1])


@pytest.mark.parametrize(
    ("statement", "chains"),
    [
        ("a + b", 0), ("a - b", 0), ("{4'd0, a < b}", 0), ("{4'd0, a >= b}", 0),
        ("w + v", 1), ("{w < v, 4'd0}", 1),
    ],
)  # fmt: skip
def test_small_sums_and_comparisons_need_no_carry_chain(tmp_path, statement, chains):
    width = 8 if "w + v" in statement else 5
    (tmp_path / "top.v").write_text(f"""
        module top(input clk, input [4:0] a, input [4:0] b, input [7:0] v, input [7:0] w,
                   output reg [{width - 1}:0] y);
            always @(posedge clk) y <= {statement};
        endmodule""")
    yosys(tmp_path, scripts.netlist(["top.v"], scripts.Part(), "ecp5"))
    cells = json.loads((tmp_path / "netlist.json").read_text())["modules"]["top"]["cells"]
    kinds = {cell["type"] for cell in cells.values()}
    assert ("CCU2C" in kinds) == bool(chains)
    assert "LUT4" in kinds or chains


def test_a_path_is_named_by_its_registers():
    def segment(kind, delay, here, there):
        return {"type": kind, "delay": delay, "from": {"cell": here}, "to": {"cell": there}}

    inside = {"from": "posedge clk", "to": "posedge clk", "path": [
        segment("clk-to-q", 0.5, "$auto$ff.cc:1$2", "$auto$ff.cc:1$2"),
        segment("routing", 0.75, "$auto$ff.cc:1$2", "x$12.sum_LUT4_Z_1"),
        segment("logic", 0.25, "x$12.sum_LUT4_Z_1", "x$12.sum_LUT4_Z_1"),
        segment("routing", 0.5, "x$12.sum_LUT4_Z_1", "$abc$7$lut$x.y"),
        segment("logic", 0.25, "$abc$7$lut$x.y", "$abc$7$lut$x.y"),
        segment("routing", 0.5, "$abc$7$lut$x.y", "x.y_CCU2C_S0"),
        segment("setup", 0.25, "x.words.block.words.0.0", "x.words.block.words.0.0"),
    ]}  # fmt: skip
    out = inside | {"to": "<async>", "path": inside["path"][:2]}
    found = longest({"critical_paths": [out, inside]})
    assert (found.begins, found.through, found.ends) == ("x.sum", ("x.y",), "x.words")
    assert (found.levels, found.logic_ns, found.routing_ns) == (2, 1.25, 1.75)
    assert found.text == "x.sum > x.words"


def test_refused(built, tmp_path):
    with pytest.raises(BadInput, match="target is 'z', must be one of ecp5-25k"):
        target_of("z")
    with pytest.raises(BadInput, match=r"manifest.json"):
        synthesise(tmp_path, tmp_path / "s", SMALL)
    shutil.copy(built[0] / "manifest.json", tmp_path)
    shutil.copytree(built[0] / "rtl", tmp_path / "rtl")
    (tmp_path / "rtl" / "filelist.f").unlink()
    with pytest.raises(
        BadInput, match=r"filelist.f: is missing, must be of this build; build again"
    ):
        synthesise(tmp_path, tmp_path / "s", SMALL)
