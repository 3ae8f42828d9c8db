"""Streams seen from cocotb: a source, a sink that checks the rules, random pauses on both sides.

Inputs change at the falling edge, so that whatever depends on them is settled at the rising edge,
where beats are taken.
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
    """A fresh random decision per call, true with probability `rate`."""
    generator = random.Random(seed)
    return lambda: generator.random() < rate


async def start(dut: HierarchyObject, inputs: Iterable[str], release: bool = True) -> None:
    """Clock on, all `inputs` 0, reset for two cycles; it stays if the caller is to `release` it."""
    for name in inputs:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, "ns").start())
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = int(not release)


def known(handle: Any) -> int:
    """The unsigned value of a signal; fails on X."""
    value = handle.value
    assert value.is_resolvable, f"{handle._path} is {value}"
    return int(value)


async def send(dut: HierarchyObject, port: str, beats: Iterable[int], pause: Pause) -> None:
    """Offer `beats` on stream `port`, each until it is taken, with pauses between them."""
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


async def receive(dut: HierarchyObject, port: str, taken: list[int], pause: Pause) -> None:
    """Append every beat of stream `port` to `taken`, for ever.

    Fails if `valid` falls or the payload changes before a beat is taken.
    """
    valid, ready = getattr(dut, f"{port}__valid"), getattr(dut, f"{port}__ready")
    payload = getattr(dut, f"{port}__payload")
    offered: int | None = None
    while True:
        await FallingEdge(dut.clk)
        ready.value = not pause()
        await RisingEdge(dut.clk)
        if offered is not None:
            assert known(valid), f"{port}: valid fell before the beat was taken"
            assert known(payload) == offered, (
                f"{port}: the payload changed before the beat was taken"
            )
        offered = None
        if known(valid):
            if known(ready):
                taken.append(known(payload))
            else:
                offered = known(payload)


async def until(dut: HierarchyObject, condition: Callable[[], bool], what: str) -> None:
    """Wait for `condition`, at most `CYCLES`."""
    for _ in range(CYCLES):
        if condition():
            return
        await RisingEdge(dut.clk)
    raise AssertionError(f"deadline: {what}")
