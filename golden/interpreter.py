"""Executes a memory image: what the accelerator computes, from its memory words alone.

It knows nothing of the network: events become rows and bases through the decoder tables, rows are
walked as the lanes walk them, and constants come out of the constant memories. So a fault of the
compiler or of the packing shows here, before any hardware is simulated.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.image import CoreImage, EdgeImage, Image
from golden.trace import Trace

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one step: channel code, row, column and value of each."""

    code: Ints
    y: Ints
    x: Ints
    value: Ints


_NONE = Events(*(np.zeros(0, np.int64),) * 4)


def run(image: Image, inputs: NDArray[np.generic]) -> Trace:
    """Run a batch through the image, one inference behind the other.

    Parameters
    ----------
    inputs
        Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.
    """
    cores = [_Core(core) for core in image.cores]
    # A delayed edge starts with one token: a step without events.
    queues = {
        edge: deque([_NONE]) for core in image.cores for edge in core.edges if edge.delay == 1
    }
    batch, steps = len(inputs), image.timesteps
    spikes = {
        core.node: np.zeros((batch, steps, *core.shape), np.uint8)
        for core in image.traced
        if core.kind == "lif"
    }
    membranes = {
        core.node: np.zeros((batch, steps, *core.shape), np.int64) for core in image.traced
    }
    logits = np.zeros((batch, image.cores[-1].size[0]), np.int64)
    for b, t in np.ndindex(batch, steps):
        if t == 0:
            for core in cores:
                core.restart()
        _step(image, cores, queues, inputs[b] if image.input.direct else inputs[b, t], t)
        for core in cores:
            node = core.image.node
            if node in membranes:
                membranes[node][b, t].reshape(-1)[core.neurons] = core.membrane[core.present]
            if node in spikes:
                spikes[node][b, t].reshape(-1)[core.neurons] = core.fired[core.present]
        last = cores[-1]
        logits[b][last.neurons] = last.membrane[last.present]
    return Trace(spikes, membranes, logits)


def _step(
    image: Image, cores: list[_Core], queues: dict[EdgeImage, deque[Events]],
    frame: NDArray[np.generic], step: int,
) -> None:  # fmt: skip
    """One time step of all cores, in order."""
    # A direct frame is accumulated once and kept; the later steps bring no event.
    silent = image.input.direct and step > 0
    sent = {image.input.name: _NONE if silent else _frame_events(frame)}
    for core in cores:
        for index, edge in enumerate(core.image.edges):
            events = queues[edge].popleft() if edge.delay else sent[edge.source]
            core.accumulate(index, events)
        sent[core.image.node] = core.sweep()
    for edge, queue in queues.items():
        # Spikes of the last step are dropped; its token is the next inference's first.
        queue.append(_NONE if step == image.timesteps - 1 else sent[edge.source])


def _frame_events(frame: NDArray[np.generic]) -> Events:
    values = np.asarray(frame, np.int64)
    values = values.reshape((*values.shape, 1, 1)[:3])
    c, y, x = np.nonzero(values)
    return Events(c.astype(np.int64), y.astype(np.int64), x.astype(np.int64), values[c, y, x])


class _Core:
    """The state of one core and the memories it works from."""

    def __init__(self, image: CoreImage) -> None:
        self.image = image
        index = image.neurons
        self.present = index >= 0
        self.neurons = index[self.present]
        self.rows = [image.rows(lane) for lane in range(image.lanes)]
        constants = [image.memories[f"constants_{lane}"] for lane in range(image.lanes)]
        local = np.arange(image.words) % image.local_channels
        self.bias = np.stack([m.field("bias", signed=True)[local] for m in constants])
        self.threshold = np.stack([m.field("threshold")[local] for m in constants])
        self.restart()

    def restart(self) -> None:
        """Start values: every membrane 0."""
        shape = (self.image.lanes, self.image.words)
        self.word = np.zeros(shape, np.int64)
        self.drive = np.zeros(shape, np.int64)
        self.fired = np.zeros(shape, bool)
        self.membrane = np.zeros(shape, np.int64)

    def accumulate(self, index: int, events: Events) -> None:
        """Add the weights of an edge's events into the words, or into the direct drive."""
        image, memories, edge = self.image, self.image.memories, self.image.edges[index]
        table_y, table_x = memories[f"table_y_{index}"], memories[f"table_x_{index}"]
        mask_y, mask_x = table_y.field("mask")[events.y], table_x.field("mask")[events.x]
        modulus = (1 << image.address_bits) - 1
        base = (table_y.field("base")[events.y] + table_x.field("base")[events.x]) & modulus
        position = table_y.field("row")[events.y] + table_x.field("row")[events.x]
        row = edge.row_start + (events.code << edge.row_bits | position)
        taps = memories["taps"]
        target = self.drive if edge.direct else self.word
        # A masked event is dropped by the decoder: the code may then lie outside the pointer table.
        kept = np.flatnonzero((mask_y != 0) & (mask_x != 0))
        for lane, rows in enumerate(self.rows):
            which, entry = rows.walk(row[kept])
            event, place = kept[which], rows.tap[entry]
            valid = (mask_y[event] >> taps.field("ky")[place]) & 1
            valid &= (mask_x[event] >> taps.field("kx")[place]) & 1
            address = (base[event] + taps.field("offset")[place] + rows.channel[entry]) & modulus
            hit = valid == 1
            np.add.at(target[lane], address[hit], (rows.weight[entry] * events.value[event])[hit])

    def sweep(self) -> Events:
        """End the step: bias, threshold, reset, clamp, then the next step's leak."""
        image = self.image
        v = self.word + self.bias + self.drive
        if image.kind == "lif":
            self.fired = v >= self.threshold
            after = v - self.threshold if image.reset == "subtract" else 0
            v = np.where(self.fired, after, v)
            limit = 1 << (image.clamp_bits - 1)
            v = np.clip(v, -limit, limit - 1)
        self.membrane = v
        self.word = v - ((v * image.leak_mul) >> image.leak_shift)
        return self._spikes()

    def _spikes(self) -> Events:
        """What leaves in this step, in the order in which the serialiser sends it."""
        image = self.image
        _, height, width = image.size
        (ky, kx), local = image.window, image.local_channels
        rows, columns = image.sent
        maps = (self.fired & self.present).reshape(image.lanes, height, width, local)
        whole = maps[:, : rows * ky, : columns * kx]
        merged = np.any(whole.reshape(image.lanes, rows, ky, columns, kx, local), axis=(2, 4))
        y, x, place, lane = np.nonzero(merged.transpose(1, 2, 3, 0))
        return Events(place << image.lane_bits | lane, y, x, np.ones_like(lane))
