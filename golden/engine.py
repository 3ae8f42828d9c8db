"""The engine: the integer network, event-driven, at the speed of machine code.

A second program for the same specification as `golden.reference`, sharing only the dataclasses.
It works layer after layer: a layer takes the events of all steps of some images and returns its
own spikes as events. Three ideas make it fast and keep it short:

- **One wiring for every edge.** An event at a source address adds `taps` pieces of one weight row
  to the drive, the first at `base[address]`, each next one `pitch` further on. Linear: one piece.
  Convolution: one piece per kernel row, the drive of a pixel's channels lying side by side.
  Pooling only changes the two tables. (The hardware's decoder has the same idea.)
- **A halo instead of border tests.** The drive of a convolution has room for every target that a
  tap could reach; the sweep over the neurons reads the valid middle only.
- **Narrow drive.** `golden.widths` proves how many bits the sum of a step can take; the drive is
  int16 or int32 where that suffices, int64 elsewhere.

Inside, neurons are numbered channel last: (y, x, channel).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from golden.edges import Conv2d, Edge, Linear
from golden.network import Network
from golden.nodes import LIF, Input, Readout, Shape
from golden.trace import Trace
from golden.widths import node_widths

CHUNK_IMAGES = 64
CHUNK_NEURON_STEPS = 2**24

Array = NDArray[Any]


def run(network: Network, inputs: NDArray[np.generic]) -> Trace:
    """Every spike, every membrane and the logits; arguments and errors as `golden.reference.run`."""
    return _run(network, inputs, record=True)


def logits(network: Network, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
    """The logits alone, (batch, classes): nothing is recorded on the way, so this is fastest."""
    return _run(network, inputs, record=False).logits


def _jit(function: Callable[..., Any]) -> Any:
    """Compile at the first call and keep the code beside this file, or nowhere if that is read-only."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return numba.njit(nogil=True)(function)


class Events(NamedTuple):
    """Events of consecutive frames: those of frame f are `address[start[f]:start[f + 1]]`.

    Every event counts once, or `value[...]` times where `valued`.
    """

    address: Array
    value: Array
    start: Array
    valued: bool


class Wiring(NamedTuple):
    """What an event at an address adds to the drive; `weights` is int8 (rows, taps, span)."""

    row: Array
    base: Array
    weights: Array
    pitch: int


class Sheet(NamedTuple):
    """Where the neurons' drive lies: `rows` pieces of `width`, the first at `offset`, `pitch` apart."""

    size: int
    offset: int
    rows: int
    width: int
    pitch: int


class Exit(NamedTuple):
    """How spikes leave a map (height, width, channels): summed over windows of ky x kx, if not 1 x 1."""

    ky: int
    kx: int
    height: int
    width: int
    channels: int


class Constants(NamedTuple):
    """Constants of a node. `threshold` and `bias` are spread over one row of the sheet.

    A readout is a neuron with a threshold that is never reached and without a clamp.
    """

    threshold: Array
    bias: Array
    leak_mul: int
    leak_shift: int
    subtract: bool
    lowest: int
    highest: int


class Layer(NamedTuple):
    """One compiled edge (without its pool, which is its source's exit) and the node behind it."""

    wiring: Wiring
    sheet: Sheet
    constants: Constants
    exit: Exit
    empty_drive: Array
    neurons: int


def _compiled(network: Network) -> list[Layer]:
    proven = node_widths(network)
    following = [*network.edges[1:], None]
    layers: list[Layer] = []
    for edge, after, source, node in zip(network.edges, following, network.nodes, network.nodes[1:], strict=False):
        assert isinstance(node, LIF | Readout)
        wiring, sheet = _wire(edge, source.shape, channel_last=not isinstance(source, Input))
        bits = proven[node.name].drive_bits
        drive = np.zeros(0, np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64)
        constants = _constants(node, sheet.width)
        layers.append(Layer(wiring, sheet, constants, _exit(node.shape, after), drive, math.prod(node.shape)))
    return layers


def _wire(edge: Edge, shape: Shape, channel_last: bool) -> tuple[Wiring, Sheet]:
    """Compile an edge. Addresses behind its pool are in order (y, x, channel) or (channel, y, x)."""
    shape = edge.pool.output_shape(shape) if edge.pool is not None else shape
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    channel, y, x = np.indices((channels, height, width))
    synapse = edge.synapse
    if synapse is None:
        row, base = np.zeros_like(y), (y * width + x) * channels + channel
        weights, pitch = np.ones((1, 1, 1), np.int8), 0
        sheet = Sheet(y.size, 0, 1, y.size, 0)
    elif isinstance(synapse, Linear):
        row, base = (channel * height + y) * width + x, np.zeros_like(y)
        weights, pitch = synapse.weight.T[:, None, :], 0
        sheet = Sheet(len(synapse.weight), 0, 1, len(synapse.weight), 0)
    else:
        out, _, ky, kx = synapse.weight.shape
        columns = width + kx - 1
        row, weights = channel, _kernel_rows(synapse)
        base, pitch = (y * columns + x) * out, columns * out
        halo_y, halo_x = ky - 1 - synapse.padding[0], kx - 1 - synapse.padding[1]
        _, rows, valid = synapse.output_shape(shape)
        sheet = Sheet((height + ky - 1) * pitch, (halo_y * columns + halo_x) * out, rows, valid * out, pitch)

    def table(values: Array) -> Array:
        ordered = values.transpose(1, 2, 0) if channel_last else values
        return np.ascontiguousarray(ordered, np.int32).ravel()

    return Wiring(table(row), table(base), np.ascontiguousarray(weights), pitch), sheet


