"""Verilator, of two states, and Icarus, of four, see the same device, whatever it is sent."""

import numpy as np
import pytest

from spikewright.driver import Accelerator
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.sim.harness.stimulus import input_beats
from spikewright.sim.simulated_device import Simulation

STREAMS = 25  # of each coding
SIZES = {"x": (6, 8), "y": (5, 8), "c": (3, 4)}  # outside the map of 3 channels of 5 by 6

pytestmark = pytest.mark.icarus


def network_of(coding):
    rng = np.random.default_rng(7)
    hidden = LIF("hidden", (4, 5, 6), [3, 4, 5, 6], [0] * 4, 1, 2, "subtract", 9)
    return Network(
        timesteps=3,
        nodes=(Input("pixels", (3, 5, 6), coding, 2), hidden, Readout("out", (3,), [0] * 3)),
        edges=(
            Edge("pixels", "hidden", (Conv2d(rng.integers(-3, 4, (4, 3, 3, 3)), 4, (1, 1)),)),
            Edge("hidden", "out", (Linear(rng.integers(-7, 8, (3, 120)), 4),)),
        ),
    )


def inputs_of(network, count):
    shape = (3, 5, 6) if network.input.coding == "direct" else (network.timesteps, 3, 5, 6)
    return np.random.default_rng(3).integers(0, 4, (count, *shape))


def with_events_outside(rng, packet, layout):
    """A packet with up to three events that no input has, anywhere before its last beat."""
    beats = list(packet)
    for _ in range(int(rng.integers(4))):
        name = rng.choice(list(SIZES))
        values = {each: 0 for each, _ in layout.fields} | {"value": 1}
        values[name] = int(rng.integers(*SIZES[name]))
        beats.insert(int(rng.integers(len(beats))), int(layout.pack(**values)))
    return beats


def session(folder, simulator, inputs):
    """What a device says while it gets streams that are damaged, cut and whole, in turn."""
    rng, said = np.random.default_rng(11), []
    with Simulation(folder, simulator=simulator, stall=30, seed=5) as device:
        accelerator = Accelerator(device, folder)
        accelerator.start()
        image = accelerator.image
        width = image.input.event.width
        for one in range(STREAMS):
            beats = input_beats(image, inputs[one : one + 1])
            data, last = beats & ((1 << width) - 1), beats >> width
            packets = np.split(data, np.flatnonzero(last)[:-1] + 1)
            cut = int(rng.integers(len(packets)))
            for packet in packets[:cut]:
                device.send("events", with_events_outside(rng, packet, image.input.event))
            part = with_events_outside(rng, packets[cut], image.input.event)
            device.send("events", part[: int(rng.integers(len(part)))], whole=False)
            device.wait(int(rng.integers(1, 300)))
            accelerator.reset()
            said.append((accelerator.errors(), accelerator.rejected(), accelerator.status()))
            said.append(accelerator.run(inputs[one : one + 1]).tolist())
        said.append([counters.events_in for counters in accelerator.counters()])
    return said


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_both_simulators_agree_on_damaged_streams(coding, tmp_path):
    network = network_of(coding)
    build(network, tmp_path, BuildOptions(2))
    inputs = inputs_of(network, STREAMS)
    verilator, icarus = (session(tmp_path, name, inputs) for name in ("verilator", "icarus"))
    assert verilator == icarus
    due = reference.run(network, inputs).logits.tolist()
    assert verilator[1:-1:2] == [[logits] for logits in due]
    flags = {flag for errors, _, _ in verilator[:-1:2] for flag in errors}
    assert flags == {"input_outside"}
    assert verilator[-3][1] > STREAMS // 2
