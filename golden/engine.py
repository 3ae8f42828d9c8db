"""The engine: the integer network, event-driven, at the speed of machine code.

A second program for the same specification as `golden.reference`, sharing only the dataclasses.
It works layer after layer: a layer takes the events of all steps of some images, scatters their
weights into its drive (`golden.wiring` says where), sweeps its neurons, and returns their spikes
as events. The drive is int16 or int32 where `golden.widths` proves that this suffices, int64
elsewhere; membranes are int64. One thread; numba releases the GIL, so threads may share the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from golden.network import Network
from golden.nodes import Shape
from golden.trace import Trace
from golden.wiring import Array, Constants, Exit, Layer, Sheet, Wiring, compiled

# Layer after layer, the events of a chunk of images wait in memory: few enough for the cache.
CHUNK_IMAGES = 64
CHUNK_NEURON_STEPS = 2**24


def run(network: Network, inputs: NDArray[np.generic]) -> Trace:
    """Every spike, membrane and logit; arguments and errors as those of `golden.reference.run`."""
    return _run(network, inputs, record=True)


def logits(network: Network, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
    """The logits alone, (batch, classes): nothing is recorded on the way, so this is fastest."""
    return _run(network, inputs, record=False).logits


def _jit(function: Callable[..., Any]) -> Any:
    """Compile at the first call; keep the code in `__pycache__`, or nowhere if all is read-only."""
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


def _frames(network: Network, inputs: NDArray[np.generic]) -> Array:
    """Checked, pooled inputs (frames, neurons): one frame per image (direct) or step (events)."""
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
    valued = network.input.bits > 1 or network.edges[0].pool is not None
    images = len(frames) // per_image
    layers = compiled(network)
    largest = max(math.prod(node.shape) for node in network.nodes)
    chunk = max(1, min(CHUNK_IMAGES, CHUNK_NEURON_STEPS // (steps * largest)))

    kept = images if record else 0  # a layer that records nothing is given arrays of length 0
    spikes = [np.empty((kept, steps, layer.neurons), np.uint8) for layer in layers]
    membranes = [np.empty((kept, steps, layer.neurons), np.int64) for layer in layers]
    out = np.empty((images, layers[-1].neurons), np.int64)
    for first in range(0, images, chunk):
        last = min(first + chunk, images)
        part = slice(first, last) if record else slice(0, 0)
        events = _events(frames[first * per_image : last * per_image], valued)
        for index, layer in enumerate(layers):
            once = direct and index == 0
            end = out[first:last] if layer is layers[-1] else out[:0]
            traced = spikes[index][part], membranes[index][part], end
            events = _layer(layer, events, last - first, steps, once, *traced)

    nodes = network.nodes[1:]
    return Trace(
        spikes={
            n.name: _channel_first(s, n.shape) for n, s in zip(nodes[:-1], spikes, strict=False)
        },
        membranes={
            n.name: _channel_first(v, n.shape) for n, v in zip(nodes, membranes, strict=True)
        },
        logits=out,
    )


def _channel_first(array: Array, shape: Shape) -> Array:
    """Bring (..., neurons) in order (y, x, channel) to (..., *shape)."""
    if len(shape) == 1:
        return array
    channels, height, width = shape
    maps = array.reshape(*array.shape[:-1], height, width, channels)
    return np.ascontiguousarray(np.moveaxis(maps, -1, -3))


@_jit
def _events(frames: Array, valued: bool) -> Events:
    """List what is not zero in frames (frames, neurons)."""
    address = np.empty(frames.size + 1, np.int32)
    value = np.empty(len(address) if valued else 0, np.int32)
    start = np.zeros(len(frames) + 1, np.int64)
    for frame in range(len(frames)):
        start[frame + 1] = _list(frames[frame], address, value, start[frame], valued)
    return Events(address, value, start, valued)


@_jit
def _list(frame: Array, address: Array, value: Array, count: int, valued: bool) -> int:
    """Append the events of one frame; the new count. Needs room for one more than there are."""
    for place in range(len(frame)):
        # Always written, kept only if the count moves on: there is no branch to mispredict.
        address[count] = place
        if valued:
            value[count] = frame[place]
        count += frame[place] != 0
    return count


@_jit
def _layer(
    layer: Layer, events: Events, images: int, steps: int, once: bool,
    spikes: Array, membranes: Array, end: Array,
) -> Events:  # fmt: skip
    """Run one node over all steps of all images; its spikes are returned as events.

    `once`: the events have one frame per image, whose drive is added at every step.
    `spikes`, `membranes` (images, steps, neurons) and `end` (images, neurons: the last membranes)
    are filled, unless they are given with no images.
    """
    drive = np.zeros(layer.sheet.size, layer.empty_drive.dtype)
    state = np.zeros(layer.neurons, np.int64)
    fired = np.zeros(layer.neurons, np.int16)
    pooled = layer.exit.ky * layer.exit.kx > 1
    sums = np.zeros(layer.exit.places, np.int16)
    address = np.empty(images * steps * layer.exit.places + 1, np.int32)
    value = np.empty(len(address) if pooled else 0, np.int32)
    start = np.zeros(images * steps + 1, np.int64)
    for image in range(images):
        state[:] = 0
        for step in range(steps):
            frame = image * steps + step
            if step == 0 or not once:
                drive[:] = 0
                _scatter(drive, events, image if once else frame, layer.wiring)
            _sweep(drive, layer.sheet, state, fired, layer.constants)
            if pooled:
                _pool(fired, sums, layer.exit)
            leaving = sums if pooled else fired
            start[frame + 1] = _list(leaving, address, value, start[frame], pooled)
            if len(spikes):
                spikes[image, step] = fired
                membranes[image, step] = state
        if len(end):
            end[image] = state
    return Events(address, value, start, pooled)


@_jit
def _pool(fired: Array, sums: Array, leave: Exit) -> None:
    """Sum the spikes of each whole window."""
    rows, columns = leave.height // leave.ky, leave.width // leave.kx
    sums[:] = 0
    for y in range(rows * leave.ky):
        for x in range(columns * leave.kx):
            begin = (y // leave.ky * columns + x // leave.kx) * leave.channels
            window = sums[begin : begin + leave.channels]
            begin = (y * leave.width + x) * leave.channels
            spikes = fired[begin : begin + leave.channels]
            for channel in range(leave.channels):
                window[channel] += spikes[channel]


@_jit
def _scatter(drive: Array, events: Events, frame: int, wiring: Wiring) -> None:
    """Add the weights of one frame's events to the drive."""
    taps, span = wiring.weights.shape[1:]
    for event in range(events.start[frame], events.start[frame + 1]):
        row = wiring.row[events.address[event]]
        base = wiring.base[events.address[event]]
        for tap in range(taps):
            begin = base + wiring.reach[tap]
            piece = drive[begin : begin + span]
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
            reset = u - threshold if constants.subtract else 0
            u = reset if fires else u
            v[k] = min(max(u, constants.lowest), constants.highest)
            spike[k] = fires
