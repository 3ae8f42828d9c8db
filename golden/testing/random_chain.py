"""Random integer networks, small and adversarial: every kind, every option, every corner case.

In a random network drawn without tuning nothing fires, or everything does. So nodes are tuned as
they are drawn: the network built so far is run (by the reference) on random inputs, and the next
node's thresholds, biases and membrane bits are drawn from the range of its drive. `chain_coverage`
says which corners a run has visited; tests assert that a set of seeds visits all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Linear, Operation, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout, Shape

Generator = np.random.Generator

_PROBES = 4  # inferences that tune a node


@dataclass(frozen=True)
class Limits:
    """How large random networks get, bounds included.

    `buildable`: all edges out of a node of a random graph have the same max-pool window, or none,
    as the hardware needs: a core sends each event once.
    """

    side: int = 9
    channels: int = 12
    units: int = 60
    kernel: int = 5
    layers: int = 4
    timesteps: int = 8
    buildable: bool = True


_SMALL = Limits()


def random_network(seed: int, limits: Limits = _SMALL) -> Network:
    """A network drawn from `seed`: the same seed and limits give the same network.

    One to `limits.layers` LIF nodes between an input (direct or events, 1..8 bits, signed or not)
    and a readout; any edge of a chain, with weights of 2..8 bits and density 0..1. For graphs see
    `golden.testing.random_graph.random_graph`.
    """
    rng = np.random.default_rng((seed, 0x5EED))
    timesteps = int(rng.integers(1, limits.timesteps + 1))
    source = draw_input(rng, limits)
    nodes: list[Node] = [source]
    edges: list[Edge] = []
    frames = draw_frames(rng, source, timesteps, _PROBES).astype(np.int64)
    steps = [frames if source.coding == "direct" else frames[:, t] for t in range(timesteps)]
    layers = int(rng.integers(1, limits.layers + 1))
    for name in [f"lif{index + 1}" for index in range(layers)]:
        edges.append(Edge(nodes[-1].name, name, _operations(rng, nodes[-1].shape, limits)))
        drive = [reference.summed(edges[-1], events) for events in steps]
        lif = draw_lif(rng, name, np.stack(drive, axis=1))
        nodes.append(lif)
        v = np.zeros_like(drive[0])
        for step, current in enumerate(drive):
            v, steps[step] = reference.lif_step(lif, v, current)
    last = _last_operations(rng, nodes[-1].shape)
    edges.append(Edge(nodes[-1].name, "readout", last))
    nodes.append(draw_readout(rng, edges[-1].output_shape(nodes[-1].shape)))
    return Network(timesteps, tuple(nodes), tuple(edges), {"name": f"fuzz {seed}"})


def random_inputs(network: Network, batch: int, seed: int) -> NDArray[np.int16]:
    """Inputs of `batch` inferences, from all zeros over sparse to everything at its largest.

    The first is silent, the second (if there is one) at the top; others have rates of their own.
    int16, shape as `Network.check_inputs` wants it.
    """
    return draw_frames(
        np.random.default_rng((seed, 0x1095)), network.input, network.timesteps, batch
    )


def draw_frames(rng: Generator, node: Input, timesteps: int, batch: int) -> NDArray[np.int16]:
    """Inputs of `batch` inferences of a network of this input; see `random_inputs`."""
    frame = node.shape if node.coding == "direct" else (timesteps, *node.shape)
    inputs = rng.integers(node.lowest, node.highest, (batch, *frame), np.int16, endpoint=True)
    ends = np.array([node.lowest, node.highest], np.int16)
    for one, rate in zip(inputs, rng.choice((0.02, 0.1, 0.3, 0.7, 1.0), batch), strict=True):
        if rng.random() < 0.3:
            one[:] = rng.choice(ends, frame)
        one *= rng.random(frame) < rate
    if node.coding == "events":
        inputs[:, rng.integers(timesteps)] = 0  # a silent step amid the others
    inputs[0:1] = 0
    inputs[1:2] = node.highest
    return inputs


def draw_input(rng: Generator, limits: Limits) -> Input:
    """An input of any shape, coding, width and sign."""
    flat = rng.random() < 0.2
    high = int(rng.integers(1, limits.units + 1))
    shape = (high,) if flat else (_few(rng, limits.channels), *_sides(rng, limits))
    bits = int(rng.integers(1, 9))
    coding: Literal["direct", "events"] = "direct" if rng.random() < 0.5 else "events"
    return Input("input", shape, coding, bits, signed=bool(bits > 1 and rng.random() < 0.4))


def _few(rng: Generator, most: int) -> int:
    """1..most, small numbers more often."""
    return int(rng.integers(1, rng.integers(1, most + 1) + 1))


def _sides(rng: Generator, limits: Limits) -> tuple[int, int]:
    least = min(3, limits.side) if rng.random() < 0.8 else 1
    return int(rng.integers(least, limits.side + 1)), int(rng.integers(least, limits.side + 1))


def _operations(rng: Generator, shape: Shape, limits: Limits) -> tuple[Operation, ...]:
    units = int(rng.integers(1, limits.units + 1))
    if len(shape) == 1:
        return (draw_linear(rng, shape, units),)
    kinds = ("linear", "conv", "pool", "pool linear", "pool conv")
    kind = str(rng.choice(kinds, p=(0.1, 0.4, 0.1, 0.1, 0.3)))
    operations: list[Operation] = []
    if "pool" in kind:
        operations.append(draw_sum_pool(rng, shape))
        shape = operations[0].output_shape(shape)
    if "conv" in kind:
        operations.append(draw_conv(rng, shape, limits))
    if "linear" in kind:
        operations.append(draw_linear(rng, shape, units))
    return tuple(operations)


def _last_operations(rng: Generator, shape: Shape) -> tuple[Operation, ...]:
    """Two to twelve classes, after a pool in half of the cases where one is possible."""
    pools = [draw_sum_pool(rng, shape)] if len(shape) == 3 and rng.random() < 0.5 else []
    for pool in pools:
        shape = pool.output_shape(shape)
    return (*pools, draw_linear(rng, shape, int(rng.integers(2, 13))))


def draw_sum_pool(rng: Generator, shape: Shape) -> SumPool2d:
    """A pool of up to 3 x 3, within the map."""
    return SumPool2d(
        (int(rng.integers(1, min(3, shape[1]) + 1)), int(rng.integers(1, min(3, shape[2]) + 1)))
    )


def draw_linear(rng: Generator, shape: Shape, units: int) -> Linear:
    """A linear operation from `shape` to `units` neurons."""
    bits = int(rng.integers(2, 9))
    return Linear(draw_weights(rng, (units, int(np.prod(shape))), bits), bits)


def draw_conv(rng: Generator, shape: Shape, limits: Limits) -> Conv2d:
    """A convolution of any kernel, stride, padding and groups that fits `shape`."""
    kernel = [int(rng.integers(1, limits.kernel + 1)) for _ in range(2)]
    sy, sx = (int(rng.choice((1, 2, 3), p=(0.6, 0.25, 0.15))) for _ in range(2))
    rows = _padding(rng, shape[1], kernel[0], sy, limits)
    columns = _padding(rng, shape[2], kernel[1], sx, limits)
    groups = _groups(rng, shape[0])
    out = groups * _few(rng, limits.channels // groups)
    bits, size = int(rng.integers(2, 9)), (out, shape[0] // groups, *kernel)
    return Conv2d(draw_weights(rng, size, bits), bits, rows + columns, (sy, sx), groups)


def _padding(rng: Generator, side: int, kernel: int, step: int, limits: Limits) -> tuple[int, int]:
    """Zeros before and after, the same in half of the cases; the result no larger than allowed."""
    any_pair = rng.random() < 0.5
    every = [(p, q) for p in range(kernel) for q in range(kernel) if any_pair or p == q]
    possible = [pair for pair in every if side + sum(pair) >= kernel]
    small = [pair for pair in possible if (side + sum(pair) - kernel) // step < limits.side]
    return (small or possible)[int(rng.integers(len(small or possible)))]


def _groups(rng: Generator, channels: int) -> int:
    """One group, as many as channels (depthwise), or any number between that divides them."""
    draw = rng.random()
    if draw < 0.6:
        return 1
    divisors = [n for n in range(2, channels) if channels % n == 0]
    return int(rng.choice(divisors)) if divisors and draw < 0.85 else channels


def draw_weights(rng: Generator, shape: tuple[int, ...], bits: int) -> NDArray[np.int8]:
    """The full range of `bits`, any density, some target channels and some rows wholly empty."""
    top = 2 ** (bits - 1)
    weight = rng.integers(-top, top, shape).astype(np.int8)
    density = rng.choice((0.0, 0.05, 0.2, 0.5, 1.0), p=(0.03, 0.1, 0.27, 0.3, 0.3))
    weight[rng.random(shape) >= density] = 0
    for axis in (0, 1):
        if rng.random() < 0.3:
            empty = rng.random(shape[axis]) < 0.3
            weight[empty if axis == 0 else (slice(None), empty)] = 0
    return weight


def draw_lif(rng: Generator, name: str, drive: Ints) -> LIF:
    """Thresholds amid the drive, often equal to a value of it; a clamp that is often too tight.

    `drive` is (inferences, timesteps, *shape), without the bias.
    """
    shape: Shape = drive.shape[2:]
    channels = np.moveaxis(drive, 2, 0).reshape(shape[0], -1)
    reach: Ints = np.maximum(1, np.quantile(np.abs(channels), 0.9, axis=1)).astype(np.int64)
    bias = np.zeros(shape[0], np.int64)
    if rng.random() < 0.6:
        bias = rng.integers(-reach, reach, endpoint=True) // int(rng.choice((1, 2, 8)))
    wanted = np.ceil(rng.uniform(0.1, 1.5, shape[0]) * reach).astype(np.int64)
    seen: Ints = bias + np.array([rng.choice(values) for values in channels], np.int64)
    wanted = np.where((seen > 0) & (rng.random(shape[0]) < 0.5), seen, wanted)
    if rng.random() < 0.2:
        wanted[:] = wanted[0]
    most = 2 ** (24 - 1) - 1
    threshold = np.clip(wanted, 1, most)
    bits = int(threshold.max()).bit_length() + 1 + int(rng.choice((0, 0, 1, 3)))
    shift, leak = _leak(rng)
    reset = cast(Literal["subtract", "zero"], str(rng.choice(("subtract", "zero"))))
    return LIF(name, shape, threshold, bias, leak, shift, reset, min(max(bits, 2), 24))


def draw_readout(rng: Generator, shape: Shape) -> Readout:
    """A readout with any bias, leaking in most cases."""
    shift, leak = _leak(rng)
    return Readout("readout", shape, rng.integers(-50, 51, shape[0]), leak, shift)


def _leak(rng: Generator) -> tuple[int, int]:
    """(leak_shift, leak_mul): none in a third of the nodes, else up to everything."""
    shift = int(rng.integers(0, 9))
    return shift, 0 if rng.random() < 1 / 3 else int(rng.integers(1, (1 << shift) + 1))
