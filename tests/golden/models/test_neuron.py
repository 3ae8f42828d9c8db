"""One neuron, worked by hand, in both golden models: every rule of a step by itself."""

from collections.abc import Callable

import numpy as np
import pytest

from spikewright.golden.models import engine, reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.trace import Trace

models = pytest.mark.parametrize("run", [reference.run, engine.run], ids=["reference", "engine"])
Run = Callable[..., Trace]

# name: (threshold, bias, leak_mul, leak_shift, reset, membrane_bits), drive -> membranes, spikes
CASES = {
    "no leak keeps": ((9, 0, 0, 3, "zero", 8), [5, 0, -7, 0], [5, 5, -2, -2], [0, 0, 0, 0]),
    "leak floors, -1 decays to 0": (
        (99, 0, 1, 1, "subtract", 8), [-3, 0, 0, 0], [-3, -1, 0, 0], [0, 0, 0, 0]),
    "positive leak stops at 1": (
        (99, 0, 1, 1, "subtract", 8), [5, 0, 0, 0, 0], [5, 3, 2, 1, 1], [0, 0, 0, 0, 0]),
    "leak of 3/8, from above": (
        (99, 0, 3, 3, "subtract", 8), [10, 0, 0, 0, 0], [10, 7, 5, 4, 3], [0, 0, 0, 0, 0]),
    "leak of 3/8, from below": (
        (99, 0, 3, 3, "subtract", 8), [-10, 0, 0, 0, 0], [-10, -6, -3, -1, 0], [0, 0, 0, 0, 0]),
    "leak of everything": ((99, 0, 1, 0, "subtract", 8), [3, 2, -4], [3, 2, -4], [0, 0, 0]),
    "leak of 256/256": ((99, 0, 256, 8, "subtract", 8), [-3, 2, -4], [-3, 2, -4], [0, 0, 0]),
    "leak of 1/256 of -1": ((99, 0, 1, 8, "subtract", 8), [-1, 0, 1, 0], [-1, 0, 1, 1], [0] * 4),
    "leak comes before the drive": ((99, 0, 1, 1, "zero", 8), [4, 4, 4], [4, 6, 7], [0, 0, 0]),
    "equal to the threshold fires": (
        (5, 0, 0, 0, "subtract", 8), [5, 4, 1, 4], [0, 4, 0, 4], [1, 0, 1, 0]),
    "equal to the threshold fires, zero": (
        (5, 0, 0, 0, "zero", 8), [5, 4, 1, 4], [0, 4, 0, 4], [1, 0, 1, 0]),
    "subtract keeps the rest": ((5, 0, 0, 0, "subtract", 8), [9, 3, 9], [4, 2, 6], [1, 1, 1]),
    "zero forgets the rest": ((5, 0, 0, 0, "zero", 8), [9, 3, 9], [0, 3, 0], [1, 0, 1]),
    "at most one spike per step": (
        (5, 0, 0, 0, "subtract", 8), [17, 0, 0, 0], [12, 7, 2, 2], [1, 1, 1, 0]),
    "clamp at the high end, after the reset": (
        (5, 0, 0, 0, "subtract", 4), [20, 0, 0], [7, 2, 2], [1, 1, 0]),
    "the compare sees the unclamped sum": ((7, 0, 0, 0, "zero", 4), [100, 6], [0, 6], [1, 0]),
    "clamp at the low end": ((5, 0, 0, 0, "subtract", 4), [-20, 3, 20], [-8, -5, 7], [0, 0, 1]),
    "ends of the clamp are inside": ((3, 0, 0, 0, "zero", 3), [-4, 6], [-4, 2], [0, 0]),
    "clamped, then leaked": ((5, 0, 1, 1, "subtract", 4), [-50, 0, 0], [-8, -4, -2], [0, 0, 0]),
    "bias at every step": ((99, 3, 1, 1, "subtract", 8), [1, 0, 0], [4, 5, 6], [0, 0, 0]),
    "bias alone fires": ((5, 2, 0, 0, "subtract", 8), [0, 0, 0, 0], [2, 4, 1, 3], [0, 0, 1, 0]),
    "negative bias to the low end": ((3, -3, 0, 0, "zero", 3), [0, 0, 0], [-3, -4, -4], [0, 0, 0]),
    "threshold at its largest": ((7, 0, 0, 0, "subtract", 4), [6, 1], [6, 0], [0, 1]),
    "narrowest membrane": (
        (1, 0, 0, 0, "subtract", 2), [1, 9, -9, 1], [0, 1, -2, -1], [1, 1, 0, 0]),
}  # fmt: skip


