"""The load stream of a loadable build: no network, one, another, and damaged streams."""

from __future__ import annotations

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiStreamFrame

from spikewright.golden.image.registers import pack
from spikewright.sim.benches.axi import Bench, errors
from spikewright.sim.benches.stream import known


@cocotb.test()
async def without_a_network_it_does_not_run(dut):
    bench = await Bench(dut).start()
    await bench.control(enable=1)
    assert await bench.take_errors() == errors("start_refused")
    assert await bench.read("CONTROL") == 0
    bench.send(bench.plan["first"]["inputs"])
    await bench.quiet()
    assert await bench.status("frame") == 0
    assert known(dut.s_axis_events_tready) == 0
    assert [await bench.read("NETWORK", i) for i in range(8)] == [0] * 8
    # The input waits; once the network is loaded, it is processed.
    assert await bench.load_network(bench.plan["first"]["load"]) == 0
    await bench.control(enable=1)
    await bench.expect(bench.plan["first"]["outputs"])


@cocotb.test()
async def a_reload_is_exact(dut):
    bench = await Bench(dut).start()
    for round_, which in enumerate(("first", "second", "first", "second")):
        bench.pause(0.3 * (round_ % 2))
        assert await bench.load_network(bench.plan[which]["load"]) == 0
        assert [await bench.read("NETWORK", i) for i in range(8)] == bench.plan[which]["network"]
        await bench.control(enable=1)
        await bench.infer(which)
        await bench.control()


@cocotb.test()
async def wrong_loads_are_flagged_and_refused(dut):
    bench = await Bench(dut).start()
    right = bench.plan["first"]["load"]
    source = bench.random

    def flipped(index: int) -> list[int]:
        """The load stream with one random bit of word `index` inverted."""
        return [word ^ (index == i) << source.randrange(32) for i, word in enumerate(right)]

    payload = [source.randrange(12, len(right)) for _ in range(12)]
    wrong = [(flipped(index), ("load_hash", "load_header", "load_length")) for index in payload]
    wrong += [(flipped(index), ("load_header",)) for index in range(4)]
    wrong += [(flipped(index), ("load_hash",)) for index in range(4, 12)]
    wrong += [(right[:length], ("load_length",)) for length in (1, 5, 12, 13, 14, 15)]
    wrong += [(right[:-1], ("load_length",)), (right[: len(right) // 2], ("load_length",))]
    wrong += [([*right, 0], ("load_length",)), ([*right, *right], ("load_length",))]
    for words, reasons in wrong:
        flags = await bench.load_network(words)
        assert flags in [errors(reason) for reason in reasons], (hex(flags), reasons)
        assert await bench.status("loaded") == 0
        await bench.control(enable=1)
        assert await bench.take_errors() == errors("start_refused")
    assert await bench.load_network(right) == 0
    # A stream for another shape leaves the loaded network unchanged.
    assert await bench.load_network(flipped(1)) == errors("load_header")
    assert await bench.status("loaded") == 1
    await bench.control(enable=1)
    await bench.infer()


@cocotb.test()
async def a_running_machine_is_not_loaded(dut):
    bench = await Bench(dut).start()
    assert await bench.load_network(bench.plan["first"]["load"]) == 0
    await bench.control(enable=1)
    await bench.control(enable=1, load=1)
    assert await bench.take_errors() == errors("load_refused")
    assert await bench.read("CONTROL") == pack("CONTROL", enable=1)
    bench.load.send_nowait(AxiStreamFrame(bench.plan["second"]["load"]))
    bench.send(bench.plan["first"]["inputs"])
    while not await bench.status("busy"):
        pass
    await bench.control(load=1)
    assert await bench.take_errors() == errors("load_refused")
    await bench.control(enable=1)
    await bench.expect(bench.plan["first"]["outputs"])
    # Disabled, it accepts the waiting stream.
    await bench.control()
    await bench.control(load=1)
    await bench.within_deadline(bench.load.wait())
    await bench.control()
    await bench.control(enable=1)
    assert await bench.read("ERRORS") == 0
    await bench.infer("second")


@cocotb.test()
async def leaving_load_mode_inside_a_stream_is_a_cut(dut):
    bench = await Bench(dut).start()
    right = bench.plan["first"]["load"]
    await bench.control(load=1)
    bench.pause(0.5)
    bench.load.send_nowait(AxiStreamFrame(right))
    await ClockCycles(bench.clock, 60)
    await bench.control()
    assert await bench.take_errors() == errors("load_length")
    assert await bench.status("loaded") == 0
    await bench.control(load=1)  # the rest is skipped
    await bench.within_deadline(bench.load.wait())
    assert await bench.load_network(right) == 0
    await bench.control(enable=1)
    await bench.infer()
