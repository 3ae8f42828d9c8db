"""Plans with wider words where rows are dense, and without rows near borders if room is short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.cycles.prediction import predict
from spikewright.golden.models import engine
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.compiler.build_plan import plan_and_compile, settle
from spikewright.hw.compiler.workload import INFERENCES
from spikewright.hw.options import BuildOptions


def linear(density: float) -> tuple[Network, np.ndarray]:
    """196-64-10, T 4, with its activity on the inputs beside it."""
    rng = np.random.default_rng(0)
    first, last = (
        rng.integers(-7, 8, shape) * (rng.random(shape) < density)
        for shape in ((64, 196), (10, 64))
    )
    blank = np.zeros(64, int)
    net = Network(
        4,
        (
            Input("input", (196,), "events", 1),
            LIF("fc1", (64,), blank + 20, blank, 0, 0, "zero", 10),
            Readout("readout", (10,), blank[:10]),
        ),
        (Edge("input", "fc1", (Linear(first, 4),)), Edge("fc1", "readout", (Linear(last, 4),))),
    )
    rate = rng.beta(0.5, 2.5, 196)
    frames = (rng.random((64, 4, 196)) < rate).astype(np.int64)
    sent = {"input": frames, **engine.run(net, frames).spikes}
    counts = {name: fired.astype(np.int64).sum(axis=(0, 1)) for name, fired in sent.items()}
    return replace(net, activity=counts, meta={INFERENCES: "64"}), frames


def test_dense_cores_get_wider_words_where_that_takes_less():
    net, _ = linear(1.0)
    narrow = settle(net, BuildOptions(target="ecp5-85k", channels_per_word=1))
    wide = settle(net, BuildOptions(target="ecp5-85k"))
    assert set(narrow.widths.values()) == {1}
    assert wide.widths["fc1"] > 1
    assert wide.interval <= 1.05 * narrow.interval
    assert wide.total.lut < narrow.total.lut or wide.interval < 0.9 * narrow.interval
    assert settle(net, BuildOptions(lanes=4)).widths == {"fc1": 1, "readout": 1}
    sparse, _ = linear(0.3)
    assert set(settle(sparse, BuildOptions(target="ecp5-85k")).widths.values()) == {1}


def test_a_wider_core_takes_the_cycles_that_were_planned():
    net, frames = linear(1.0)
    options = BuildOptions(target="ecp5-85k", budget={"lut": 6000})
    plan, image = plan_and_compile(net, options)
    assert image.cores[0].channels_per_word == plan.widths["fc1"] > 1
    taken = predict(image, frames, engine.run(net, frames)).cycles_per_inference
    assert plan.interval == pytest.approx(taken, rel=0.1)


def test_rows_near_borders_are_given_up_before_lanes():
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 8, (16, 16, 3, 3)) * (rng.random((16, 16, 3, 3)) < 0.2)
    blank = np.zeros(16, int)
    last = Linear(np.ones((2, 16 * 64), np.int8), 2)
    net = Network(
        2,
        (
            Input("input", (16, 8, 8), "events", 1),
            LIF("conv", (16, 8, 8), blank + 20, blank, 1, 1, "zero", 10),
            Readout("readout", (2,), np.zeros(2, int)),
        ),
        (Edge("input", "conv", (Conv2d(weights, 4, (1, 1)),)), Edge("conv", "readout", (last,))),
    )

    free, with_rows = plan_and_compile(net, BuildOptions(target="ecp5-85k"))
    assert with_rows.cores[0].edges[0].row_bits > 0
    room = {"ram": free.total.ram - 1}
    tight, without = plan_and_compile(net, BuildOptions(target="ecp5-85k", budget=room))
    assert without.cores[0].edges[0].row_bits == 0
    assert tight.lanes == free.lanes
