"""Block-level benches: each component of a core by itself, against the golden model.

The expected values come from golden's tables, rows and interpreter (`sim.benches.golden_model`);
each test is driver, monitor and scoreboard of one component. Settings: `network` (file), `lanes`,
`core` (its number), `stall` (share of cycles in which a port pauses, 0..1), `seed`.
"""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from spikewright.golden.image import interpreter, timing
from spikewright.hw.core.serialiser import output_event
from spikewright.hw.shapes import event_layout, request_layout
from spikewright.sim.benches.component_drivers import (
    SerialiserDriver,
    Visit,
    drive_request,
    monitor_trace,
    sweep_lane,
    sweep_visit,
)
from spikewright.sim.benches.golden_model import (
    Case,
    LaneModel,
    check_membranes,
    edge_beats,
    events_of,
    frame_of,
    logit_events,
    logit_vector,
    request_of,
    spike_events,
)
from spikewright.sim.benches.stream import CYCLES, drive, known, monitor, start, wait_until


@cocotb.test()
async def decoder(dut: HierarchyObject) -> None:
    """Events of all edges become the row requests of their tables, in the order of acceptance.

    Arbitration between edges depends on the pauses; checked are that tokens are accepted together,
    and that every edge's beats are accepted in order.
    """
    case = Case()
    core, edges = case.core, range(len(case.core.edges))
    ports = [f"decoder__source_{edge}" for edge in edges]
    names = [f"{port}__{name}" for port in ports for name in ("valid", "payload")]
    await start(dut, [*names, "decoder__room"])
    layout, pause = request_layout(core), case.pause()
    events = [events_of(case, edge) for edge in edges]
    drivers = [
        cocotb.start_soon(drive(dut, port, [
            int(event_layout(image.event).pack(**event)) for event in given
        ], case.pause()))
        for port, image, given in zip(ports, core.edges, events, strict=True)
    ]  # fmt: skip
    requests: list[int] = []
    accepted: list[list[int]] = []  # for every cycle with any: the edges whose beats were accepted

    async def monitor_decoder() -> None:
        while True:
            await FallingEdge(dut.clk)
            dut.decoder__room.value = not pause()
            await RisingEdge(dut.clk)
            ready = [
                edge for edge, port in enumerate(ports)
                if known(getattr(dut, f"{port}__valid")) and known(getattr(dut, f"{port}__ready"))
            ]  # fmt: skip
            accepted.extend([ready] if ready else [])
            if known(dut.decoder__valid):
                requests.append(known(dut.decoder__request))

    cocotb.start_soon(monitor_decoder())
    done = lambda: all(driver.done() for driver in drivers)  # noqa: E731
    await wait_until(dut, done, "the decoder accepts every event")
    await ClockCycles(dut.clk, 8)
    expected = []
    for ready in accepted:
        beats = [events[edge].pop(0) for edge in ready]
        assert len(ready) == 1 or all(beat["last"] for beat in beats)
        request = request_of(core, ready[0], beats[0])
        expected += [request] if request else []
    assert not any(events)
    assert len(requests) == len(expected) > 0
    for packed, request in zip(requests, expected, strict=True):
        names = [name for name, _ in layout.fields if name in request]
        assert {name: int(layout.unpack(packed, name)) for name in names} == {
            n: request[n] & ((1 << layout.bits(n)) - 1) for n in names
        }


@cocotb.test()
async def sweep(dut: HierarchyObject) -> None:
    """A sweep visits every word once, in order, only with room; steps and inferences count."""
    case = Case()
    core, steps = case.core, case.image.timesteps
    await start(dut, ["sweep__waiting", "sweep__room"], release=False)
    pause = case.pause()
    visits: list[Visit] = []
    releases: list[int] = []
    tokens = 3 * (1 if core.framed else steps)  # of three inferences
    for _ in range(CYCLES):
        await FallingEdge(dut.clk)
        dut.rst.value = 0  # the sweep after reset begins at once
        room = not pause()
        dut.sweep__room.value = room
        dut.sweep__waiting.value = (
            known(dut.sweep__accumulating) and len(releases) <= tokens and not pause()
        )
        await RisingEdge(dut.clk)
        visit = sweep_visit(dut, core, room)
        visits += [visit] if visit else []
        if known(dut.sweep__resume):
            releases.append(known(dut.sweep__done))
        if len(releases) == tokens + 1:
            break
    words = [(int(w), int(w) % core.local_channels, int(w == core.words - 1)) for w in core.order]
    cleared = [visit for visit in visits if visit.clear]
    assert [(visit.address, visit.channel, visit.end) for visit in cleared] == words
    assert [visit for visit in visits if not visit.clear] == [
        Visit(0, int(t == steps - 1), *word) for _ in range(3) for t in range(steps)
        for word in words
    ]  # fmt: skip
    per = 1 if core.framed else steps
    assert releases == [0] + [int(token % per == per - 1) for token in range(tokens)]