def _kernel_rows(synapse: Conv2d) -> Array:
    """Weights (in, kernel_y, kernel_x * out), both kernel axes turned round.

    An event at x reaches the targets x - tap: seen from the event, the kernel runs backwards.
    """
    out, channels, ky, kx = synapse.weight.shape
    return synapse.weight[:, :, ::-1, ::-1].transpose(1, 2, 3, 0).reshape(channels, ky, kx * out)


def _constants(node: LIF | Readout, width: int) -> Constants:
    repeats = width // node.shape[0]
    bias = np.tile(node.bias, repeats)
    if isinstance(node, LIF):
        threshold, subtract, lowest, highest = node.threshold, node.reset == "subtract", node.lowest, node.highest
    else:
        never = np.iinfo(np.int64)
        threshold, subtract, lowest, highest = np.full(node.shape[0], never.max), False, int(never.min), int(never.max)
    return Constants(np.tile(threshold, repeats), bias, node.leak_mul, node.leak_shift, subtract, lowest, highest)


def _exit(shape: Shape, after: Edge | None) -> Exit:
    channels, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    ky, kx = after.pool.kernel_size if after is not None and after.pool is not None else (1, 1)
    return Exit(ky, kx, height, width, channels)


def _frames(network: Network, inputs: NDArray[np.generic]) -> Array:
    """Checked and pooled inputs (frames, neurons): a frame per image (direct) or per step (events)."""
    node = network.input
    array = np.asarray(inputs)
    lead = 1 if node.coding == "direct" else 2
    good = array.dtype.kind in "iub" and array.shape[lead:] == node.shape
    good = good and (lead == 1 or array.shape[1] == network.timesteps)
    if not good or (array.size and (array.min() < node.lowest or array.max() > node.highest)):
        array = network.check_inputs(array)  # says in words what is wrong
    pool = network.edges[0].pool
    if pool is None:
        return np.ascontiguousarray(array, np.int16).reshape(-1, math.prod(node.shape))
    (ky, kx), (channels, rows, columns) = pool.kernel_size, pool.output_shape(node.shape)
    whole = array.reshape(-1, *node.shape)[:, :, : rows * ky, : columns * kx].astype(np.int32)
    windows = whole.reshape(-1, channels, rows, ky, columns, kx)
    return windows.sum(axis=(3, 5), dtype=np.int32).reshape(-1, channels * rows * columns)


