"""The networks of the hardware benchmarks: random weights, pruned, with known firing rates.

Weights are Gaussian, pruned layer by layer, and quantised to 4 bits (never to 0, so that the
density is the requested one). Thresholds are set on random inputs so that a known share of the
neurons fires. As after training, the compiler gets the event counts of every neuron on calibration
inputs, drawn apart from the measured ones (for the digit: other codings of the same image).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, reference
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, Operation, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout, Shape
from spikewright.model import data
from spikewright.model.compression import banks, magnitude
from spikewright.model.training import activity

Ints = NDArray[np.int64]
Weights = NDArray[np.float64]
Prune = Callable[[Weights, int], NDArray[np.bool_]]

BITS = 4
FIRING = 0.1
IMAGES = 16
"""Inputs of every case."""
CALIBRATION = 64
"""Inferences on which events are counted."""


@dataclass(frozen=True, eq=False)
class Case:
    """A network with its inputs and what its cores get: lanes, and channels a word where not 1.

    `pruning` says in a word how it was made sparse; `steps` are the time steps of a pass.
    """

    name: str
    pruning: str
    network: Network
    inputs: NDArray[np.integer]
    lanes: Mapping[str, int]
    steps: int = 1
    widths: Mapping[str, int] = field(default_factory=dict)


def pruner(kind: str, density: float) -> Prune:
    """`magnitude` keeps the largest weights, `banks` as many in every lane of every row."""

    def prune(weights: Weights, lanes: int) -> NDArray[np.bool_]:
        if density >= 1:
            return np.ones(weights.shape, bool)
        if kind == "magnitude":
            return magnitude.magnitude_masks([weights], density, "uniform")[0]
        rows = weights.shape[1]
        least = lanes * rows / weights.size  # a sparser layer has fewer banks
        count = lanes if density >= least else max(1, int(density * weights.size / rows))
        return banks.bank_masks([weights], density, "uniform", [count])[0]

    return prune


def draw_weights(
    rng: np.random.Generator, shape: tuple[int, ...], prune: Prune, lanes: int
) -> NDArray[np.int8]:
    """Gaussian weights, pruned, of `BITS` bits; what is kept is not 0."""
    values = rng.normal(size=shape)
    mask = prune(values, lanes)
    top = 2 ** (BITS - 1) - 1
    size = np.clip(np.rint(np.abs(values) * top / 2.5), 1, top)
    return np.where(mask, np.sign(values) * size, 0).astype(np.int8)


class Builder:
    """Grows a network node by node, and lets it fire on probes on the way."""

    def __init__(
        self, seed: int, prune: Prune, source: Input, timesteps: int, rate: float,
        firing: float = FIRING,
    ) -> None:  # fmt: skip
        self.rng, self.seed, self.rate = np.random.default_rng(seed), seed, rate
        self.prune, self.timesteps, self.firing = prune, timesteps, firing
        self.nodes: list[Node] = [source]
        self.edges: list[Edge] = []
        self.lanes: dict[str, int] = {}
        probes = self.events(16, self.rng)
        self.fired = {source.name: [probes[:, t].astype(np.int64) for t in range(timesteps)]}

    def events(self, batch: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Input spikes of `batch` inferences, each with probability `rate`."""
        shape = (batch, self.timesteps, *self.nodes[0].shape)
        return (rng.random(shape) < self.rate).astype(np.uint8)

    def weights(self, shape: tuple[int, ...], lanes: int) -> NDArray[np.int8]:
        """Pruned weights of `BITS` bits."""
        return draw_weights(self.rng, shape, self.prune, lanes)

    def lif(self, name: str, sources: Mapping[str, tuple[Operation, ...]], lanes: int) -> None:
        """Adds a spiking node with edges from all `sources`."""
        shape = self._join(name, sources, lanes)
        drives = []
        for t in range(self.timesteps):
            arriving = [edge for edge in self.edges if edge.target == name]
            drives.append(sum(reference.summed(e, self.fired[e.source][t]) for e in arriving))
        drive = np.stack(drives, axis=1)
        channels = np.moveaxis(drive, 2, 0).reshape(shape[0], -1)
        threshold = np.maximum(1, np.ceil(np.quantile(channels, 1 - self.firing, axis=1)))
        node = LIF(
            name, shape, threshold.astype(np.int64), np.zeros(shape[0], int), 1, 1, "zero", 12
        )
        self.nodes.append(node)
        v, fired = np.zeros_like(drives[0]), []
        for current in drives:
            v, spikes = reference.lif_step(node, v, current)
            fired.append(spikes)
        self.fired[name] = fired

    def case(
        self, name: str, kind: str, source: str, lanes: int, pool: int = 1, steps: int = 1
    ) -> Case:
        """Close the network with a readout of ten classes, and count its events."""
        network = self._network(10, source, lanes, pool)
        seen = self.events(CALIBRATION, np.random.default_rng([self.seed, 1]))
        inputs = self.events(IMAGES, np.random.default_rng([self.seed, 2]))
        return Case(name, kind, activity.measure(network, seen), inputs, self.lanes, steps)

    def _network(self, classes: int, source: str, lanes: int, pool: int) -> Network:
        operations: tuple[Operation, ...] = (SumPool2d((pool, pool)),) if pool > 1 else ()
        shape = next(node.shape for node in self.nodes if node.name == source)
        for operation in operations:
            shape = operation.output_shape(shape)
        linear = Linear(self.weights((classes, int(np.prod(shape))), lanes), BITS)
        self._join("readout", {source: (*operations, linear)}, lanes)
        self.nodes.append(Readout("readout", (classes,), np.zeros(classes, int)))
        return Network(self.timesteps, tuple(self.nodes), tuple(self.edges))

    def conv(self, channels: int, inputs: int, lanes: int) -> Conv2d:
        """A convolution of 3 x 3 that keeps the map's size."""
        return Conv2d(self.weights((channels, inputs, 3, 3), lanes), BITS, (1, 1))

    def _join(self, name: str, sources: Mapping[str, tuple[Operation, ...]], lanes: int) -> Shape:
        self.lanes[name] = lanes
        shapes = {node.name: node.shape for node in self.nodes}
        edges = [Edge(source, name, operations) for source, operations in sources.items()]
        self.edges += edges
        return edges[0].output_shape(shapes[edges[0].source])


