"""AXI4-Lite registers, AXI4-Stream ports and resets of `top`, in every build with registers."""

from __future__ import annotations

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiResp

from spikewright.golden.image.registers import register
from spikewright.sim.benches.axi import Bench, errors
from spikewright.sim.benches.stream import known


@cocotb.test()
async def registers_read_what_the_map_says(dut):
    bench = await Bench(dut).start()
    for each in bench.plan["registers"]:
        for index, value in enumerate(each["reset"]):
            assert await bench.read(each["name"], index) == value, (each["name"], index)


@cocotb.test()
async def wrong_addresses_and_writes_are_refused(dut):
    bench = await Bench(dut).start()
    for address in bench.plan["unknown"]:
        assert (await bench.lite.read(address, 4)).resp == AxiResp.SLVERR, hex(address)
        assert (await bench.lite.write(address, b"1234")).resp == AxiResp.SLVERR, hex(address)
    for each in bench.plan["registers"]:
        if each["access"] == "ro":
            offset = each["offset_bytes"]
            assert (await bench.lite.write(offset, b"1234")).resp == AxiResp.SLVERR, each["name"]
    for each in bench.plan["registers"]:
        assert await bench.read(each["name"]) == each["reset"][0], each["name"]


@cocotb.test()
async def pauses_change_nothing(dut):
    bench = await Bench(dut).start()
    await bench.begin()
    await bench.control(enable=1, clear_counters=1)
    for rate in (0.0, 0.4, 0.8):
        bench.pause(rate)
        await bench.infer()
    await bench.quiet()
    assert await bench.read("INFERENCES") == 3 * len(bench.plan["first"]["outputs"])
    for number, value in bench.plan["counters"]:
        assert await bench.read("COUNTERS", number) == 3 * value, number
    assert await bench.status("busy") == 0
    assert await bench.read("ERRORS") == 0
    await bench.control(enable=1, clear_counters=1)
    assert await bench.read("INFERENCES") == 0


@cocotb.test()
async def a_write_of_some_bytes_changes_no_other(dut):
    bench = await Bench(dut).start()
    before = await bench.read("CONTROL")
    offset = register("CONTROL").offset
    await bench.lite.write(offset + 1, b"\xff\xff\xff")
    assert await bench.read("CONTROL") == before
    await bench.lite.write(offset, b"\x00")
    assert await bench.read("CONTROL") == 0


@cocotb.test()
async def disabled_it_completes_what_has_begun_and_takes_no_more(dut):
    bench = await Bench(dut).start()
    await bench.begin()
    inputs, outputs = bench.plan["first"]["inputs"], bench.plan["first"]["outputs"]
    bench.send(inputs)
    await bench.control()
    while await bench.status("busy"):
        pass
    await ClockCycles(bench.clock, 1000)
    done = await bench.read("INFERENCES")
    assert done == bench.logits.count()
    assert 0 < done < len(outputs)
    assert await bench.status("frame") == 0
    assert not known(dut.s_axis_events_tready)
    await bench.control(enable=1)
    await bench.expect(outputs)


@cocotb.test()
async def a_soft_reset_leaves_no_trace(dut):
    bench = await Bench(dut).start()
    await bench.begin()
    bench.pause(0.2)
    inputs, outputs = bench.plan["first"]["inputs"], bench.plan["first"]["outputs"]
    seen = 0
    for _ in range(bench.plan["resets"]):
        bench.send(inputs)
        await ClockCycles(bench.clock, bench.random.randrange(bench.plan["longest"]))
        await bench.control(enable=1, soft_reset=1)
        await bench.within_deadline(bench.events.wait())
        while await bench.status("busy"):
            pass
        await bench.drain()
        assert await bench.status("dropping") == 0
        packets = [bench.beats(bench.logits.recv_nowait()) for _ in range(bench.logits.count())]
        assert holds_whole_inferences(packets, outputs), packets
        seen |= await bench.take_errors()
    assert seen == errors("output_cut", "input_dropped"), hex(seen)
    await bench.infer()
    assert await bench.read("ERRORS") == 0


def holds_whole_inferences(packets: list[list[int]], outputs: list[list[int]]) -> bool:
    """Whether `packets` are those of whole inferences, before and after a reset.

    That is: all `outputs`; or the first few, perhaps one that the reset cut short and closed with a
    beat of 0, then the last few.
    """
    pairs = enumerate(zip(packets, outputs, strict=False))
    begun = next((i for i, (found, due) in pairs if found != due), None)
    if begun is None:
        return len(packets) <= len(outputs)
    after = packets[begun:]
    cut = after[0][:-1]
    if after[0][-1] == 0 and cut == outputs[begun][: len(cut)]:
        after = after[1:]
    return after == outputs[len(outputs) - len(after) :]


@cocotb.test()
async def a_reset_of_the_bus_leaves_no_trace(dut):
    bench = await Bench(dut).start()
    bench.pause(0.2)
    for _ in range(bench.plan["resets"]):
        await bench.begin()
        bench.send(bench.plan["first"]["inputs"])
        await ClockCycles(bench.clock, bench.random.randrange(bench.plan["longest"]))
        bench.events.clear()
        bench.logits.clear()
        await bench.reset()
        bench.logits.clear()
    assert await bench.status("loaded") == (not bench.plan["loadable"])
    await bench.begin()
    await bench.infer()
