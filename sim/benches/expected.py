"""What the components of a core must do, worked out from the memory image and the interpreter."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.file import load
from golden.image import CoreImage, Image
from golden.network import Network
from hw.compiler import compile_network
from sim.benches import SETTINGS
from sim.benches.stream import pauses


class Case:
    """The settings of a run, and the image of the core under test."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = json.loads(os.environ[SETTINGS])
        self.network: Network = load(self.settings["network"])
        self.image: Image = compile_network(self.network, self.settings["lanes"])
        self.core: CoreImage = self.image.cores[0]
        self.random = random.Random(self.settings["seed"])
        self._pauses = 0

    def pause(self) -> Callable[[], bool]:
        """Pauses of one more stream."""
        self._pauses += 1
        return pauses(self.settings["stall"], self.settings["seed"] * 1000 + self._pauses)


def events_of(case: Case) -> list[dict[str, int]]:
    """Frames of events with tokens between them, two of which follow each other at once."""
    token = {"last": 1, "y": 0, "x": 0, "c": 0, "value": 0}
    found: list[dict[str, int]] = []
    for _ in range(4):
        found += [*frame_of(case), token]
    return [*found, token]


def frame_of(case: Case) -> list[dict[str, int]]:
    """Most sources of the first core once, with random values, shuffled."""
    core, (channels, height, width) = case.core, (*case.image.input.shape, 1, 1)[:3]
    values = 1 << core.value_bits
    found = [
        {"last": 0, "y": y, "x": x, "c": c, "value": case.random.randrange(values)}
        for c in range(channels) for y in range(height) for x in range(width)
        if case.random.random() < 0.8
    ]  # fmt: skip
    case.random.shuffle(found)
    return found


def request_of(core: CoreImage, event: dict[str, int]) -> dict[str, int] | None:
    """What the tables make of an event; None if no tap of it stays inside."""
    y, x = core.memories["table_y_0"], core.memories["table_x_0"]
    if event["last"]:
        return {"last": 1}
    mask_y, mask_x = int(y.field("mask")[event["y"]]), int(x.field("mask")[event["x"]])
    if not mask_y or not mask_x:
        return None
    position = int(y.field("row")[event["y"]] + x.field("row")[event["x"]])
    base = int(y.field("base")[event["y"]] + x.field("base")[event["x"]])
    base &= (1 << core.address_bits) - 1
    row = event["c"] << core.edges[0].row_bits | position
    return {
        "last": 0,
        "row": row,
        "base": base,
        "mask_y": mask_y,
        "mask_x": mask_x,
        "value": event["value"],
    }


def vector_events(
    core: CoreImage, word: int, lanes: list[int], values: list[int], final: bool
) -> list[dict[str, int]]:
    """What must leave for one vector."""
    position, local = divmod(word, core.local_channels)
    if core.kind == "readout":
        last_word = word == core.words - 1
        holders = (
            [lane for lane in range(core.lanes) if core.neurons[lane, word] >= 0] if final else []
        )
        return [
            {
                "index": local * core.lanes + lane,
                "value": values[lane],
                "last": int(last_word and lane == holders[-1]),
            }
            for lane in holders
        ]
    y, x = divmod(position, core.size[2])
    return [{"last": 0, "y": y, "x": x, "c": local << core.lane_bits | lane} for lane in lanes]


class LaneModel:
    """One lane from its memory words, in plain integers."""

    def __init__(self, core: CoreImage, number: int) -> None:
        self.core = core
        self.rows = core.rows(number)
        self.constants = core.memories[f"constants_{number}"]
        self.state = [0] * core.words
        self.drive = [0] * core.words

    def add(self, request: dict[str, int]) -> None:
        """Walk the row of a request."""
        core, taps = self.core, self.core.memories["taps"]
        value = request["value"] if core.value_bits else 1
        if core.value_signed:
            value -= (value >> (core.value_bits - 1)) << core.value_bits
        rows = self.rows
        start, length = int(rows.start[request["row"]]), int(rows.length[request["row"]])
        for at in range(start, start + length):
            tap = int(rows.tap[at])
            inside = request["mask_y"] >> int(taps.field("ky")[tap]) & request["mask_x"] >> int(
                taps.field("kx")[tap]
            )
            address = request["base"] + int(taps.field("offset")[tap]) + int(rows.channel[at])
            if inside & 1:
                target = self.drive if core.direct else self.state
                weight = int(rows.weight[at])
                target[address & ((1 << core.address_bits) - 1)] += weight * value

    def sweep(self, restart: bool) -> list[tuple[int, int]]:
        """End the step: `(fired, membrane)` of every word."""
        core, found = self.core, []
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
            found.append((fired, v & ((1 << core.state_bits) - 1)))
            self.state[word] = 0 if restart else v - ((v * core.leak_mul) >> core.leak_shift)
            self.drive[word] = 0 if restart else self.drive[word]
        return found


def spike_events(about: CoreImage, spikes: np.ndarray) -> list[dict[str, int]]:
    """The event stream of a core: by address, then lane; a token behind every step."""
    found: list[dict[str, int]] = []
    width = about.size[2]
    for step in spikes.reshape(-1, int(np.prod(about.shape))):
        for word in range(about.words):
            position, local = divmod(word, about.local_channels)
            for lane_number in range(about.lanes):
                neuron = about.neurons[lane_number, word]
                if neuron >= 0 and step[neuron]:
                    code = local << about.lane_bits | lane_number
                    found.append({"y": position // width, "x": position % width, "c": code})
        found.append({"last": 1})
    return found


def logit_events(about: CoreImage, logits: np.ndarray) -> list[dict[str, int]]:
    """The event stream of a readout: every class in order of its word and lane."""
    mask, classes = (1 << about.state_bits) - 1, logits.shape[1]
    return [
        {"index": index, "value": int(row[index]) & mask, "last": int(index == classes - 1)}
        for row in logits for index in range(classes)
    ]  # fmt: skip


def check_membranes(
    about: CoreImage, swept: list[tuple[int, int, int]], membranes: np.ndarray
) -> None:
    steps = membranes.reshape(-1, int(np.prod(about.shape)))
    assert len(swept) == len(steps) * about.words
    mask = (1 << about.state_bits) - 1
    for index, (address, _, values) in enumerate(swept):
        step, word = divmod(index, about.words)
        assert address == word
        for lane_number in range(about.lanes):
            neuron = about.neurons[lane_number, word]
            if neuron >= 0:
                value = values >> (lane_number * about.state_bits) & mask
                assert value == int(steps[step, neuron]) & mask, f"sweep {step}, neuron {neuron}"