def _run(network: Network, inputs: NDArray[np.generic], record: bool) -> Trace:
    frames = _frames(network, inputs)
    steps, direct = network.timesteps, network.input.coding == "direct"
    per_image = 1 if direct else steps
    images = len(frames) // per_image
    layers = _compiled(network)
    largest = max(math.prod(node.shape) for node in network.nodes)
    chunk = max(1, min(CHUNK_IMAGES, CHUNK_NEURON_STEPS // (steps * largest)))

    kept = images if record else 0  # a layer that records nothing is given arrays of length 0
    spikes = [np.empty((kept, steps, layer.neurons), np.uint8) for layer in layers]
    membranes = [np.empty((kept, steps, layer.neurons), np.int64) for layer in layers]
    out = np.empty((images, layers[-1].neurons), np.int64)
    for first in range(0, images, chunk):
        last = min(first + chunk, images)
        part = slice(first, last) if record else slice(0, 0)
        events = _events(frames[first * per_image : last * per_image], network.input.bits > 1 or network.edges[0].pool is not None)
        for index, layer in enumerate(layers):
            once = direct and index == 0
            end = out[first:last] if layer is layers[-1] else out[:0]
            events = _layer(
                events, layer.wiring, layer.sheet, layer.constants, layer.exit, layer.empty_drive, last - first, steps,
                once, spikes[index][part], membranes[index][part], end,
            )  # fmt: skip

    names = [node.name for node in network.nodes[1:]]
    shapes = [node.shape for node in network.nodes[1:]]
    return Trace(
        spikes={n: _channel_first(a, s) for n, a, s in zip(names[:-1], spikes[:-1], shapes[:-1], strict=True)},
        membranes={n: _channel_first(a, s) for n, a, s in zip(names, membranes, shapes, strict=True)},
        logits=_channel_first(out, shapes[-1]).reshape(images, -1),
    )


def _channel_first(array: Array, shape: Shape) -> Array:
    """Bring (..., neurons) in order (y, x, channel) to (..., *shape)."""
    if len(shape) == 1:
        return array
    channels, height, width = shape
    return np.ascontiguousarray(np.moveaxis(array.reshape(*array.shape[:-1], height, width, channels), -1, -3))


@_jit
def _events(frames: Array, valued: bool) -> Events:
    """List what is not zero in frames (frames, neurons)."""
    address = np.empty(frames.size + 1, np.int32)
    value = np.empty(frames.size + 1 if valued else 0, np.int32)
    start = np.zeros(len(frames) + 1, np.int64)
    count = 0
    for frame in range(len(frames)):
        for neuron in range(frames.shape[1]):
            # Always written, kept only if the count moves on: there is no branch to mispredict.
            address[count] = neuron
            if valued:
                value[count] = frames[frame, neuron]
            count += frames[frame, neuron] != 0
        start[frame + 1] = count
    return Events(address, value, start, valued)


@_jit
def _layer(
    events: Events, wiring: Wiring, sheet: Sheet, constants: Constants, exit_: Exit, empty_drive: Array,
    images: int, steps: int, once: bool, spikes: Array, membranes: Array, end: Array,
) -> Events:  # fmt: skip
    """Run one node over all steps of all images; its spikes are returned as events.

    `once`: the events have one frame per image, whose drive is added at every step.
    `spikes`, `membranes` (images, steps, neurons) and `end` (images, neurons: the last membranes)
    are filled, unless they are given with no images.
    """
    neurons = sheet.rows * sheet.width
    drive = np.zeros(sheet.size, empty_drive.dtype)
    state = np.zeros(neurons, np.int64)
    fired = np.zeros(neurons, np.uint8)
    valued = exit_.ky * exit_.kx > 1
    leaving = np.zeros((exit_.height // exit_.ky) * (exit_.width // exit_.kx) * exit_.channels, np.int16)
    address = np.empty(images * steps * max(len(leaving), neurons) + 1, np.int32)
    value = np.empty(len(address) if valued else 0, np.int32)
    start = np.zeros(images * steps + 1, np.int64)
    count = 0
    for image in range(images):
        state[:] = 0
        for step in range(steps):
            if step == 0 or not once:
                drive[:] = 0
                _scatter(drive, events, image if once else image * steps + step, wiring)
            _sweep(drive, sheet, state, fired, constants)
            if valued:
                _pool(fired, leaving, exit_)
                for place in range(len(leaving)):  # as in _events
                    address[count] = place
                    value[count] = leaving[place]
                    count += leaving[place] != 0
            else:
                for place in range(neurons):
                    address[count] = place
                    count += fired[place]
            start[image * steps + step + 1] = count
            if len(spikes):
                spikes[image, step] = fired
                membranes[image, step] = state
        if len(end):
            end[image] = state
    return Events(address, value, start, valued)


@_jit
def _pool(fired: Array, leaving: Array, exit_: Exit) -> None:
    """Sum the spikes of each whole window."""
    rows, columns = exit_.height // exit_.ky, exit_.width // exit_.kx
    leaving[:] = 0
    for y in range(rows * exit_.ky):
        for x in range(columns * exit_.kx):
            begin = (y // exit_.ky * columns + x // exit_.kx) * exit_.channels
            window = leaving[begin : begin + exit_.channels]
            begin = (y * exit_.width + x) * exit_.channels
            spikes = fired[begin : begin + exit_.channels]
            for channel in range(exit_.channels):
                window[channel] += spikes[channel]


@_jit
def _scatter(drive: Array, events: Events, frame: int, wiring: Wiring) -> None:
    """Add the weights of one frame's events to the drive."""
    taps, span = wiring.weights.shape[1:]
    for event in range(events.start[frame], events.start[frame + 1]):
        row = wiring.row[events.address[event]]
        base = wiring.base[events.address[event]]
        for tap in range(taps):
            piece = drive[base + tap * wiring.pitch : base + tap * wiring.pitch + span]
            weights = wiring.weights[row, tap]
            if events.valued:
                value = events.value[event]
                for k in range(span):
                    piece[k] += weights[k] * value
            else:
                for k in range(span):
                    piece[k] += weights[k]


@_jit
def _sweep(drive: Array, sheet: Sheet, state: Array, fired: Array, constants: Constants) -> None:
    """Leak, add, compare, reset and clamp every neuron once."""
    for y in range(sheet.rows):
        begin = sheet.offset + y * sheet.pitch
        current = drive[begin : begin + sheet.width]
        v = state[y * sheet.width : (y + 1) * sheet.width]
        spike = fired[y * sheet.width : (y + 1) * sheet.width]
        for k in range(sheet.width):
            threshold = constants.threshold[k]
            u = v[k] - ((v[k] * constants.leak_mul) >> constants.leak_shift)
            u += constants.bias[k] + current[k]
            fires = u >= threshold
            after = u - threshold if constants.subtract else 0
            u = after if fires else u
            v[k] = min(max(u, constants.lowest), constants.highest)
            spike[k] = fires
