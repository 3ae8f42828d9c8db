"""The golden model of the block-level benches: stimulus, and expected beats, words and membranes.

Everything is computed from the memory image and golden's interpreter; nothing looks at the RTL.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.network.file import load
from spikewright.golden.network.graph import Network
from spikewright.golden.network.trace import Trace
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.hw.shapes import event_layout
from spikewright.sim.benches import SETTINGS
from spikewright.sim.benches.stream import pauses
from spikewright.sim.harness.stimulus import input_beats


class Case:
    """The settings of a run, its network, and the memory image of the core under test."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = json.loads(os.environ[SETTINGS])
        self.network: Network = load(self.settings["network"])
        self.image: Image = compile_network(self.network, BuildOptions(self.settings["lanes"]))
        self.core: CoreImage = self.image.cores[self.settings["core"]]
        self.random = random.Random(self.settings["seed"])
        self._pauses = 0

    def pause(self) -> Callable[[], bool]:
        """The pause generator of one more port."""
        self._pauses += 1
        return pauses(self.settings["stall"], self.settings["seed"] * 1000 + self._pauses)

    def inputs(self, batch: int) -> np.ndarray:
        """Random inputs of the network (batch, [T,] *shape), most of them 0."""
        node, generator = self.network.input, np.random.default_rng(self.settings["seed"])
        steps = () if self.image.input.direct else (self.image.timesteps,)
        shape = (batch, *steps, *node.shape)
        inputs = generator.integers(node.lowest, node.highest, shape, endpoint=True)
        return inputs * (generator.random(shape) < 0.4)


def events_of(case: Case, index: int) -> list[dict[str, int]]:
    """The stimulus of an edge: events, a token after every step, and one step without events.

    It covers two inferences, so that a direct edge beside others brings two frames.
    """
    core, edge = case.core, case.core.edges[index]
    token = {"last": 1, "y": 0, "x": 0, "c": 0, "value": 0}
    steps = 1 if edge.direct or core.framed else case.image.timesteps
    events: list[dict[str, int]] = []
    for step in range(2 * steps):
        events += [*(frame_of(case, index) if step != 1 else []), token]
    return events


def frame_of(case: Case, index: int) -> list[dict[str, int]]:
    """One step of events: most neurons of an edge's source once, with random values, shuffled."""
    edge = case.core.edges[index]
    if edge.source == case.image.input.name:
        shape, codes = case.image.input.shape, range(case.image.input.shape[0])
    else:
        sender = next(core for core in case.image.cores if core.node == edge.source)
        shape, codes = (sender.size[0], *sender.sent), sender.codes
    _, height, width = (*shape, 1, 1)[:3]
    bits = edge.event.bits("value")
    events = [
        {"last": 0, "y": y, "x": x, "c": c, "value": case.random.randrange(1 << bits)}
        for c in codes for y in range(height) for x in range(width)
        if case.random.random() < 0.8
    ]  # fmt: skip
    case.random.shuffle(events)
    return events


def request_of(core: CoreImage, index: int, event: dict[str, int]) -> dict[str, int] | None:
    """The row request that an edge's tables give for an event; None if all its taps are cropped."""
    edge = core.edges[index]
    y, x = core.memories[f"table_y_{index}"], core.memories[f"table_x_{index}"]
    if event["last"]:
        return {"last": 1}
    mask_y, mask_x = int(y.field("mask")[event["y"]]), int(x.field("mask")[event["x"]])
    if not mask_y or not mask_x:
        return None
    position = int(y.field("row")[event["y"]] + x.field("row")[event["x"]])
    base = int(y.field("base")[event["y"]] + x.field("base")[event["x"]])
    base &= (1 << core.address_bits) - 1
    value = event["value"] if edge.event.bits("value") else 1
    return {
        "last": 0, "row": edge.row_start + (event["c"] << edge.row_bits | position), "base": base,
        "mask_y": mask_y, "mask_x": mask_x, "value": value, "direct": int(edge.direct),
    }  # fmt: skip


def edge_beats(image: Image, index: int, inputs: np.ndarray, trace: Trace) -> list[list[int]]:
    """The packed beats that enter each edge of core `index` in the run `trace` of `inputs`."""
    senders = {core.node: core for core in image.cores}
    beats = []
    for edge in image.cores[index].edges:
        if edge.source == image.input.name:
            words = input_beats(image, inputs)
            # `input_beats` packs the token bit above the event, a stream below it.
            token = words >> max(edge.event.width, 1)
            beats.append((token | (words << 1 & ((2 << edge.event.width) - 1))).tolist())
            continue
        spikes = trace.spikes[edge.source].copy()
        first: list[dict[str, int]] = []
        if edge.delay:
            spikes[:, -1] = 0
            first = [{"last": 1}]
        layout = event_layout(edge.event)
        names = dict.fromkeys(dict(layout.fields), 0)
        events = [*first, *spike_events(senders[edge.source], spikes)]
        beats.append([int(layout.pack(**{**names, **event})) for event in events])
    return beats