def chain(lif: LIF, timesteps: int) -> Network:
    """A signed byte into one neuron, with weight 1; its spikes into a readout."""
    weight = np.array([[1]], np.int8)
    return Network(
        timesteps,
        (
            Input("input", (1,), "events", 8, signed=True),
            lif,
            Readout("readout", (1,), np.array([10]), 1, 2),
        ),
        (
            Edge("input", lif.name, (Linear(weight, 2),)),
            Edge(lif.name, "readout", (Linear(-weight, 2),)),
        ),
    )


@models
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_hand_worked(run: Run, case: tuple) -> None:
    (threshold, bias, leak_mul, leak_shift, reset, bits), drive, membranes, spikes = case
    lif = LIF("a", (1,), np.array([threshold]), np.array([bias]), leak_mul, leak_shift, reset, bits)
    trace = run(chain(lif, len(drive)), np.array(drive).reshape(1, -1, 1))
    assert trace.membranes["a"].ravel().tolist() == membranes
    assert trace.spikes["a"].ravel().tolist() == spikes


@models
def test_readout_integrates_without_clamp_fire_or_reset(run: Run) -> None:
    lif = LIF("a", (1,), np.array([1]), np.array([0]), 0, 0, "zero", 2)
    # leak 1/4, bias 10, weight -1: 10-1; 9-2+10-1; 16-4+10; 22-5+10-1
    trace = run(chain(lif, 4), np.array([1, 1, 0, 1]).reshape(1, 4, 1))
    assert trace.membranes["readout"].ravel().tolist() == [9, 16, 22, 26]
    assert trace.logits.tolist() == [[26]]


@models
def test_readout_grows_beyond_any_membrane(run: Run) -> None:
    bias = 2**31 - 1
    network = Network(
        3,
        (Input("input", (1,), "direct", 8), Readout("readout", (2,), np.array([bias, -bias]))),
        (Edge("input", "readout", (Linear(np.array([[127], [-128]]).astype(np.int8), 8),)),),
    )
    trace = run(network, np.array([[255]]))
    assert trace.logits.tolist() == [[3 * (bias + 255 * 127), 3 * (-bias - 255 * 128)]]


@models
def test_every_inference_starts_at_zero(run: Run) -> None:
    lif = LIF("a", (1,), np.array([9]), np.array([0]), 0, 0, "zero", 8)
    trace = run(chain(lif, 2), np.array([[[5], [3]], [[1], [1]], [[9], [-1]]]))
    assert trace.membranes["a"][..., 0].tolist() == [[5, 8], [1, 2], [0, -1]]


@models
def test_threshold_and_bias_belong_to_the_channel(run: Run) -> None:
    """A map of two channels, in C order: (channel, y, x)."""
    network = Network(
        1,
        (
            Input("input", (1, 1, 3), "direct", 4),
            LIF("a", (2, 1, 3), np.array([3, 5]), np.array([1, -1]), 0, 0, "subtract", 8),
            Readout("readout", (1,), np.array([0])),
        ),
        (
            Edge("input", "a", (conv(np.ones((2, 1, 1, 1))),)),
            Edge("a", "readout", (Linear(np.ones((1, 6), np.int8), 2),)),
        ),
    )
    trace = run(network, np.array([[[[2, 6, 1]]]]))
    assert trace.spikes["a"].tolist() == [[[[[1, 1, 0]], [[0, 1, 0]]]]]
    assert trace.membranes["a"].tolist() == [[[[[0, 4, 2]], [[1, 0, 0]]]]]
    assert trace.logits.tolist() == [[3]]


def conv(weight: np.ndarray) -> Conv2d:
    return Conv2d(weight.astype(np.int8), 8)
