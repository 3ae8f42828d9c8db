"""Spike vectors to events: order, tokens, back-pressure, logits."""

import random
from dataclasses import replace

import pytest
from amaranth.sim import Simulator

from spikewright.hw.core.serialiser import Serialiser


def serialise(core, vectors, ready=lambda: True, visits=0, deadline=20_000):
    """Offer `(fired, membranes, final)` per visit as room allows; every beat that comes out."""
    dut, visits = Serialiser(core), visits or core.words
    beats = []
    wanted = sum(final for *_, final in vectors) if core.kind == "readout" else None

    async def feed(ctx):
        pipeline = []  # a word's vector follows its issue some cycles later
        for place, (fired, membranes, final) in enumerate(vectors):
            while not ctx.get(dut.room):
                await step(ctx, pipeline, None)
            await step(ctx, pipeline, (fired, membranes, final, place % visits == visits - 1))
        for _ in range(20):
            await step(ctx, pipeline, None)

    async def step(ctx, pipeline, vector):
        pipeline.append(vector)
        due = pipeline.pop(0) if len(pipeline) > 11 else None
        ctx.set(dut.issued, vector is not None)
        ctx.set(dut.valid, due is not None)
        if due is not None:
            ctx.set(dut.fired, due[0])
            ctx.set(dut.membranes, due[1])
            ctx.set(dut.final, due[2])
            ctx.set(dut.end, due[3])
        await ctx.tick()

    async def watch(ctx):
        quiet = 0
        for _ in range(deadline):
            offered = ready()
            ctx.set(dut.events.ready, offered)
            _, _, valid, payload = await ctx.tick().sample(dut.events.valid, dut.events.payload)
            quiet = 0 if valid else quiet + 1
            if valid and offered:
                beats.append({name: payload[name] for name, _ in dut.layout.fields})
            if quiet > 400:
                return
        pytest.fail("hung")

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(watch)
    simulator.run()
    assert wanted is None or wanted
    return beats


def expected_events(core, vectors):
    beats = []
    for place, (fired, _, _) in enumerate(vectors):
        word = place % core.words
        position, local = divmod(word, core.local_channels)
        y, x = divmod(position, core.size[2])
        for lane in range(core.lanes):
            if fired >> lane & 1:
                beats.append({"last": 0, "x": x, "y": y, "c": local << core.column_bits | lane})
        if word == core.words - 1:
            beats.append("token")
    return beats


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
@pytest.mark.parametrize(("rate", "stall"), [(0.1, 0.0), (0.5, 0.5), (1.0, 0.75), (0.0, 0.3)])
def test_spikes_in_address_order_then_the_token(conv_core, lanes, rate, stall):
    core, rng = conv_core(lanes=lanes), random.Random(lanes)
    vectors = [
        (sum((rng.random() < rate) << lane for lane in range(lanes)), 0, 0)
        for _ in range(2 * core.words)
    ]
    beats = serialise(core, vectors, ready=lambda: rng.random() >= stall)
    expected = expected_events(core, vectors)
    assert len(beats) == len(expected)
    for beat, due in zip(beats, expected, strict=True):
        assert beat["last"] == 1 if due == "token" else beat == due


@pytest.mark.parametrize("window", [(2, 2), (1, 3), (5, 6), (3, 4)])
@pytest.mark.parametrize(("rate", "stall"), [(0.1, 0.5), (0.6, 0.0), (1.0, 0.75)])
def test_a_window_leaves_as_one(conv_core, window, rate, stall):
    core, rng = replace(conv_core(lanes=3), window=window), random.Random(rate)
    vectors = [
        (sum((rng.random() < rate) << lane for lane in range(3)), 0, 0)
        for _ in range(2 * core.words)
    ]
    _, height, width = core.size
    maps, expected = {}, []
    for place, (fired, _, _) in enumerate(vectors):
        position, local = divmod(int(core.order[place % core.words]), core.local_channels)
        (y, dy), (x, dx) = (
            divmod(a, b) for a, b in zip(divmod(position, width), window, strict=True)
        )
        if y < height // window[0] and x < width // window[1]:
            merged = maps.get((y, x, local), 0) | fired
            maps[y, x, local] = merged
            if (dy + 1, dx + 1) == window:
                expected += [
                    {"last": 0, "x": x, "y": y, "c": local << core.column_bits | lane}
                    for lane in range(3) if merged >> lane & 1
                ]  # fmt: skip
        if place % core.words == core.words - 1:
            expected.append("token")
            maps.clear()
    beats = serialise(core, vectors, ready=lambda: rng.random() >= stall)
    assert len(beats) == len(expected)
    for beat, due in zip(beats, expected, strict=True):
        # Fields of width 0, as the position of a window that is the whole map, are absent.
        present = due == "token" or {name: due[name] for name in beat}
        assert beat["last"] == 1 if due == "token" else beat == present


