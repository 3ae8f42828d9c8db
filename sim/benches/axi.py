"""Masters that others wrote (cocotbext-axi) on every AXI port of `top`, and the rules of the ports.

`axi.json` beside the simulation holds what to send and what must come; see tests/sim/test_axi.py.
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
    """Clock, reset, one master on every port, and a watch on every channel's rules."""

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
            AxiStreamBus.from_prefix(dut, "m_axis_logits"), dut.aclk, **reset, **beat
        )
        if hasattr(dut, "s_axis_load_tdata"):
            self.load = AxiStreamSource(
                AxiStreamBus.from_prefix(dut, "s_axis_load"), dut.aclk, **reset, **beat
            )
        for name, (letter, payload) in CHANNELS.items():
            if hasattr(dut, f"{name}_{letter}valid" if letter else f"{name}valid"):
                cocotb.start_soon(self.watch(name, letter, payload))

    async def watch(self, name: str, letter: str, payload: tuple[str, ...]) -> None:
        """Valid stays until ready, with the same payload; never X."""
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
            assert waiting is None or shown == waiting, f"{name}: a waiting beat was changed"
            waiting = shown if shown is not None and not known(ready) else None

    async def start(self) -> Bench:
        await self.reset()
        return self

    async def begin(self) -> None:
        """A network is there, and the machine enabled."""
        if self.plan["loadable"] and not await self.status("loaded"):
            assert await self.load_network(self.plan["first"]["load"]) == 0
        await self.control(enable=1)

    async def reset(self) -> None:
        self.reset_line.value = 0
        await ClockCycles(self.clock, 3)
        self.reset_line.value = 1
        await ClockCycles(self.clock, 2)

    def pause(self, rate: float) -> None:
        """Every channel of every master pauses at random."""
        channels = [self.events, self.logits, getattr(self, "load", self.logits)]
        write, read = self.lite.write_if, self.lite.read_if
        channels += [write.aw_channel, write.w_channel, write.b_channel]
        channels += [read.ar_channel, read.r_channel]
        for index, channel in enumerate(channels):
            source = random.Random(index)
            channel.set_pause_generator(iter(lambda s=source: s.random() < rate, None))

    async def timed(self, awaitable):
        return await with_timeout(awaitable, PATIENCE_US, "us")

    async def read(self, name: str, index: int = 0) -> int:
        found = await self.timed(self.lite.read(register(name).offset + 4 * index, 4))
        assert found.resp == AxiResp.OKAY, name
        return int.from_bytes(found.data, "little")

    async def write(self, name: str, value: int) -> None:
        done = await self.timed(self.lite.write(register(name).offset, value.to_bytes(4, "little")))
        assert done.resp == AxiResp.OKAY, name

    async def control(self, **fields: int) -> None:
        await self.write("CONTROL", pack("CONTROL", **fields))

    async def status(self, name: str) -> int:
        return unpack("STATUS", await self.read("STATUS"))[name]

    async def take_errors(self) -> int:
        """The flags, which are cleared."""
        flags = await self.read("ERRORS")
        await self.write("ERRORS", flags)
        assert await self.read("ERRORS") == 0
        return flags

    def send(self, frames: list[list[int]]) -> None:
        for frame in frames:
            self.events.send_nowait(AxiStreamFrame(frame))

    async def expect(self, packets: list[list[int]]) -> None:
        for index, packet in enumerate(packets):
            found = list((await self.timed(self.logits.recv())).tdata)
            assert found == packet, f"inference {index}: {found} came, {packet} was due"

    async def infer(self, which: str = "first") -> None:
        self.send(self.plan[which]["inputs"])
        await self.expect(self.plan[which]["outputs"])

    async def quiet(self, cycles: int = 400) -> None:
        """No logit comes for a while."""
        await ClockCycles(self.clock, cycles)
        assert self.logits.empty()
        assert self.logits.idle()

    async def quiet_stream(self) -> None:
        """What is still on its way out has come."""
        await ClockCycles(self.clock, 200)
        while not self.logits.idle():
            await ClockCycles(self.clock, 20)

    async def load_network(self, words: list[int]) -> int:
        """Load mode, the stream, and out of it again; the error flags."""
        await self.control(load=1)
        self.load.send_nowait(AxiStreamFrame(words))
        await self.timed(self.load.wait())
        await ClockCycles(self.clock, 8)
        await self.control()
        return await self.take_errors()
