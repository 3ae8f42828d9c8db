"""The order of a sweep: windows, channels, positions; with and without partial windows."""

from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from spikewright.hw.core.order import Order

CASES = [
    ((5, 6), (1, 1), 3), ((4, 4), (2, 2), 3), ((5, 7), (2, 3), 2), ((5, 6), (3, 2), 1),
    ((1, 1), (1, 1), 5), ((1, 9), (1, 2), 1), ((7, 3), (2, 1), 4), ((4, 6), (4, 6), 2),
]  # fmt: skip


def shaped(core, size, window, local):
    return replace(core, shape=(local * core.lanes, *size), local_channels=local, window=window)


def visits(size, window, local):
    """`(address, channel, opens, closes, window)` of a sweep, place by place."""
    (height, width), (ky, kx) = size, window
    for wy in range(-(-height // ky)):
        for wx in range(-(-width // kx)):
            rows = range(wy * ky, min(height, wy * ky + ky))
            columns = range(wx * kx, min(width, wx * kx + kx))
            places = [(y, x) for y in rows for x in columns]
            for channel in range(local):
                for n, (y, x) in enumerate(places):
                    closes = n == ky * kx - 1
                    at = (y * width + x) * local + channel
                    yield at, channel, int(n == 0), int(closes), (wy, wx)


@pytest.mark.parametrize(("size", "window", "local"), CASES)
def test_windows_in_raster_order(conv_core, size, window, local):
    core = shaped(conv_core(), size, window, local)
    dut = Order(core)
    expected = list(visits(size, window, local))
    assert core.order.tolist() == [visit[0] for visit in expected]
    found = []

    async def bench(ctx):
        for number in range(2 * core.words):
            if number % 3 == 0:  # a place stays until the step
                await ctx.tick()
            place = (dut.address, dut.channel, dut.begins_window, dut.completes_window)
            found.append((*map(ctx.get, place), (ctx.get(dut.y), ctx.get(dut.x))))
            assert ctx.get(dut.end) == (number % core.words == core.words - 1)
            ctx.set(dut.step, 1)
            await ctx.tick()
            ctx.set(dut.step, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    for one, due in zip(found, expected * 2, strict=True):
        assert one[:4] == due[:4]
        if one[3]:
            assert one[4] == due[4]
