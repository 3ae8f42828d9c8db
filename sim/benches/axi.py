"""The test bench of `top` with independent bus models (cocotbext-axi) on every AXI port.

Drivers are the bus models; a monitor on every channel checks the handshake rules of the AXI
specification (ARM IHI 0022, A3.2: valid and payload are stable until ready). Stimulus and expected
logits are in `axi.json` in the simulation's folder, written by tests/sim/test_axi.py.
"""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)  # fmt: skip

from spikewright.golden.image.registers import pack, register, unpack
from spikewright.sim.benches.stream import PERIOD_NS, known

PATIENCE_US = 300
CHANNELS = {
    "s_axis_events": ("t", ("tdata", "tlast")),
    "s_axis_load": ("t", ("tdata", "tlast")),
    "m_axis_logits": ("t", ("tdata", "tlast")),
    "s_axi_aw": ("", ("addr",)), "s_axi_w": ("", ("data", "strb")), "s_axi_b": ("", ("resp",)),
    "s_axi_ar": ("", ("addr",)), "s_axi_r": ("", ("data", "resp")),
}  # fmt: skip


def plan() -> dict:
    return json.loads(Path("axi.json").read_text())


def errors(*names: str) -> int:
    return pack("ERRORS", **dict.fromkeys(names, 1))


class Bench:
    """Clock, reset, a driver on every port of `top`, and a protocol monitor on every channel."""

    def __init__(self, dut, seed: int = 1):
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        self.dut, self.plan, self.random = dut, plan(), random.Random(seed)
        self.clock, self.reset_line = dut.aclk, dut.aresetn
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        dut.aresetn.value = 0
        cocotb.start_soon(Clock(dut.aclk, PERIOD_NS, "ns").start())
        self.lite = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, **reset)
        beat = {"byte_lanes": 1}
        self.events = AxiStreamSource(
            AxiStreamBus.from_prefix(dut, "s_axis_events"), dut.aclk, **reset, **beat
        )
        self.logits = AxiStreamSink(
            AxiStreamBus.from_prefix(dut, "m_axis_logits"), dut.aclk, **reset
        )
        if hasattr(dut, "s_axis_load_tdata"):
            self.load = AxiStreamSource(
                AxiStreamBus.from_prefix(dut, "s_axis_load"), dut.aclk, **reset, **beat
            )
        for name, (letter, payload) in CHANNELS.items():
            if hasattr(dut, f"{name}_{letter}valid" if letter else f"{name}valid"):
                cocotb.start_soon(self.monitor(name, letter, payload))

    async def monitor(self, name: str, letter: str, payload: tuple[str, ...]) -> None:
        """Checks that valid and payload are stable until ready, and never X."""
        prefix = f"{name}_" if letter else name
        valid, ready = (getattr(self.dut, f"{prefix}{letter}{part}") for part in ("valid", "ready"))
        signals = [getattr(self.dut, f"{prefix}{part}") for part in payload]
        waiting = None
        while True:
            await RisingEdge(self.clock)
            if not known(self.reset_line):
                waiting = None
                continue
            shown = [known(signal) for signal in signals] if known(valid) else None
            assert waiting is None or shown == waiting, (
                f"{name}: valid or payload changed before the beat was accepted"
            )
            waiting = shown if shown is not None and not known(ready) else None

    async def start(self) -> Bench:
        await self.reset()
        return self

    async def begin(self) -> None:
        """Loads the first network, where the build is loadable, and enables the accelerator."""
        if self.plan["loadable"] and not await self.status("loaded"):
            assert await self.load_network(self.plan["first"]["load"]) == 0
        await self.control(enable=1)

    async def reset(self) -> None:
        self.reset_line.value = 0
        await ClockCycles(self.clock, 3)
        self.reset_line.value = 1
        await ClockCycles(self.clock, 2)

    def pause(self, rate: float) -> None:
        """Makes every channel of every driver pause in a random share `rate` (0..1) of cycles."""
        channels = [self.events, self.logits, getattr(self, "load", self.logits)]
        write, read = self.lite.write_if, self.lite.read_if
        channels += [write.aw_channel, write.w_channel, write.b_channel]
        channels += [read.ar_channel, read.r_channel]
        for index, channel in enumerate(channels):
            source = random.Random(index)
            channel.set_pause_generator(iter(lambda s=source: s.random() < rate, None))

    async def within_deadline(self, awaitable):
        return await with_timeout(awaitable, PATIENCE_US, "us")

    async def read(self, name: str, index: int = 0) -> int:
        reply = await self.within_deadline(self.lite.read(register(name).offset + 4 * index, 4))
        assert reply.resp == AxiResp.OKAY, name
        return int.from_bytes(reply.data, "little")

    async def write(self, name: str, value: int) -> None:
        done = await self.within_deadline(
            self.lite.write(register(name).offset, value.to_bytes(4, "little"))
        )
        assert done.resp == AxiResp.OKAY, name

    async def control(self, **fields: int) -> None:
        await self.write("CONTROL", pack("CONTROL", **fields))

    async def status(self, name: str) -> int:
        return unpack("STATUS", await self.read("STATUS"))[name]

    async def take_errors(self) -> int:
        """Reads the error flags and clears them."""
        flags = await self.read("ERRORS")
        await self.write("ERRORS", flags)
        assert await self.read("ERRORS") == 0
        return flags

    def send(self, frames: list[list[int]]) -> None:
        for frame in frames:
            self.events.send_nowait(AxiStreamFrame(frame))

    def beats(self, frame: AxiStreamFrame) -> list[int]:
        """The beats of a packet that a sink took byte by byte, as `tkeep` tells."""
        size, data = len(self.dut.m_axis_logits_tkeep), frame.tdata
        assert len(data) % size == 0
        return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]

    async def expect(self, packets: list[list[int]]) -> None:
        for index, packet in enumerate(packets):
            received = self.beats(await self.within_deadline(self.logits.recv()))
            assert received == packet, f"inference {index}: received {received}, expected {packet}"

    async def infer(self, which: str = "first") -> None:
        self.send(self.plan[which]["inputs"])
        await self.expect(self.plan[which]["outputs"])

    async def quiet(self, cycles: int = 400) -> None:
        """Checks that no logit arrives within `cycles`."""
        await ClockCycles(self.clock, cycles)
        assert self.logits.empty()
        assert self.logits.idle()

    async def drain(self) -> None:
        """Waits until all logits under way have arrived."""
        await ClockCycles(self.clock, 200)
        while not self.logits.idle():
            await ClockCycles(self.clock, 20)

    async def load_network(self, words: list[int]) -> int:
        """Enters load mode, sends `words`, leaves load mode; returns the error flags."""
        await self.control(load=1)
        self.load.send_nowait(AxiStreamFrame(words))
        await self.within_deadline(self.load.wait())
        await ClockCycles(self.clock, 8)
        await self.control()
        return await self.take_errors()