@cocotb.test()
async def serialiser(dut: HierarchyObject) -> None:
    """Vectors leave as events in order, lowest lane first, then the token; nothing is lost."""
    case = Case()
    core = case.core
    names = ["issued", "valid", "fired", "membranes", "final", "end", "events__ready"]
    await start(dut, [f"serialiser__{name}" for name in names])
    beats: list[int] = []
    cocotb.start_soon(monitor(dut, "serialiser__events", beats, case.pause()))
    driver = SerialiserDriver(dut, case.pause())
    expected: list[dict[str, int]] = []
    spikes = np.zeros((12, int(np.prod(core.shape))), np.uint8)
    for sweep_number in range(12):
        rate = case.random.choice([0.0, 0.1, 0.5, 1.0])
        final = sweep_number % 3 == 2
        for word in core.order.tolist():
            lanes = [
                lane
                for lane in range(core.lanes)
                if core.neurons[lane, word] >= 0 and case.random.random() < rate
            ]
            values = [case.random.randrange(1 << core.state_bits) for _ in range(core.lanes)]
            await driver.issue({
                "fired": sum(1 << lane for lane in lanes),
                "final": int(final),
                "end": int(word == core.words - 1),
                "membranes": sum(v << (lane * core.state_bits) for lane, v in enumerate(values)),
            })  # fmt: skip
            spikes[sweep_number, core.neurons[lanes, word]] = 1
            if core.kind == "readout" and final:
                expected += logit_vector(core, word, values)
    if core.kind == "lif":
        expected = spike_events(core, spikes)
    await driver.flush()
    await wait_until(dut, lambda: len(beats) >= len(expected), "all events leave the serialiser")
    await ClockCycles(dut.clk, 100)
    assert len(beats) == len(expected)
    layout = event_layout(output_event(core))
    for beat, event in zip(beats, expected, strict=True):
        fields = {
            name: int(layout.unpack(beat, name)) for name, _ in layout.fields if name in event
        }
        assert fields == {name: value for name, value in event.items() if name in fields}


@cocotb.test()
async def lane(dut: HierarchyObject) -> None:
    """The core's last lane: requests of several steps, swept as a core sweeps; membranes equal."""
    case = Case()
    core = case.core
    layout = request_layout(core)
    names = ["request", "valid", "resume", "sweep", "restart", "write", "write_last",
             "write_address"]  # fmt: skip
    await start(dut, [f"lane__{name}" for name in names])
    await sweep_lane(dut, core, restart=True)
    model = LaneModel(core, core.lanes - 1)
    pause = case.pause()
    steps = case.image.timesteps
    for step in range(4 * steps):
        # A direct frame is accumulated once and kept. No source fires twice in one step: words are
        # sized for that.
        requests = [
            request
            for index, edge in enumerate(core.edges) if not edge.direct or step % steps == 0
            for event in frame_of(case, index) if (request := request_of(core, index, event))
        ]  # fmt: skip
        case.random.shuffle(requests)
        for request in requests:
            model.add(request)
        token = {**dict.fromkeys(dict(layout.fields), 0), "last": 1}
        for request in [*requests, token]:
            await drive_request(dut, int(layout.pack(**request)), pause)
        await FallingEdge(dut.clk)
        dut.lane__valid.value = 0
        await wait_until(dut, lambda: bool(known(dut.lane__waiting)), "the lane reaches the token")
        await ClockCycles(dut.clk, timing.walk(core.relative))
        final = step % steps == steps - 1
        swept = await sweep_lane(dut, core, restart=final)
        assert swept == model.sweep(restart=final), f"step {step}"


@cocotb.test()
async def core(dut: HierarchyObject) -> None:
    """A whole core: spikes in the order of golden's interpreter, tokens, and every membrane."""
    case = Case()
    image, core = case.image, case.core
    ports = [f"core__source_{edge}" for edge in range(len(core.edges))]
    names = [f"{port}__{name}" for port in ports for name in ("valid", "payload")]
    await start(dut, [*names, "core__sink__ready", "core__count_clear"])
    inputs = case.inputs(batch=4)
    trace = interpreter.run(image, inputs)
    beats: list[int] = []
    swept: list[tuple[int, int, int]] = []
    cocotb.start_soon(monitor(dut, "core__sink", beats, case.pause()))
    cocotb.start_soon(monitor_trace(dut, core, swept))
    sent = edge_beats(image, case.settings["core"], inputs, trace)
    for port, given in zip(ports, sent, strict=True):
        cocotb.start_soon(drive(dut, port, given, case.pause()))
    spikes = trace.spikes.get(core.node)
    expected = logit_events(core, trace.logits) if spikes is None else spike_events(core, spikes)
    await wait_until(dut, lambda: len(beats) >= len(expected), "all events leave the core")
    await ClockCycles(dut.clk, 200)
    layout = event_layout(output_event(core))
    events = [{name: int(layout.unpack(beat, name)) for name, _ in layout.fields} for beat in beats]
    for event in events:
        if core.kind == "lif" and event["last"]:
            event.update(dict.fromkeys(event.keys() - {"last"}, 0))  # a token has no address
    assert events == [{name: event.get(name, 0) for name, _ in layout.fields} for event in expected]
    check_membranes(core, swept, trace.membranes[core.node])
