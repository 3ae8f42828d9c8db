"""The driver against the simulated top: the same calls that a board gets."""

# Through these also sim.benches.device.

import numpy as np
import pytest

from spikewright.driver import Accelerator
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.image_file import load_image
from spikewright.golden.image.load_stream import fit, load_words
from spikewright.golden.image.registers import pack, register
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.operations import count
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.sim.simulated_device import Simulation
from spikewright.transport import Board


def network(seed, inputs=12, units=9):
    rng = np.random.default_rng(seed)
    hidden = LIF("hidden", (units,), threshold=rng.integers(5, 12, units),
                 bias=rng.integers(-1, 2, units), leak_mul=1, leak_shift=2, reset="subtract",
                 membrane_bits=9)  # fmt: skip
    return Network(
        3,
        (Input("input", (inputs,), "events", 1), hidden, Readout("out", (4,), np.zeros(4, int))),
        (
            Edge("input", "hidden", (Linear(rng.integers(-7, 8, (units, inputs)), 4),)),
            Edge("hidden", "out", (Linear(rng.integers(-7, 8, (4, units)), 4),)),
        ),
    )


def frames(net, batch=5):
    return np.random.default_rng(1).integers(0, 2, (batch, 3, *net.nodes[0].shape))


@pytest.fixture(scope="module")
def loadable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loadable")
    build(
        network(0), folder, BuildOptions(2, host=HostInterface(loadable=True), also=(network(1),))
    )
    return folder


def test_identify_run_count_and_reset(tmp_path):
    net = network(0)
    build(net, tmp_path, BuildOptions(2))
    inputs = frames(net)
    with Simulation(tmp_path) as device:
        accelerator = Accelerator(device, tmp_path)
        about = accelerator.identify()
        assert (about.cores, about.lanes, about.loadable) == (2, 4, False)
        assert about.network == accelerator.image.fingerprint
        accelerator.counters(clear=True)
        expected = reference.run(net, inputs)
        np.testing.assert_array_equal(accelerator.run(inputs), expected.logits)
        for edge, counters in zip(
            count(net, inputs, expected).edges, accelerator.counters(), strict=True
        ):
            assert (counters.synops, counters.events_in) == (edge.synops, edge.events)
        accelerator.reset()
        np.testing.assert_array_equal(accelerator.run(inputs[:1]), expected.logits[:1])
        assert accelerator.errors() == ()
        with pytest.raises(CheckFailed, match="load was refused"):
            accelerator.load(accelerator.image)
        with pytest.raises(CheckFailed, match="SLVERR"):
            device.read32(0x100)


def test_load_and_reload(loadable):
    inputs = frames(network(0))
    with Simulation(loadable) as device:
        accelerator = Accelerator(device, loadable)
        with pytest.raises(CheckFailed, match=r"enable was refused \(start_refused\)"):
            accelerator.start()
        for seed in (0, 1, 0):
            accelerator.load(
                compile_network(network(seed), BuildOptions(2, host=HostInterface(loadable=True)))
            )
            accelerator.start()
            expected = reference.run(network(seed), inputs).logits
            np.testing.assert_array_equal(accelerator.run(inputs), expected)
        with pytest.raises(BadInput, match=r"load: core 'hidden': (shape|state_bits) is"):
            accelerator.load(
                compile_network(
                    network(0, units=10), BuildOptions(2, host=HostInterface(loadable=True))
                )
            )


def test_a_reset_leaves_an_interrupted_load_and_its_flag(loadable):
    """In load mode too: what was cut is refused by name, and the next load and run are right."""
    inputs, host = frames(network(1)), HostInterface(loadable=True)
    image = compile_network(network(1), BuildOptions(2, host=host))
    words = load_words(fit(image, load_image(loadable))).tolist()
    with Simulation(loadable) as device:
        accelerator = Accelerator(device, loadable)
        accelerator.reset()
        assert accelerator.errors() == ()
        device.write32(register("CONTROL").offset, pack("CONTROL", load=1))
        device.send("load", words[: len(words) // 2])
        device.wait(2 * len(words))
        accelerator.reset()
        assert not accelerator.status()["loading"]
        assert accelerator.errors() == ("load_length",)
        accelerator.load(image)
        accelerator.start()
        np.testing.assert_array_equal(
            accelerator.run(inputs), reference.run(network(1), inputs).logits
        )


def test_another_build_is_not_taken_for_this_one(loadable):
    with Simulation(loadable) as device:
        other = compile_network(
            network(0, units=10), BuildOptions(2, host=HostInterface(loadable=True))
        )
        with pytest.raises(CheckFailed, match=r"SHAPE is .* another build"):
            Accelerator(device, other)


def test_a_board_moves_the_same_packets(loadable):
    class Mmio:
        """Registers as `pynq.MMIO` has them."""

        def __init__(self, device):
            self.read, self.write = device.read32, device.write32

    inputs = frames(network(1), 2)
    kinds = []
    with Simulation(loadable) as device:

        def sender(stream):
            def send(beats):
                kinds.append(beats.dtype.str)
                device.send(stream, beats.tolist())

            return send

        senders = {stream: sender(stream) for stream in ("events", "load")}
        board = Board(Mmio(device), senders, lambda: np.array(device.receive()), event_bytes=1)
        accelerator = Accelerator(board, loadable)
        accelerator.load(
            compile_network(network(1), BuildOptions(2, host=HostInterface(loadable=True)))
        )
        accelerator.start()
        expected = reference.run(network(1), inputs).logits
        np.testing.assert_array_equal(accelerator.run(inputs), expected)
    assert set(kinds) == {"|u1", "<u4"}


@pytest.mark.parametrize("width", [0, 3, 16, 1.0 / 3, "2"])
def test_a_board_refuses_a_stream_of_another_width(width):
    with pytest.raises(BadInput, match=r"^board: event_bytes is .* must be 1, 2, 4 or 8, the"):
        Board(None, {}, lambda: np.zeros(0), event_bytes=width)
