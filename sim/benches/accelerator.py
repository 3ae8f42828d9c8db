"""Batches of inferences through one or several accelerators, back to back, under random stalls.

Drivers and monitors are Verilog (`sim.harness.testbench`), so that Python does not run in every
cycle. This module sets a run up, waits for its end and reports what failed: a violation of the
handshake, or a deadlock and where it is stuck. The scoreboard compares the captured files later
(`sim.harness.capture`).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

from spikewright.golden.image.counters import STRIDE
from spikewright.sim.benches import SETTINGS
from spikewright.sim.harness.counters import READ_LAG
from spikewright.sim.harness.testbench import VIOLATIONS

PERIOD_NS = 2
READY_CYCLES = 200_000  # more than any init sweep takes


@cocotb.test()
async def inferences(dut: HierarchyObject) -> None:
    """Runs the settings of $SPIKEWRIGHT_BENCH once, writes `result.json`, and fails on any failure.

    With `reset_after` a reset aborts the run after that many cycles, and the run starts anew.
    """
    settings = json.loads(os.environ[SETTINGS])
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, "ns").start())
    for name in ("go", "wake", "count_select", "count_clear"):
        getattr(dut, name).value = 0
    for name in ("rate", "seed", "inferences", "patience"):
        getattr(dut, name).value = settings[name]
    await reset(dut)
    if settings.get("reset_after"):
        await ready(dut)
        dut.go.value = 1
        await ClockCycles(dut.clk, settings["reset_after"])
        await reset(dut)
    await ready(dut)
    await clear_counters(dut)
    dut.go.value = 1
    await RisingEdge(dut.finished)
    await RisingEdge(dut.clk)
    results = [status(dut, index, about) for index, about in enumerate(settings["accelerators"])]
    if not any(result["failure"] for result in results):
        await read_counters(dut, results)
    Path("result.json").write_text(json.dumps(results, sort_keys=True))
    for result in results:
        assert not result["failure"], result["failure"]


async def reset(dut: HierarchyObject) -> None:
    """Resets for three cycles, with the drivers stopped."""
    dut.rst.value = 1
    dut.go.value = 0
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


async def ready(dut: HierarchyObject) -> None:
    """Waits until the initial sweeps are done and every accelerator accepts events."""
    await RisingEdge(dut.clk)
    if dut.ready.value != 1:
        limit = Timer(READY_CYCLES * PERIOD_NS, "ns")
        assert await First(RisingEdge(dut.ready), limit) is not limit, (
            "in_ready does not rise after reset"
        )
    await RisingEdge(dut.clk)


async def clear_counters(dut: HierarchyObject) -> None:
    """Clears all counters with one pulse on `count_clear`."""
    dut.count_clear.value = 1
    await RisingEdge(dut.clk)
    dut.count_clear.value = 0


def status(dut: HierarchyObject, index: int, about: dict) -> dict:
    """The state of bench `index` at the end; `failure` is "" or one line that says what failed."""
    bench, cores = getattr(dut, f"bench_{index}"), about["cores"]
    value = {
        name: int(getattr(bench, name).value)
        for name in ("cycle", "began", "cleared", "sent", "received", "completed", "stuck", "held")
    }
    beats = [int(getattr(bench, f"beats_{i}").value) for i in range(len(cores))]
    code, failure = int(bench.violation.value), ""
    if code:
        failure = f"protocol: {VIOLATIONS[code]}, in cycle {int(bench.violation_cycle.value)}"
        which = int(bench.broken_first.value)
        failure += "".join(
            f", stream {name!r}" for bit, name in enumerate(about["streams"]) if which >> bit & 1
        )
    elif value["stuck"]:
        swept = ", ".join(f"{core} {count}" for core, count in zip(cores, beats, strict=True))
        more = "" if int(bench.exhausted.value) else " and another one waits"
        failure = (
            f"stuck: nothing moved for {int(bench.quiet.value)} cycles; {value['sent']} input "
            f"beats accepted{more}, membrane words swept: {swept}; "
            f"{value['completed']} inferences complete"
        )
    share = value["held"] / (about["held"] * max(value["cycle"], 1))
    return {"failure": failure, "cores": cores, "beats": beats, "stall_share": share, **value}


async def read_counters(dut: HierarchyObject, results: list[dict]) -> None:
    """Adds `counters` (the value of every register) and `counted_cycles` to each result.

    The registers are read one by one while the cycle counters keep counting. The accelerator is
    idle by then, so a second pass shows which registers count, and their values are corrected to
    the cycle in which the first register of their core was read.
    """
    dut.wake.value = 1
    await ClockCycles(dut.clk, 4)
    most = max(len(result["cores"]) for result in results) * STRIDE
    passes: list[list[list[tuple[int, int]]]] = []
    for _ in range(2):
        values: list[list[tuple[int, int]]] = [[] for _ in results]
        for register in range(most):
            dut.count_select.value = register
            await ClockCycles(dut.clk, 2)
            for index in range(len(results)):
                bench = getattr(dut, f"bench_{index}")
                values[index].append((int(bench.count_value.value), int(bench.age.value)))
        passes.append(values)
    for result, first, second in zip(results, *passes, strict=True):
        count = len(result["cores"]) * STRIDE
        result["counters"] = []
        result["counted_cycles"] = []
        for register in range(count):
            value, age = first[register]
            begin = first[register - register % STRIDE][1]
            moved, passed = second[register][0] - value, second[register][1] - age
            if moved not in (0, passed):
                result["failure"] = (
                    f"counter register {register} still moves after the end of the run"
                )
            result["counters"].append(value - (age - begin) * (moved == passed))
            if register % STRIDE == 0:
                result["counted_cycles"].append(age - READ_LAG)
