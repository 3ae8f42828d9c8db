"""The case of other designs' published figures: 784-128-10, 100 steps, a Poisson-coded digit.

The leak is 1/16, reset by subtraction, weights have 4 bits and are random (Gaussian), dense or 10 %
kept; one threshold for all neurons makes about 3.3 of them fire per step, as in the peers' trained
network. The digit is the first zero of MNIST's test set with 193 nonzero pixels; each sends a spike
in each step with the probability of its grey value, `default_rng(0)`: 145 spikes per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hardware_cases import BITS, draw_weights, pruner
from numpy.typing import NDArray

from spikewright.golden.cycles.prediction import Source, predict
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.models import engine
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.model.data import load

STEPS, PIXELS, SEED = 100, 193, 0
HIDDEN, CLASSES, MEMBRANE = 128, 10, 12
FIRING = 3.3  # of the hidden neurons in a step


@dataclass(frozen=True)
class Point:
    """Weights kept, and how the hidden core is built: lanes, channels of a word, steps a pass."""

    density: float
    lanes: int
    channels_per_word: int
    steps_per_pass: int


POINTS = (Point(1.0, 1, 32, 5), Point(0.1, 16, 1, 5))
"""The fewest LUTs among those tried with a tenth of the peer's latency."""

PEER = {"lut4": 7709, "carry_cells": 1387, "flip_flops": 2347, "block_rams": 31, "mhz": 44.3,
        "cycles": 91389}  # fmt: skip
"""Spiker+ 784-128-10 on this device, measured with these tools on this digit; 4-bit weights."""


def digit() -> NDArray[np.uint8]:
    """(1, STEPS, 784): the digit's spikes."""
    data = load("mnist", train=False)
    grey = data.test_x.reshape(len(data.test_x), -1)
    fitting = (data.test_y == 0) & ((grey > 0).sum(axis=1) == PIXELS)
    image = grey[np.flatnonzero(fitting)[0]] / 255
    rng = np.random.default_rng(SEED)
    return (rng.random((1, STEPS, image.size)) < image).astype(np.uint8)


def network(density: float, lanes: int, inputs: NDArray[np.uint8]) -> Network:
    """The network whose hidden neurons fire on `inputs` as often as asked for."""
    rng = np.random.default_rng(SEED)
    keep = pruner("banks", density)
    first = draw_weights(rng, (HIDDEN, inputs.shape[-1]), keep, lanes)
    second = draw_weights(rng, (CLASSES, HIDDEN), keep, 1)
    low, high = 1, 2 ** (MEMBRANE - 1) - 1
    while high - low > 1:  # the more it takes to fire, the fewer do
        middle = (low + high) // 2
        fired = engine.run(_network(first, second, middle), inputs).spikes["hidden"]
        low, high = (middle, high) if fired.sum() > FIRING * STEPS else (low, middle)
    return _network(first, second, high)


def _network(first: NDArray[np.int8], second: NDArray[np.int8], threshold: int) -> Network:
    hidden = LIF(
        "hidden", (HIDDEN,), np.full(HIDDEN, threshold), np.zeros(HIDDEN, int), 1, 4, "subtract",
        MEMBRANE,
    )  # fmt: skip
    return Network(
        STEPS,
        (Input("input", first.shape[1:], "events", 1), hidden,
         Readout("readout", (CLASSES,), np.zeros(CLASSES, int))),
        (Edge("input", "hidden", (Linear(first, BITS),)),
         Edge("hidden", "readout", (Linear(second, BITS),))),
    )  # fmt: skip


def build_point(point: Point, folder: Path) -> tuple[float, float]:
    """Build it without registers and counters; cycles of the digit, and hidden spikes a step."""
    inputs = digit()
    made = network(point.density, point.lanes, inputs)
    options = BuildOptions(
        {"hidden": point.lanes, "readout": 1}, {"hidden": point.channels_per_word},
        point.steps_per_pass, host=HostInterface(registers=False, counters=False),
    )  # fmt: skip
    image = build(made, folder, options)
    trace = engine.run(made, inputs)
    cycles = predict(image, inputs, trace, Source(start=7)).cycles_per_inference
    return cycles, float(trace.spikes["hidden"].sum()) / STEPS
