"""The simulated `top` behind the driver: events outside the map, cut transfers, resets, stalls."""

import re

import numpy as np
import pytest

from spikewright.driver import Accelerator
from spikewright.golden.errors import BadInput
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.sim.harness.stimulus import input_beats
from spikewright.sim.simulated_device import Simulation

CUTS = 12


def network_of(coding, seed=1):
    """3 channels of 5 by 6: no size is a power of two, so that events can lie outside."""
    rng = np.random.default_rng(seed)
    kernel, matrix = rng.integers(-3, 4, (5, 3, 3, 3)), rng.integers(-7, 8, (3, 150))
    hidden = LIF("hidden", (5, 5, 6), [3, 4, 5, 6, 7], [0] * 5, 1, 2, "subtract", 9)
    return Network(
        timesteps=4,
        nodes=(Input("pixels", (3, 5, 6), coding, 2), hidden, Readout("out", (3,), [0] * 3)),
        edges=(
            Edge("pixels", "hidden", (Conv2d(kernel, 4, padding=(1, 1)),)),
            Edge("hidden", "out", (Linear(matrix, 4),)),
        ),
    )


def inputs_of(network, count, seed=1):
    shape = (3, 5, 6) if network.input.coding == "direct" else (network.timesteps, 3, 5, 6)
    return np.random.default_rng(seed).integers(0, 4, (count, *shape))


def packets_of(image, inputs):
    """The packets of inferences: a frame, or one for each pass."""
    beats, width = input_beats(image, inputs), image.input.event.width
    data, last = beats & ((1 << width) - 1), beats >> width
    return np.split(data, np.flatnonzero(last)[:-1] + 1)


@pytest.fixture(scope="module", params=[("direct", 1), ("events", 1), ("events", 2)],
                ids=["direct", "events", "events-two-steps-a-pass"])  # fmt: skip
def built(request, tmp_path_factory):
    coding, steps = request.param
    network, folder = network_of(coding), tmp_path_factory.mktemp(coding)
    build(network, folder, BuildOptions(2, steps_per_pass=steps))
    return network, folder


def test_what_the_network_refuses_is_refused_before_the_first_beat(built):
    network, folder = built
    good = inputs_of(network, 2)
    wrong = {
        "type is float64": good / 4,
        "value is 255": np.full(good.shape, 255, np.uint8),
        "value is -1": np.full(good.shape, -1),
        "value is 18446744073709551613": np.full(good.shape, 2**64 - 3, np.uint64),
        "shape is": np.swapaxes(good, -1, -2),
        f"shape is {str(good.shape[1:])[:-1]}": good[0],
    }
    with Simulation(folder) as device:
        accelerator = Accelerator(device, folder)
        accelerator.start()
        for message, inputs in wrong.items():
            with pytest.raises(BadInput, match="^input 'pixels': " + re.escape(message)):
                accelerator.run(inputs)
            with pytest.raises(BadInput):
                network.check_inputs(inputs)
        due = reference.run(network, good).logits
        assert accelerator.run(good).tolist() == due.tolist()
        assert accelerator.errors() == ()
        assert next(each.events_in for each in accelerator.counters())


@pytest.mark.parametrize("stall", [0, 60])
def test_events_outside_the_map_change_nothing_but_the_flag(built, stall):
    network, folder = built
    inputs = inputs_of(network, 3)
    rng = np.random.default_rng(stall)
    with Simulation(folder, stall=stall, seed=stall) as device:
        accelerator = Accelerator(device, folder)
        accelerator.start()
        due = accelerator.run(inputs).tolist()
        assert due == reference.run(network, inputs).logits.tolist()
        before = accelerator.counters(clear=True)
        layout, added = accelerator.image.input.event, 0
        places = {"x": (6, 8), "y": (5, 8), "c": (3, 4)}
        found = []
        for one in range(3):
            for packet in packets_of(accelerator.image, inputs[one : one + 1]):
                name = rng.choice(list(places))
                values = {each: 0 for each, _ in layout.fields} | {"value": 1}
                values |= {"steps": 1, name: int(rng.integers(*places[name]))}
                beat = int(layout.pack(**values))
                at = int(rng.integers(len(packet)))
                device.send("events", [*packet[:at], beat, *packet[at:]])
                added += 1
            found.append(accelerator.logits().tolist())
        assert found == due
        assert accelerator.errors() == ("input_outside",)
        assert accelerator.rejected() == added
        for then, now in zip(before, accelerator.counters(), strict=True):
            for name in ("events_in", "events_out", "synops"):
                assert getattr(then, name) == getattr(now, name), (then.node, name)


def test_a_reset_leaves_flags_that_nobody_has_read(built):
    network, folder = built
    inputs = inputs_of(network, 1)
    with Simulation(folder) as device:
        accelerator = Accelerator(device, folder)
        accelerator.start()
        layout = accelerator.image.input.event
        outside = {each: 0 for each, _ in layout.fields} | {"value": 1, "steps": 1, "x": 7}
        packet = packets_of(accelerator.image, inputs)[0]
        device.send("events", [int(layout.pack(**outside)), *packet[:-1]], whole=False)
        device.wait(200)
        accelerator.reset()
        assert accelerator.errors() == ("input_outside",)
        accelerator.run(inputs)
        assert accelerator.errors() == ()


@pytest.mark.parametrize("stall", [0, 60])
def test_a_cut_transfer_and_a_reset_leave_no_trace(built, stall):
    network, folder = built
    inputs = inputs_of(network, CUTS)
    due = reference.run(network, inputs).logits.tolist()
    rng = np.random.default_rng(stall)
    cuts = set()
    with Simulation(folder, stall=stall, seed=stall) as device:
        accelerator = Accelerator(device, folder)
        accelerator.start()
        for one in range(CUTS):
            packets = packets_of(accelerator.image, inputs[one : one + 1])
            whole = int(rng.integers(len(packets)))
            for packet in packets[:whole]:
                device.send("events", packet)
            beats = int(rng.integers(len(packets[whole])))
            device.send("events", packets[whole][:beats], whole=False)
            device.wait(int(rng.integers(1, 400)))
            accelerator.reset()
            cuts.add((whole, beats))
            assert accelerator.run(inputs[one : one + 1]).tolist() == [due[one]]
            assert accelerator.status()["frame"] == accelerator.status()["busy"] == 0
        assert accelerator.run(inputs).tolist() == due
        assert accelerator.errors() == ()
    assert len(cuts) > 1


def test_a_run_that_ended_early_is_followed_by_a_right_one(built):
    network, folder = built
    inputs = inputs_of(network, 2)

    class Lost(Simulation):
        lost = True

        def receive(self):
            if self.lost:
                raise KeyboardInterrupt
            return super().receive()

    with Lost(folder) as device:
        accelerator = Accelerator(device, folder)
        accelerator.start()
        with pytest.raises(KeyboardInterrupt):
            accelerator.run(inputs)
        device.lost = False
        due = reference.run(network, inputs).logits
        assert accelerator.run(inputs).tolist() == due.tolist()
