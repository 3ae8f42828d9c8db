"""Drivers and monitors of ports that are no streams: serialiser, lane, sweep controller, trace."""

from __future__ import annotations

from dataclasses import dataclass

from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, RisingEdge

from spikewright.golden.image import timing
from spikewright.golden.image.memory_image import CoreImage
from spikewright.sim.benches.stream import CYCLES, Pause, known

FLIGHT = 9
"""Cycles from the issue of a membrane word to its vector at the serialiser, in this bench."""


class SerialiserDriver:
    """Issues membrane words where the serialiser has room; their vectors follow `FLIGHT` cycles on.

    A vector is a value for each of `fired`, `final`, `end` and `membranes`.
    """

    def __init__(self, dut: HierarchyObject, pause: Pause) -> None:
        self.dut, self.pause = dut, pause
        self.flight: list[dict[str, int] | None] = [None] * FLIGHT

    async def issue(self, vector: dict[str, int]) -> None:
        """Waits for room, then issues a word whose vector this is."""
        await FallingEdge(self.dut.clk)
        for _ in range(CYCLES):
            if known(self.dut.serialiser__room) and not self.pause():
                break
            await self._cycle(None)
            await FallingEdge(self.dut.clk)
        else:
            raise AssertionError("deadline: the serialiser has no room")
        await self._cycle(vector)

    async def flush(self) -> None:
        """Hands over all vectors that are in flight."""
        for _ in range(FLIGHT + 1):
            await FallingEdge(self.dut.clk)
            await self._cycle(None)

    async def _cycle(self, issued: dict[str, int] | None) -> None:
        self.dut.serialiser__issued.value = issued is not None
        self.flight.append(issued)
        arriving = self.flight.pop(0)
        self.dut.serialiser__valid.value = arriving is not None
        for name, value in (arriving or {}).items():
            getattr(self.dut, f"serialiser__{name}").value = value
        await RisingEdge(self.dut.clk)


async def drive_request(dut: HierarchyObject, request: int, pause: Pause) -> None:
    """Offers a packed row request to the lane as soon as it has room."""
    await FallingEdge(dut.clk)
    for _ in range(CYCLES):
        if known(dut.lane__room) and not pause():
            break
        dut.lane__valid.value = 0
        await FallingEdge(dut.clk)
    else:
        raise AssertionError("deadline: the lane has no room")
    dut.lane__valid.value, dut.lane__request.value = 1, request


async def sweep_lane(dut: HierarchyObject, core: CoreImage, restart: bool) -> list[tuple[int, int]]:
    """Sweeps the lane as the sweep controller does, then releases it with `go`.

    Returns `(fired, membrane)` of every word. `restart`: membranes start anew, as after the last
    step of an inference.
    """
    results: list[tuple[int, int]] = []
    mask = (1 << core.state_bits) - 1
    for cycle in range(core.words + timing.SWEEP + 2):
        await FallingEdge(dut.clk)
        channel = cycle % core.local_channels
        word = 1 | cycle << 1 | channel << (1 + core.address_bits)
        dut.lane__sweep.value = word if cycle < core.words else 0
        back = cycle - timing.SWEEP
        dut.lane__restart.value = int(restart and 0 <= back < core.words)
        written = back - 1
        dut.lane__write.value = int(0 <= written < core.words)
        dut.lane__write_address.value = max(written, 0) if written < core.words else 0
        await RisingEdge(dut.clk)
        if 0 <= cycle - timing.RESULT - 1 < core.words:
            results.append((known(dut.lane__fired), known(dut.lane__membranes) & mask))
    await FallingEdge(dut.clk)
    dut.lane__write.value = 0
    dut.lane__resume.value = 1
    await FallingEdge(dut.clk)
    dut.lane__resume.value = 0
    return results


@dataclass(frozen=True)
class Visit:
    """A word that the sweep controller issued; `clear`: in the sweep after reset."""

    clear: int
    final: int
    address: int
    channel: int
    end: int


def sweep_visit(dut: HierarchyObject, core: CoreImage, room: bool) -> Visit | None:
    """The word that the sweep controller issues in this cycle; checks its cycle class and room."""
    classes = [
        known(getattr(dut, f"sweep__{name}")) for name in ("accumulating", "sweeping", "stalled")
    ]
    assert sum(classes) == 1, f"a cycle is in the classes {classes}"
    word, clear = known(dut.sweep__address), known(dut.sweep__clear)
    if not word & 1:
        return None
    assert room or clear, "a word was issued without room"
    channel_bits = max(core.local_channels - 1, 1).bit_length()
    address = word >> 1 & ((1 << core.address_bits) - 1)
    channel = word >> (1 + core.address_bits) & ((1 << channel_bits) - 1)
    return Visit(clear, known(dut.sweep__final), address, channel, known(dut.sweep__end))


async def monitor_trace(
    dut: HierarchyObject, core: CoreImage, swept: list[tuple[int, int, int]]
) -> None:
    """Appends `(address, fired, membranes)` of every word that the core's trace port shows."""
    while True:
        await RisingEdge(dut.clk)
        value = dut.core__trace.value
        assert str(value[0]) in "01", f"core__trace is {value}"
        assert not known(dut.core__broken), "a stream inside the core breaks the rules"
        if value[0] == 1:
            word = known(dut.core__trace)
            address = word >> 1 & ((1 << core.address_bits) - 1)
            fired = word >> (1 + core.address_bits) & ((1 << core.lanes) - 1)
            swept.append((address, fired, word >> (1 + core.address_bits + core.lanes)))
