"""The networks that the hardware benchmarks run: random weights, pruned, firing at known rates.

Weights are Gaussian, pruned layer by layer, and quantised to 4 bits (never to 0, so the density is
the one asked for). Thresholds are set on random inputs so that about a tenth of the neurons fire.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden import reference
from golden.edges import Conv2d, Edge, Identity, Linear, Operation, SumPool2d
from golden.network import Network
from golden.nodes import LIF, Input, Node, Readout, Shape
from model import banks, magnitude

Ints = NDArray[np.int64]
Weights = NDArray[np.float64]
Prune = Callable[[Weights, int], NDArray[np.bool_]]

BITS = 4
FIRING = 0.1


@dataclass(frozen=True, eq=False)
class Case:
    """A network with its inputs and the lanes of its cores; `focus` is the node that sets the pace.

    `pruning` says in a word how it was made sparse; `steps` are the time steps of a pass.
    """

    name: str
    pruning: str
    network: Network
    inputs: NDArray[np.integer]
    lanes: Mapping[str, int]
    focus: str
    steps: int = 1


def pruner(kind: str, density: float) -> Prune:
    """`magnitude` keeps the largest weights, `banks` as many in every lane of every row."""

    def prune(weights: Weights, lanes: int) -> NDArray[np.bool_]:
        if density >= 1:
            return np.ones(weights.shape, bool)
        if kind == "magnitude":
            return magnitude.allocate([weights], density, "uniform")[0]
        rows = weights.shape[1]
        least = lanes * rows / weights.size  # a sparser layer has fewer banks
        count = lanes if density >= least else max(1, int(density * weights.size / rows))
        return banks.allocate([weights], density, "uniform", [count])[0]

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

    def __init__(self, seed: int, prune: Prune, source: Input, timesteps: int, rate: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.prune, self.timesteps = prune, timesteps
        self.nodes: list[Node] = [source]
        self.edges: list[Edge] = []
        self.lanes: dict[str, int] = {}
        self.inputs = self.events(16, rate)
        self.fired = {source.name: [self.inputs[:, t].astype(np.int64) for t in range(timesteps)]}

    def events(self, batch: int, rate: float) -> NDArray[np.uint8]:
        """Input spikes of `batch` inferences, each with probability `rate`."""
        shape = (batch, self.timesteps, *self.nodes[0].shape)
        return (self.rng.random(shape) < rate).astype(np.uint8)

    def weights(self, shape: tuple[int, ...], lanes: int) -> NDArray[np.int8]:
        """Pruned weights of `BITS` bits."""
        return draw_weights(self.rng, shape, self.prune, lanes)

    def lif(self, name: str, sources: Mapping[str, tuple[Operation, ...]], lanes: int) -> None:
        """A spiking node behind all `sources`."""
        shape = self._join(name, sources, lanes)
        drives = []
        for t in range(self.timesteps):
            arriving = [edge for edge in self.edges if edge.target == name]
            drives.append(sum(reference.summed(e, self.fired[e.source][t]) for e in arriving))
        drive = np.stack(drives, axis=1)
        channels = np.moveaxis(drive, 2, 0).reshape(shape[0], -1)
        threshold = np.maximum(1, np.ceil(np.quantile(channels, 1 - FIRING, axis=1)))
        node = LIF(
            name, shape, threshold.astype(np.int64), np.zeros(shape[0], int), 1, 1, "zero", 12
        )
        self.nodes.append(node)
        v, fired = np.zeros_like(drives[0]), []
        for current in drives:
            v, spikes = reference.lif_step(node, v, current)
            fired.append(spikes)
        self.fired[name] = fired

    def network(self, classes: int, source: str, lanes: int, pool: int = 1) -> Network:
        """Close the network with a readout."""
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
    network = make.network(10, "hidden", 1)
    return Case("784-512-10", kind, network, make.inputs, make.lanes, "hidden", steps)


def convolutional(kind: str, lanes: int = 8, density: float = 0.15) -> Case:
    """28x28 - 16c3 - p2 - 32c3 - p2 - 10, T 4, 10 % of two input maps at each step."""
    make = Builder(2, pruner(kind, density), Input("input", (2, 28, 28), "events", 1), 4, 0.1)
    make.lif("conv1", {"input": (make.conv(16, 2, lanes // 2),)}, lanes // 2)
    make.lif("conv2", {"conv1": (SumPool2d((2, 2)), make.conv(32, 16, lanes))}, lanes)
    network = make.network(10, "conv2", 1, pool=2)
    return Case("16c3-p2-32c3-p2-10", kind, network, make.inputs, make.lanes, "conv2")


def residual(kind: str, lanes: int = 8, density: float = 0.15) -> Case:
    """A stem of 16 maps of 16x16 and a block of two convolutions with an identity around, T 4."""
    make = Builder(3, pruner(kind, density), Input("input", (2, 16, 16), "events", 1), 4, 0.2)
    make.lif("stem", {"input": (make.conv(16, 2, lanes // 2),)}, lanes // 2)
    make.lif("inner", {"stem": (make.conv(16, 16, lanes),)}, lanes)
    around = Identity(np.full(16, 4), BITS)
    make.lif("outer", {"inner": (make.conv(16, 16, lanes),), "stem": (around,)}, lanes)
    network = make.network(10, "outer", 1, pool=4)
    return Case("residual block of 16 maps", kind, network, make.inputs, make.lanes, "outer")


def one_convolution(lanes: int = 8) -> Case:
    """28x28 -> 16 maps, 3x3, dense: cycles for each spike; T 4, 5 % of the inputs at each step."""
    make = Builder(4, pruner("dense", 1.0), Input("input", (1, 28, 28), "events", 1), 4, 0.05)
    make.lif("conv", {"input": (make.conv(16, 1, lanes),)}, lanes)
    network = make.network(10, "conv", 1, pool=7)
    return Case("28x28 -> 16c3, dense", "dense", network, make.inputs, make.lanes, "conv")
