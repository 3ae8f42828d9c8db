"""The decoder against convolution geometry, worked out without tables."""

# Through these also hw.compiler.decoder_tables.

import random

import pytest
from amaranth.sim import Simulator

from spikewright.golden.image.memory_image import CoreImage
from spikewright.golden.image.timing import decode, slack
from spikewright.hw.core.decoder import Decoder


def requests_of(core: CoreImage, beats, room=lambda cycle: True):
    """All requests for beats `(last, x, y, c, value)`, and whether each cycle accepted one."""
    dut = Decoder(core, 3)
    requests, accepted = [], []

    async def bench(ctx):
        waiting = list(beats)
        for cycle in range(4 * len(beats) + 20):
            ctx.set(dut.room, room(cycle))
            ctx.set(dut.source_0.valid, bool(waiting))
            if waiting:
                last, x, y, c, value = waiting[0]
                fields = {"last": last, "x": x, "y": y, "c": c, "value": value}
                ctx.set(dut.source_0.payload, fields)
            ready = ctx.get(dut.source_0.ready)
            await ctx.tick()
            accepted.append(bool(waiting) and bool(ready))
            if accepted[-1]:
                waiting.pop(0)
            if ctx.get(dut.valid):
                request = ctx.get(dut.request)
                requests.append((cycle, {name: request[name] for name, _ in dut.layout.fields}))
        assert not waiting

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return requests, accepted


def test_every_position_of_a_convolution(conv_core):
    core = conv_core()
    _, height, width = core.size
    beats = [(0, x, y, c, 5) for c in range(2) for y in range(5) for x in range(6)]
    requests, _ = requests_of(core, beats)
    assert len(requests) == len(beats)
    taps = core.memories["taps"]
    modulus = 1 << core.address_bits
    for (_, request), (_, x, y, c, value) in zip(requests, beats, strict=True):
        # Rows of their own for top, bottom and between, and for left, right and between.
        kinds = [{0: 0, end - 1: 1}.get(place, 2) for place, end in ((y, height), (x, width))]
        row = c << core.edges[0].row_bits | 3 * kinds[0] + kinds[1]
        assert (request["last"], request["row"], request["value"]) == (0, row, value)
        for tap in range(9):
            ky, kx = divmod(tap, 3)
            target = y + 1 - ky, x + 1 - kx
            inside = 0 <= target[0] < height and 0 <= target[1] < width
            assert (request["mask_y"] >> ky & request["mask_x"] >> kx & 1) == inside
            if inside:
                address = (request["base"] + int(taps.field("offset")[tap])) % modulus
                assert address == (target[0] * width + target[1]) * core.local_channels


def test_tokens_pass_in_order(conv_core):
    beats = [(1, 0, 0, 0, 0), (0, 1, 1, 1, 3), (1, 7, 7, 1, 7), (0, 2, 2, 0, 1)]
    requests, _ = requests_of(conv_core(), beats)
    assert [request["last"] for _, request in requests] == [1, 0, 1, 0]


def test_one_event_per_cycle_and_latency(conv_core):
    beats = [(0, 1, 1, 0, 1)] * 20
    requests, accepted = requests_of(conv_core(), beats)
    cycles = [cycle for cycle, _ in requests]
    assert cycles == list(range(cycles[0], cycles[0] + 20))
    assert cycles[0] == accepted.index(True) + 1


@pytest.mark.parametrize("seed", range(3))
def test_what_is_under_way_without_room_is_bounded(conv_core, seed):
    rng = random.Random(seed)
    plan = [rng.random() < 0.5 for _ in range(400)]
    requests, _ = requests_of(
        conv_core(), [(0, i % 6, i % 5, 0, 1) for i in range(60)], lambda cycle: plan[cycle]
    )
    assert len(requests) == 60
    for start in (cycle for cycle in range(1, 300) if plan[cycle - 1] and not plan[cycle]):
        end = next(cycle for cycle in range(start, 400) if plan[cycle])
        assert sum(start <= cycle < end for cycle, _ in requests) <= slack(1) - 1


def test_several_edges_share_the_adders(conv_core, mixed):
    core = mixed(conv_core())
    dut, requests, taken = Decoder(core, 3), [], []
    rng = random.Random(3)
    queues = [
        [(rng.randrange(2), rng.randrange(5), rng.randrange(6), 1 + i % 7) for i in range(40)]
        for _ in range(2)
    ]  # code, y, x, value; then the token

    async def bench(ctx):
        ctx.set(dut.room, 1)
        for cycle in range(100):
            for source, queue in zip(dut.sources, queues, strict=True):
                ctx.set(source.valid, bool(queue))
                if queue:
                    names = ("c", "y", "x", "value")
                    ctx.set(source.payload, {"last": 0, **dict(zip(names, queue[0], strict=True))})
            for edge, source in enumerate(dut.sources):
                if queues[edge] and ctx.get(source.ready):
                    taken.append((cycle, edge, queues[edge].pop(0)))
            await ctx.tick()
            if ctx.get(dut.valid):
                request = ctx.get(dut.request)
                requests.append((cycle, {name: request[name] for name, _ in dut.layout.fields}))

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert [edge for _, edge, _ in taken] == [0, 1] * 40
    assert [cycle for cycle, _ in requests] == [cycle + decode(2) - 1 for cycle, _, _ in taken]
    alone, _ = requests_of(conv_core(), [(0, x, y, c, v) for _, _, (c, y, x, v) in taken])
    rows = core.edges[1].row_start
    for (_, found), (_, due), (_, edge, _) in zip(requests, alone, taken, strict=True):
        assert found == {**due, "row": due["row"] + edge * rows, "direct": edge}