def fully_connected(kind: str, lanes: int, density: float = 0.1, steps: int = 1) -> Case:
    """784-512-10, T 8, 15 % of the inputs at each step."""
    source = Input("input", (784,), "events", 1)
    make = Builder(1, pruner(kind, density), source, 8, 0.15)
    make.lif("hidden", {"input": (Linear(make.weights((512, 784), lanes), BITS),)}, lanes)
    return make.case("784-512-10", kind, "hidden", 1, steps=steps)


def convolutional(kind: str, lanes: int = 8, density: float = 0.15) -> Case:
    """28x28 - 16c3 - p2 - 32c3 - p2 - 10, T 4, 10 % of two input maps at each step."""
    make = Builder(2, pruner(kind, density), Input("input", (2, 28, 28), "events", 1), 4, 0.1)
    make.lif("conv1", {"input": (make.conv(16, 2, lanes),)}, lanes)
    make.lif("conv2", {"conv1": (SumPool2d((2, 2)), make.conv(32, 16, lanes))}, lanes)
    return make.case("16c3-p2-32c3-p2-10", kind, "conv2", 2, pool=2)


def residual(kind: str, lanes: int, density: float = 0.15) -> Case:
    """A stem of 16 maps of 16x16 and a block of two convolutions with an identity around, T 4."""
    make = Builder(3, pruner(kind, density), Input("input", (2, 16, 16), "events", 1), 4, 0.2)
    make.lif("stem", {"input": (make.conv(16, 2, lanes),)}, lanes)
    make.lif("inner", {"stem": (make.conv(16, 16, lanes),)}, lanes)
    around = Identity(np.full(16, 4), BITS)
    make.lif("outer", {"inner": (make.conv(16, 16, lanes),), "stem": (around,)}, lanes)
    return make.case("residual block of 16 maps", kind, "outer", 2, pool=4)


def one_convolution(lanes: int = 8) -> Case:
    """28x28 -> 16 maps, 3x3, dense: cycles for each spike; T 4, 5 % of the inputs at each step."""
    source = Input("input", (1, 28, 28), "events", 1)
    make = Builder(4, pruner("dense", 1.0), source, 4, 0.05, firing=0.02)
    make.lif("conv", {"input": (make.conv(16, 1, lanes),)}, lanes)
    return make.case("28x28 -> 16c3", "dense", "conv", 8, pool=7)


def digit(kind: str, lanes: int, width: int, density: float) -> Case:
    """784-128-10, T 100, P 5, 4-bit weights: test image 3 of MNIST, a 0, coded anew each time.

    A pixel p fires in a step with probability p / 255 (seed 0), 145 in all on average. Leak 1/16,
    subtracting reset, one threshold, at which some 2.6 % of the hidden neurons fire. Without the
    data set, an ellipse stands in for the digit, and the name says so.
    """
    pixels, name = _digit()
    seen, inputs = (
        (np.random.default_rng(seed).random((count, 100, 784)) < pixels).astype(np.uint8)
        for seed, count in ((1, 4), (0, IMAGES))
    )
    make = Builder(5, pruner(kind, density), Input("input", (784,), "events", 1), 1, 0.15)
    first, last = (Linear(make.weights(s, lanes), BITS) for s in ((128, 784), (10, 128)))

    def network(threshold: int) -> Network:
        hidden = LIF("hidden", (128,), np.full(128, threshold), np.zeros(128, int), 1, 4,
                     "subtract", 12)  # fmt: skip
        nodes = (make.nodes[0], hidden, Readout("readout", (10,), np.zeros(10, int)))
        edges = (Edge("input", "hidden", (first,)), Edge("hidden", "readout", (last,)))
        return Network(100, nodes, edges)

    low, high = 1, 2047  # firing falls as the threshold rises
    while high - low > 1:
        middle = (low + high) // 2
        fires = engine.run(network(middle), seen).spikes["hidden"].mean()
        low, high = (middle, high) if fires > 0.026 else (low, middle)
    counted = activity.measure(network(high), seen)
    return Case(name, kind, counted, inputs, {"hidden": lanes, "readout": 1}, 5, {"hidden": width})


def _digit() -> tuple[NDArray[np.float64], str]:
    """Chances of 784 pixels, and what to call the case."""
    try:
        image = data.load("mnist", train=False).test_x[3]
        return image.reshape(784) / 255, "784-128-10, MNIST digit"
    except BadInput:
        y, x = np.indices((28, 28)) - 13.5
        inside = (x / 9) ** 2 + (y / 8) ** 2 < 1
        return np.where(inside, 0.65, 0.0).reshape(784), "784-128-10, synthetic digit"
