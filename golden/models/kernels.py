"""The engine's loops, compiled by numba.

All in one file: numba keeps compiled code as long as the file of the function is unchanged, and
checks no other file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spikewright.golden.jit import entry
from spikewright.golden.models.engine_tables import Array, Constants, Pooling, Sheet, Wiring


class Events(NamedTuple):
    """Events of consecutive frames: those of frame f are `address[start[f]:start[f + 1]]`.

    Every event counts once, or `value[...]` times where `valued`.
    """

    address: Array
    value: Array
    start: Array
    valued: bool


@entry
def list_events(frames: Array, valued: bool) -> Events:
    """List the nonzero values of frames (frames, neurons)."""
    address = np.empty(frames.size + 1, np.int32)
    value = np.empty(len(address) if valued else 0, np.int32)
    start = np.zeros(len(frames) + 1, np.int64)
    for frame in range(len(frames)):
        start[frame + 1] = _list(frames[frame], address, value, start[frame], valued)
    return Events(address, value, start, valued)


@entry
def _list(frame: Array, address: Array, value: Array, count: int, valued: bool) -> int:
    """Append the events of one frame; return the new count. Needs one spare element."""
    for neuron in range(len(frame)):
        # Always written, kept only if the count moves on: there is no branch to mispredict.
        address[count] = neuron
        if valued:
            value[count] = frame[neuron]
        count += frame[neuron] != 0
    return count


@entry
def pooled_events(spikes: Array, pooling: Pooling) -> Events:
    """The events of spikes (frames, neurons) after pooling."""
    if pooling.ky * pooling.kx == 1:
        return list_events(spikes, False)
    valued = pooling.highest > 1
    values = np.zeros(pooling.outputs, np.int16)
    address = np.empty(len(spikes) * pooling.outputs + 1, np.int32)
    value = np.empty(len(address) if valued else 0, np.int32)
    start = np.zeros(len(spikes) + 1, np.int64)
    for frame in range(len(spikes)):
        _pool_frame(spikes[frame], values, pooling)
        start[frame + 1] = _list(values, address, value, start[frame], valued)
    return Events(address, value, start, valued)


@entry
def _pool_frame(fired: Array, values: Array, pooling: Pooling) -> None:
    """Pool the spikes of each whole window: their sum, or their OR."""
    rows, columns = pooling.height // pooling.ky, pooling.width // pooling.kx
    values[:] = 0
    for y in range(rows * pooling.ky):
        for x in range(columns * pooling.kx):
            begin = (y // pooling.ky * columns + x // pooling.kx) * pooling.channels
            window = values[begin : begin + pooling.channels]
            begin = (y * pooling.width + x) * pooling.channels
            spikes = fired[begin : begin + pooling.channels]
            if pooling.highest == 1:
                for channel in range(pooling.channels):
                    window[channel] |= spikes[channel]
            else:
                for channel in range(pooling.channels):
                    window[channel] += spikes[channel]


@entry
def run_layer(
    wiring: Wiring, sheet: Sheet, empty: Array, constants: Constants, events: Events, once: bool,
    current: Array, state: Array, spikes: Array, membranes: Array,
) -> None:  # fmt: skip
    """Run one node over a block of steps of all images.

    Its drive comes from `events`, or from `current` (images * steps, neurons) if that is not empty.
    `state` (images, neurons) is kept between blocks; with one row for all images, which stays in
    the cache, it is reset for each. `spikes` (images, steps, neurons) is filled, and `membranes`
    unless it has no images.
    """
    images, steps = spikes.shape[:2]
    kept = len(state) == images
    drive = np.zeros(sheet.size, empty.dtype)
    for image in range(images):
        v = state[image if kept else 0]
        if not kept:
            v[:] = 0
        for step in range(steps):
            frame = image * steps + step
            if len(current):
                _sweep(current[frame], sheet, v, spikes[image, step], constants)
            else:
                if step == 0 or not once:
                    drive[:] = 0
                    _scatter(drive, events, image if once else frame, wiring)
                _sweep(drive, sheet, v, spikes[image, step], constants)
            if len(membranes):
                membranes[image, step] = v


@entry
def collect(
    wiring: Wiring, sheet: Sheet, events: Events, once: bool, current: Array, steps: int
) -> None:
    """Add the drive of one of several edges to `current` (images * steps, neurons)."""
    drive = np.zeros(sheet.size, current.dtype)
    for frame in range(len(current)):
        if not once or frame % steps == 0:
            drive[:] = 0
            _scatter(drive, events, frame // steps if once else frame, wiring)
        for y in range(sheet.rows):
            begin = sheet.offset + y * sheet.pitch
            piece = drive[begin : begin + sheet.width]
            target = current[frame, y * sheet.width : (y + 1) * sheet.width]
            for k in range(sheet.width):
                target[k] += piece[k]


@entry
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


@entry
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