def logit_vector(core: CoreImage, word: int, values: list[int]) -> list[dict[str, int]]:
    """The logits that a readout sends for membrane word `word` in the last step of an inference."""
    holders = [lane for lane in range(core.lanes) if core.neurons[lane, word] >= 0]
    final = word == core.words - 1
    return [
        {"index": word * core.lanes + lane, "value": values[lane],
         "last": int(final and lane == holders[-1])}
        for lane in holders
    ]  # fmt: skip


class LaneModel:
    """The golden model of one lane, from the rows and constants of its memories."""

    def __init__(self, core: CoreImage, number: int) -> None:
        self.core = core
        self.rows = core.rows(number)
        self.constants = core.memories[f"constants_{number}"]
        self.state = [0] * core.words
        self.drive = [0] * core.words

    def add(self, request: dict[str, int]) -> None:
        """Accumulates the row of a request into the membranes, or the drives of a direct edge."""
        core, rows, taps = self.core, self.rows, self.core.memories["taps"]
        value = request["value"] if core.value_bits else 1
        if core.value_signed:
            value -= (value >> (core.value_bits - 1)) << core.value_bits
        target = self.drive if request["direct"] else self.state
        for at in rows.walk(np.array([request["row"]]))[1]:
            tap = int(rows.tap[at])
            inside = request["mask_y"] >> int(taps.field("ky")[tap])
            inside &= request["mask_x"] >> int(taps.field("kx")[tap])
            address = request["base"] + int(taps.field("offset")[tap]) + int(rows.channel[at])
            if inside & 1:
                target[address & ((1 << core.address_bits) - 1)] += int(rows.weight[at, 0]) * value

    def sweep(self, restart: bool) -> list[tuple[int, int]]:
        """Ends the step and returns `(fired, membrane)` of every word.

        With `restart` the next step starts from zero, as after the last step of an inference.
        """
        core, swept = self.core, []
        for word in range(core.words):
            local = word % core.local_channels
            v = (
                self.state[word]
                + self.drive[word]
                + int(self.constants.field("bias", signed=True)[local])
            )
            fired = 0
            if core.kind == "lif":
                threshold = int(self.constants.field("threshold")[local])
                fired = int(v >= threshold)
                v = (v - threshold if core.reset == "subtract" else 0) if fired else v
                limit = 1 << (core.clamp_bits - 1)
                v = max(-limit, min(limit - 1, v))
            swept.append((fired, v & ((1 << core.state_bits) - 1)))
            self.state[word] = 0 if restart else v - ((v * core.leak_mul) >> core.leak_shift)
            self.drive[word] = 0 if restart else self.drive[word]
        return swept


def spike_events(core: CoreImage, spikes: np.ndarray) -> list[dict[str, int]]:
    """The event stream of a core with these `spikes`, in order, and a token after every step.

    Order: pooling window, row by row; then channel code.
    """
    events: list[dict[str, int]] = []
    (height, width), (ky, kx) = core.sent, core.window
    for step in spikes.reshape(-1, *core.size):
        windows = step[:, : height * ky, : width * kx].reshape(-1, height, ky, width, kx)
        pooled = windows.any(axis=(2, 4))
        channels = sorted(range(len(core.codes)), key=core.codes.__getitem__)
        for y, x in np.ndindex(height, width):
            events += [
                {"last": 0, "y": y, "x": x, "c": core.codes[c]} for c in channels if pooled[c, y, x]
            ]
        events.append({"last": 1})
    return events


def logit_events(core: CoreImage, logits: np.ndarray) -> list[dict[str, int]]:
    """The event stream of a readout with these `logits` (batch, classes), in order of classes."""
    mask, classes = (1 << core.state_bits) - 1, logits.shape[1]
    return [
        {"index": index, "value": int(row[index]) & mask, "last": int(index == classes - 1)}
        for row in logits for index in range(classes)
    ]  # fmt: skip


def check_membranes(
    core: CoreImage, swept: list[tuple[int, int, int]], membranes: np.ndarray
) -> None:
    """Scoreboard: every word of the trace against `membranes` (batch, T, *shape) of the golden run.

    `swept` are `(address, fired, membranes)` of every word, as the trace port showed them.
    """
    steps = membranes.reshape(-1, int(np.prod(core.shape)))
    assert len(swept) == len(steps) * core.words
    mask = (1 << core.state_bits) - 1
    for index, (address, _, values) in enumerate(swept):
        step, visit = divmod(index, core.words)
        word = core.order[visit]
        assert address == word
        for lane in range(core.lanes):
            neuron = core.neurons[lane, word]
            if neuron >= 0:
                value = values >> (lane * core.state_bits) & mask
                assert value == int(steps[step, neuron]) & mask, f"sweep {step}, neuron {neuron}"
