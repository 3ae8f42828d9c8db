"""Driver and monitor of a valid/ready stream, with random pauses; clock, reset and deadlines.

Inputs change at the falling edge, so that everything that depends on them has settled at the
rising edge, where a beat is transferred if valid and ready are both 1.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

Pause = Callable[[], bool]
PERIOD_NS = 2
CYCLES = 60_000  # the deadline of every bench


def pauses(rate: float, seed: int) -> Pause:
    """A pause generator: each call draws True with probability `rate` (0..1)."""
    generator = random.Random(seed)
    return lambda: generator.random() < rate


async def start(dut: HierarchyObject, inputs: Iterable[str], release: bool = True) -> None:
    """Starts the clock, sets all `inputs` to 0 and resets for two cycles.

    With `release` false the reset stays active: the caller releases it, and sees the next cycle.
    """
    for name in inputs:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, "ns").start())
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = int(not release)


def known(handle: Any) -> int:
    """The unsigned value of a signal; fails on X and Z."""
    value = handle.value
    assert value.is_resolvable, f"{handle._path} is {value}"
    return int(value)


async def drive(dut: HierarchyObject, port: str, beats: Iterable[int], pause: Pause) -> None:
    """Driver: offers `beats` on stream `port`, each until it is accepted, with random pauses."""
    valid, ready = getattr(dut, f"{port}__valid"), getattr(dut, f"{port}__ready")
    payload = getattr(dut, f"{port}__payload")
    for beat in beats:
        await FallingEdge(dut.clk)
        while pause():
            valid.value = 0
            await FallingEdge(dut.clk)
        valid.value, payload.value = 1, beat
        while True:
            await RisingEdge(dut.clk)
            if known(ready):
                break
    await FallingEdge(dut.clk)
    valid.value = 0


async def monitor(dut: HierarchyObject, port: str, beats: list[int], pause: Pause) -> None:
    """Monitor: drives ready of stream `port` and appends every accepted beat to `beats`, forever.

    Fails if `valid` falls or the payload changes before a beat is accepted.
    """
    valid, ready = getattr(dut, f"{port}__valid"), getattr(dut, f"{port}__ready")
    payload = getattr(dut, f"{port}__payload")
    offered: int | None = None
    while True:
        await FallingEdge(dut.clk)
        ready.value = not pause()
        await RisingEdge(dut.clk)
        if offered is not None:
            assert known(valid), f"{port}: valid fell before the beat was accepted"
            assert known(payload) == offered, (
                f"{port}: the payload changed before the beat was accepted"
            )
        offered = None
        if known(valid):
            if known(ready):
                beats.append(known(payload))
            else:
                offered = known(payload)


async def wait_until(dut: HierarchyObject, condition: Callable[[], bool], what: str) -> None:
    """Waits for `condition`; fails after `CYCLES` cycles, naming `what` did not happen."""
    for _ in range(CYCLES):
        if condition():
            return
        await RisingEdge(dut.clk)
    raise AssertionError(f"deadline: {what}")
