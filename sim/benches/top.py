"""`top` of a build without registers: AXI4-Stream events in, logits out, counters and resets.

`top.json` in the simulation's folder holds the stimulus and the expected beats.
"""

from __future__ import annotations

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from spikewright.sim.benches.stream import CYCLES, PERIOD_NS, Pause, known, pauses


def plan() -> dict:
    return json.loads(Path("top.json").read_text())


async def reset(dut) -> None:
    await FallingEdge(dut.aclk)
    dut.aresetn.value, dut.in_tvalid.value, dut.out_tready.value = 0, 0, 0
    await ClockCycles(dut.aclk, 2)
    await FallingEdge(dut.aclk)
    dut.aresetn.value = 1


async def start(dut) -> None:
    for name in ("in_tdata", "in_tlast", "perf_select", "perf_clear"):
        getattr(dut, name).value = 0
    cocotb.start_soon(Clock(dut.aclk, PERIOD_NS, "ns").start())
    await reset(dut)


async def drive(dut, beats: list[list[int]], pause: Pause) -> None:
    """Driver: offers `beats` (last, data) on the input, each until it is accepted."""
    for last, data in beats:
        await FallingEdge(dut.aclk)
        while pause():
            dut.in_tvalid.value = 0
            await FallingEdge(dut.aclk)
        dut.in_tvalid.value, dut.in_tlast.value, dut.in_tdata.value = 1, last, data
        await RisingEdge(dut.aclk)
        while not known(dut.in_tready):
            await RisingEdge(dut.aclk)
    await FallingEdge(dut.aclk)
    dut.in_tvalid.value = 0


async def monitor(dut, count: int, pause: Pause) -> list[list[int]]:
    """Monitor: the next `count` beats (last, data); checks that each is stable until ready."""
    beats, waiting = [], None
    for _ in range(CYCLES):
        await FallingEdge(dut.aclk)
        dut.out_tready.value = int(not pause())
        await RisingEdge(dut.aclk)
        if known(dut.out_tvalid):
            beat = [known(dut.out_tlast), known(dut.out_tdata)]
            assert waiting in (None, beat), f"a waiting beat changed from {waiting} to {beat}"
            waiting = None if known(dut.out_tready) else beat
            if waiting is None:
                beats.append(beat)
        else:
            assert waiting is None, "a waiting beat was withdrawn"
        if len(beats) == count:
            return beats
    raise AssertionError(f"{len(beats)} of {count} beats after {CYCLES} cycles")


async def infer(dut, rate: float) -> None:
    expected = plan()["outputs"]
    cocotb.start_soon(drive(dut, plan()["inputs"], pauses(rate, 1)))
    assert await monitor(dut, len(expected), pauses(rate, 2)) == expected


async def clear_counters(dut) -> None:
    await FallingEdge(dut.aclk)
    dut.perf_clear.value = 1
    await FallingEdge(dut.aclk)
    dut.perf_clear.value = 0


async def check_counters(dut) -> None:
    """The counters of events and synaptic operations are golden's."""
    await ClockCycles(dut.aclk, 4)
    for select, value in plan()["counters"]:
        dut.perf_select.value = select
        await ClockCycles(dut.aclk, 2)
        await FallingEdge(dut.aclk)
        assert known(dut.perf_value) == value, f"counter {select}"


@cocotb.test()
async def logits_come_as_golden_says(dut):
    await start(dut)
    await infer(dut, 0.0)


@cocotb.test()
async def pauses_change_nothing(dut):
    await start(dut)
    await infer(dut, 0.5)


@cocotb.test()
async def a_reset_in_mid_inference_leaves_no_trace(dut):
    await start(dut)
    for cycles in (40, 200, 411):
        sender = cocotb.start_soon(drive(dut, plan()["inputs"], pauses(0.2, cycles)))
        await ClockCycles(dut.aclk, cycles)
        sender.cancel()
        await reset(dut)
    await infer(dut, 0.0)


@cocotb.test()
async def counters_are_read_by_number(dut):
    await start(dut)
    await clear_counters(dut)
    await infer(dut, 0.0)
    await check_counters(dut)


@cocotb.test()
async def events_outside_the_map_change_nothing(dut):
    await start(dut)
    inputs, expected = plan()["inputs"], plan()["outputs"]
    for outside in plan()["outside"]:
        await clear_counters(dut)
        mixed = [beat for each in inputs for beat in ([0, outside], each)]
        cocotb.start_soon(drive(dut, mixed, pauses(0.3, 3)))
        assert await monitor(dut, len(expected), pauses(0.3, 4)) == expected
        await check_counters(dut)