def test_the_last_spike_comes_before_its_token(conv_core):
    core = conv_core(lanes=2)
    vectors = [(0, 0, 0)] * (core.words - 1) + [(3, 0, 0)]
    beats = serialise(core, vectors)
    assert [beat["last"] for beat in beats] == [0, 0, 1]


@pytest.mark.parametrize(("classes", "lanes"), [(10, 1), (10, 4), (3, 4), (8, 8), (1, 1)])
def test_logits_of_the_last_step_only(conv_core, classes, lanes):
    local = -(-classes // lanes)
    core = replace(
        conv_core(),
        kind="readout",
        shape=(classes,),
        lanes=lanes,
        local_channels=local,
        state_bits=9,
    )
    rng = random.Random(classes)
    values = [rng.randrange(-256, 256) for _ in range(local * lanes)]

    def vector(word, final):
        packed = sum((values[word * lanes + lane] & 511) << 9 * lane for lane in range(lanes))
        return 0, packed, final

    vectors = [vector(word, final) for final in (0, 0, 1, 0, 1) for word in range(local)]
    beats = serialise(core, vectors, ready=lambda: rng.random() < 0.5)
    once = [
        {"last": index == classes - 1, "index": index, "value": values[index] & 511}
        for index in range(classes)
    ]
    assert beats == once * 2


def test_the_steps_of_a_pass_leave_as_one_mask_of_a_single_word(conv_core):
    core = replace(conv_core(lanes=2), shape=(2, 1, 1), local_channels=1, steps_per_pass=3)
    passes = [(1, 2, 3), (0, 0, 0), (3, 3, 3), (0, 1, 0), (2, 0, 1)]
    vectors = [(fired, 0, 0) for steps in passes for fired in steps]
    expected = []
    for steps in passes:
        for column in range(2):
            mask = sum((fired >> column & 1) << step for step, fired in enumerate(steps))
            expected += [{"last": 0, "c": column, "steps": mask}] * (mask > 0)
        expected.append("token")
    beats = serialise(core, vectors, visits=3)
    assert len(beats) == len(expected)
    for beat, due in zip(beats, expected, strict=True):
        assert beat["last"] == 1 if due == "token" else beat == due


@pytest.mark.parametrize(("steps", "lanes", "width"), [(2, 3, 1), (4, 2, 2), (3, 1, 4)])
@pytest.mark.parametrize("window", [(1, 1), (2, 3)])
@pytest.mark.parametrize(("rate", "stall"), [(0.1, 0.5), (0.6, 0.0), (1.0, 0.75)])
def test_the_steps_of_a_pass_leave_as_one_mask(conv_core, steps, lanes, width, window, rate, stall):
    core = replace(
        conv_core(lanes=lanes), channels_per_word=width, steps_per_pass=steps, window=window
    )
    rng = random.Random(rate)
    step, address = core.visits
    each, place = len(step), {int(word): n for n, word in enumerate(core.order)}
    vectors = [
        (sum((rng.random() < rate) << column for column in range(core.columns)), 0, 0)
        for _ in range(2 * each)
    ]
    _, height, width = core.size
    expected = []
    for first in (0, each):
        masks = {}
        for visit in range(each):
            position, local = divmod(int(address[visit]), core.local_channels)
            y, x = (a // b for a, b in zip(divmod(position, width), window, strict=True))
            if y < height // window[0] and x < width // window[1]:
                # A window leaves in the order of its places, which is that of its first one.
                _, columns = masks.setdefault(
                    (y, x, local), (place[int(address[visit])], [0] * core.columns)
                )
                for column in range(core.columns):
                    columns[column] |= (vectors[first + visit][0] >> column & 1) << int(step[visit])
        for (y, x, local), (_, columns) in sorted(masks.items(), key=lambda item: item[1][0]):
            expected += [
                {"last": 0, "x": x, "y": y, "c": local << core.column_bits | column, "steps": mask}
                for column, mask in enumerate(columns) if mask
            ]  # fmt: skip
        expected.append("token")
    beats = serialise(core, vectors, lambda: rng.random() >= stall, each)
    assert len(beats) == len(expected)
    for beat, due in zip(beats, expected, strict=True):
        assert beat["last"] == 1 if due == "token" else beat == due
