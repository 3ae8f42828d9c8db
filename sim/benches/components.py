"""Each component of a core by itself, against golden's tables, rows and interpreter.

Settings: `network` (file), `lanes`, `core` (its number), `stall` (share of pauses, 0..1), `seed`.
"""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from spikewright.golden.image import interpreter, timing
from spikewright.golden.image.memory_image import CoreImage
from spikewright.hw.core.serialiser import output_event
from spikewright.hw.shapes import event_layout, request_layout
from spikewright.sim.benches.expected import (  # fmt: skip
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
from spikewright.sim.benches.stream import CYCLES, known, receive, send, start, until


@cocotb.test()
async def decoder(dut: HierarchyObject) -> None:
    """Events of all edges become the row requests of their tables, in the order in which they went.

    Which edge goes first depends on the pauses; that tokens go together, and that every edge's
    beats go in order, is checked here.
    """
    case = Case()
    core, edges = case.core, range(len(case.core.edges))
    ports = [f"decoder__source_{edge}" for edge in edges]
    names = [f"{port}__{name}" for port in ports for name in ("valid", "payload")]
    await start(dut, [*names, "decoder__room"])
    layout, pause = request_layout(core), case.pause()
    events = [events_of(case, edge) for edge in edges]
    senders = [
        cocotb.start_soon(send(dut, port, [
            int(event_layout(about.event).pack(**event)) for event in given
        ], case.pause()))
        for port, about, given in zip(ports, core.edges, events, strict=True)
    ]  # fmt: skip
    requests: list[int] = []
    went: list[list[int]] = []  # the edges whose beats went in a cycle

    async def listen() -> None:
        while True:
            await FallingEdge(dut.clk)
            dut.decoder__room.value = not pause()
            await RisingEdge(dut.clk)
            taken = [
                edge for edge, port in enumerate(ports)
                if known(getattr(dut, f"{port}__valid")) and known(getattr(dut, f"{port}__ready"))
            ]  # fmt: skip
            went.extend([taken] if taken else [])
            if known(dut.decoder__valid):
                requests.append(known(dut.decoder__request))

    cocotb.start_soon(listen())
    done = lambda: all(sender.done() for sender in senders)  # noqa: E731
    await until(dut, done, "the decoder takes every event")
    await ClockCycles(dut.clk, 8)
    expected = []
    for taken in went:
        beats = [events[edge].pop(0) for edge in taken]
        assert len(taken) == 1 or all(beat["last"] for beat in beats)
        request = request_of(core, taken[0], beats[0])
        expected += [request] if request else []
    assert not any(events)
    assert len(requests) == len(expected) > 0
    for found, request in zip(requests, expected, strict=True):
        names = [name for name, _ in layout.fields if name in request]
        assert {name: int(layout.unpack(found, name)) for name in names} == {
            n: request[n] & ((1 << layout.bits(n)) - 1) for n in names
        }


@cocotb.test()
async def sweep(dut: HierarchyObject) -> None:
    """A sweep visits every word once, in order, only with room; steps and inferences count."""
    case = Case()
    core, steps = case.core, case.image.timesteps
    await start(dut, ["sweep__waiting", "sweep__room"], release=False)
    channel_bits = max(core.local_channels - 1, 1).bit_length()
    pause = case.pause()
    visits: list[tuple[int, int, int, int, int]] = []
    releases: list[int] = []
    due = 3 * (1 if core.framed else steps)  # tokens of three inferences
    for _ in range(CYCLES):
        await FallingEdge(dut.clk)
        dut.rst.value = 0  # the sweep after reset begins at once
        room = not pause()
        dut.sweep__room.value = room
        dut.sweep__waiting.value = (
            known(dut.sweep__accumulating) and len(releases) <= due and not pause()
        )
        await RisingEdge(dut.clk)
        classes = [
            known(getattr(dut, f"sweep__{name}"))
            for name in ("accumulating", "sweeping", "stalled")
        ]
        assert sum(classes) == 1, f"a cycle is in the classes {classes}"
        word = known(dut.sweep__address)
        clear = known(dut.sweep__clear)
        if word & 1:
            assert room or clear, "a word was issued without room"
            address = word >> 1 & ((1 << core.address_bits) - 1)
            channel = word >> (1 + core.address_bits) & ((1 << channel_bits) - 1)
            visits.append((clear, known(dut.sweep__final), address, channel, known(dut.sweep__end)))
        if known(dut.sweep__go):
            releases.append(known(dut.sweep__done))
        if len(releases) == due + 1:
            break
    words = [(int(w), int(w) % core.local_channels, int(w == core.words - 1)) for w in core.order]
    cleared = [visit for visit in visits if visit[0]]
    assert [visit[2:] for visit in cleared] == words
    swept = [visit for visit in visits if not visit[0]]
    assert swept == [
        (0, int(t == steps - 1), *w) for _ in range(3) for t in range(steps) for w in words
    ]
    per = 1 if core.framed else steps
    assert releases == [0] + [int(token % per == per - 1) for token in range(due)]


@cocotb.test()
async def serialiser(dut: HierarchyObject) -> None:
    """Vectors leave as events in order, lowest lane first, then the token; nothing is lost."""
    case = Case()
    core = case.core
    names = ["issued", "valid", "fired", "membranes", "final", "end", "events__ready"]
    await start(dut, [f"serialiser__{name}" for name in names])
    taken: list[int] = []
    cocotb.start_soon(receive(dut, "serialiser__events", taken, case.pause()))
    present, pause = core.neurons >= 0, case.pause()
    expected: list[dict[str, int]] = []
    spikes = np.zeros((12, int(np.prod(core.shape))), np.uint8)
    flight: list[dict[str, int] | None] = [None] * 9  # vectors come a fixed time behind their word
    for sweep_number in range(12):
        rate = case.random.choice([0.0, 0.1, 0.5, 1.0])
        final = sweep_number % 3 == 2
        for word in core.order.tolist():
            lanes = [
                lane
                for lane in range(core.lanes)
                if present[lane, word] and case.random.random() < rate
            ]
            values = [case.random.randrange(1 << core.state_bits) for _ in range(core.lanes)]
            vector = {
                "fired": sum(1 << lane for lane in lanes),
                "final": int(final),
                "end": int(word == core.words - 1),
                "membranes": sum(v << (lane * core.state_bits) for lane, v in enumerate(values)),
            }
            await FallingEdge(dut.clk)
            for _ in range(CYCLES):
                if known(dut.serialiser__room) and not pause():
                    break
                await _shift(dut, flight, None)
                await FallingEdge(dut.clk)
            else:
                raise AssertionError("deadline: the serialiser has no room")
            await _shift(dut, flight, vector)
            spikes[sweep_number, core.neurons[lanes, word]] = 1
            if core.kind == "readout" and final:
                expected += logit_vector(core, word, values)
    if core.kind == "lif":
        expected = spike_events(core, spikes)
    for _ in range(len(flight) + 1):
        await FallingEdge(dut.clk)
        await _shift(dut, flight, None)
    await until(dut, lambda: len(taken) >= len(expected), "all events leave the serialiser")
    await ClockCycles(dut.clk, 100)
    assert len(taken) == len(expected)
    layout = event_layout(output_event(core))
    for found, event in zip(taken, expected, strict=True):
        fields = {
            name: int(layout.unpack(found, name)) for name, _ in layout.fields if name in event
        }
        assert fields == {name: value for name, value in event.items() if name in fields}


async def _shift(dut: HierarchyObject, flight: list, vector: dict[str, int] | None) -> None:
    """One cycle: issue a word, or not, and hand over the vector that is due."""
    dut.serialiser__issued.value = vector is not None
    flight.append(vector)
    due = flight.pop(0)
    dut.serialiser__valid.value = due is not None
    for name, value in (due or {}).items():
        getattr(dut, f"serialiser__{name}").value = value
    await RisingEdge(dut.clk)


@cocotb.test()
async def lane(dut: HierarchyObject) -> None:
    """The core's last lane: requests of several steps, swept as a core sweeps; membranes equal."""
    case = Case()
    core = case.core
    number = core.lanes - 1
    layout = request_layout(core)
    names = ["request", "valid", "go", "sweep", "restart", "write", "write_last", "write_address"]
    await start(dut, [f"lane__{name}" for name in names])
    await _sweep_lane(dut, core, restart=True)
    model = LaneModel(core, number)
    pause = case.pause()
    steps = case.image.timesteps
    for step in range(4 * steps):
        # A direct frame is accumulated once and kept. No source fires twice in one step: words are
        # as wide as that asks for.
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
            await FallingEdge(dut.clk)
            for _ in range(CYCLES):
                if known(dut.lane__room) and not pause():
                    break
                dut.lane__valid.value = 0
                await FallingEdge(dut.clk)
            else:
                raise AssertionError("deadline: the lane has no room")
            dut.lane__valid.value, dut.lane__request.value = 1, int(layout.pack(**request))
        await FallingEdge(dut.clk)
        dut.lane__valid.value = 0
        await until(dut, lambda: bool(known(dut.lane__waiting)), "the lane meets the token")
        await ClockCycles(dut.clk, timing.walk(core.relative))
        final = step % steps == steps - 1
        found = await _sweep_lane(dut, core, restart=final)
        assert found == model.sweep(restart=final), f"step {step}"


async def _sweep_lane(
    dut: HierarchyObject, core: CoreImage, restart: bool
) -> list[tuple[int, int]]:
    """Visit every word as a core does; `(fired, membrane)` of each. Then let the lane go."""
    found: list[tuple[int, int]] = []
    mask = (1 << core.state_bits) - 1
    length = core.words + timing.SWEEP + 2
    for cycle in range(length):
        await FallingEdge(dut.clk)
        here = cycle < core.words
        dut.lane__sweep.value = (
            int(here) | cycle << 1 | (cycle % core.local_channels) << (1 + core.address_bits)
            if here
            else 0
        )
        back = cycle - timing.SWEEP
        dut.lane__restart.value = int(restart and 0 <= back < core.words)
        written = back - 1
        dut.lane__write.value = int(0 <= written < core.words)
        dut.lane__write_address.value = max(written, 0) if written < core.words else 0
        await RisingEdge(dut.clk)
        if 0 <= cycle - timing.RESULT - 1 < core.words:
            found.append((known(dut.lane__fired), known(dut.lane__membranes) & mask))
    await FallingEdge(dut.clk)
    dut.lane__write.value = 0
    dut.lane__go.value = 1
    await FallingEdge(dut.clk)
    dut.lane__go.value = 0
    return found


@cocotb.test()
async def core(dut: HierarchyObject) -> None:
    """A whole core: spikes in the order of golden's interpreter, tokens, and every membrane."""
    case = Case()
    image, about = case.image, case.core
    ports = [f"core__source_{edge}" for edge in range(len(about.edges))]
    names = [f"{port}__{name}" for port in ports for name in ("valid", "payload")]
    await start(dut, [*names, "core__sink__ready", "core__count_clear"])
    batch = 4
    generator = np.random.default_rng(case.settings["seed"])
    node = case.network.input
    shape = (batch, *node.shape) if image.input.direct else (batch, image.timesteps, *node.shape)
    inputs = generator.integers(node.lowest, node.highest, shape, endpoint=True)
    inputs *= generator.random(shape) < 0.4
    trace = interpreter.run(image, inputs)
    taken: list[int] = []
    swept: list[tuple[int, int, int]] = []
    cocotb.start_soon(receive(dut, "core__sink", taken, case.pause()))
    cocotb.start_soon(_watch(dut, about, swept))
    beats = edge_beats(image, case.settings["core"], inputs, trace)
    for port, given in zip(ports, beats, strict=True):
        cocotb.start_soon(send(dut, port, given, case.pause()))
    lif = about.kind == "lif"
    spikes = trace.spikes.get(about.node)
    expected = logit_events(about, trace.logits) if spikes is None else spike_events(about, spikes)
    await until(dut, lambda: len(taken) >= len(expected), "all events leave the core")
    await ClockCycles(dut.clk, 200)
    out = event_layout(output_event(about))
    found = [{name: int(out.unpack(beat, name)) for name, _ in out.fields} for beat in taken]
    for spike in (spike for spike in found if lif and spike["last"]):
        spike.update(dict.fromkeys(spike.keys() - {"last"}, 0))  # a token carries no place
    assert found == [{name: event.get(name, 0) for name, _ in out.fields} for event in expected]
    check_membranes(about, swept, trace.membranes[about.node])


async def _watch(dut: HierarchyObject, about: CoreImage, swept: list[tuple[int, int, int]]) -> None:
    while True:
        await RisingEdge(dut.clk)
        value = dut.core__trace.value
        assert str(value[0]) in "01", f"core__trace is {value}"
        assert not known(dut.core__broken), "a stream inside the core breaks the rules"
        if value[0] == 1:
            word = known(dut.core__trace)
            address = word >> 1 & ((1 << about.address_bits) - 1)
            fired = word >> (1 + about.address_bits) & ((1 << about.lanes) - 1)
            swept.append((address, fired, word >> (1 + about.address_bits + about.lanes)))
