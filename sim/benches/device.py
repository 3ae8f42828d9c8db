"""Serves the simulated `top` as a device: register accesses and packets for another process.

Commands arrive over the socket $SPIKEWRIGHT_DEVICE, one JSON object per line, and each gets one
reply. Simulated time passes only during a command. Packets are sent in the background, as a DMA
engine does; in $SPIKEWRIGHT_STALL percent of the cycles a stream pauses.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections import deque

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from spikewright.sim.benches import DEVICE, STALL
from spikewright.sim.benches.stream import PERIOD_NS, known

PATIENCE = 1_000_000
"""Cycles after which an access or a packet counts as lost."""


class Device:
    """Drivers and monitors of the AXI ports of `top`; inputs change at the falling edge."""

    def __init__(self, dut):
        self.dut = dut
        self.queues: dict[str, deque] = {"events": deque(), "load": deque()}
        self.beats: list[int] = []
        self.packets: deque[list[int]] = deque()
        self.stall = int(os.environ.get(STALL, 0)) / 100
        self.random = random.Random(cocotb.RANDOM_SEED)

    async def start(self) -> None:
        dut = self.dut
        cocotb.start_soon(Clock(dut.aclk, PERIOD_NS, "ns").start())
        dut.aresetn.value = 0
        await ClockCycles(dut.aclk, 3)
        await FallingEdge(dut.aclk)
        dut.aresetn.value = 1
        for name in self.queues:
            if hasattr(dut, f"s_axis_{name}_tdata"):
                cocotb.start_soon(self.drive_stream(name))
        cocotb.start_soon(self.monitor_logits())

    def port(self, name: str):
        return getattr(self.dut, name)

    async def wait_for(self, name: str) -> None:
        """Waits for a rising edge at which signal `name` is 1."""
        for _ in range(PATIENCE):
            await RisingEdge(self.dut.aclk)
            if known(self.port(name)):
                return
        raise TimeoutError(f"{name} stays 0 for {PATIENCE} cycles")

    async def drive_stream(self, name: str) -> None:
        queue, prefix = self.queues[name], f"s_axis_{name}_t"
        while True:
            await FallingEdge(self.dut.aclk)
            self.port(f"{prefix}valid").value = 0
            if not queue or self.random.random() < self.stall:
                continue
            # A beat that is offered stays offered until it is taken, whatever else is forgotten.
            data, last = queue.popleft()
            self.port(f"{prefix}data").value, self.port(f"{prefix}last").value = data, last
            self.port(f"{prefix}valid").value = 1
            await RisingEdge(self.dut.aclk)
            while not known(self.port(f"{prefix}ready")):
                await RisingEdge(self.dut.aclk)

    async def monitor_logits(self) -> None:
        while True:
            await FallingEdge(self.dut.aclk)
            ready = self.random.random() >= self.stall
            self.dut.m_axis_logits_tready.value = int(ready)
            await RisingEdge(self.dut.aclk)
            if ready and known(self.dut.m_axis_logits_tvalid):
                self.beats.append(known(self.dut.m_axis_logits_tdata))
                if known(self.dut.m_axis_logits_tlast):
                    self.packets.append(self.beats)
                    self.beats = []

    async def write_channel(self, channel: str, **values: int) -> None:
        """Sends one beat on an AXI4-Lite channel (aw, w or ar)."""
        await FallingEdge(self.dut.aclk)
        for name, value in values.items():
            self.port(f"s_axi_{name}").value = value
        self.port(f"s_axi_{channel}valid").value = 1
        await self.wait_for(f"s_axi_{channel}ready")
        await FallingEdge(self.dut.aclk)
        self.port(f"s_axi_{channel}valid").value = 0

    async def read_channel(self, channel: str) -> int:
        """Accepts one beat on a response channel (r or b); the data of r.

        Raises OSError on SLVERR.
        """
        await FallingEdge(self.dut.aclk)
        self.port(f"s_axi_{channel}ready").value = 1
        await self.wait_for(f"s_axi_{channel}valid")
        if known(self.port(f"s_axi_{channel}resp")):
            raise OSError("SLVERR")
        value = known(self.dut.s_axi_rdata) if channel == "r" else 0
        await FallingEdge(self.dut.aclk)
        self.port(f"s_axi_{channel}ready").value = 0
        return value

    async def execute(self, command: dict):
        kind = command["do"]
        if kind == "read":
            await self.write_channel("ar", araddr=command["offset"])
            return await self.read_channel("r")
        if kind == "write":
            await self.write_channel("aw", awaddr=command["offset"])
            await self.write_channel("w", wdata=command["value"], wstrb=15)
            return await self.read_channel("b")
        if kind == "send":
            beats = command["beats"]
            last = len(beats) - 1 if command["whole"] else None
            self.queues[command["stream"]].extend((b, int(i == last)) for i, b in enumerate(beats))
            return None
        if kind == "wait":
            await ClockCycles(self.dut.aclk, command["cycles"])
            return None
        if kind == "abort":
            for queue in (*self.queues.values(), self.packets, self.beats):
                queue.clear()
            return None
        for _ in range(PATIENCE):
            if self.packets:
                return self.packets.popleft()
            await RisingEdge(self.dut.aclk)
        raise TimeoutError(f"no packet for {PATIENCE} cycles")


@cocotb.test()
async def device(dut) -> None:
    """Serves commands until the client closes the connection."""
    served = Device(dut)
    await served.start()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(os.environ[DEVICE])
        lines = link.makefile("rw")
        for line in lines:
            try:
                reply = {"value": await served.execute(json.loads(line))}
            except OSError as error:  # TimeoutError too
                reply = {"error": str(error)}
            lines.write(json.dumps(reply) + "\n")
            lines.flush()
