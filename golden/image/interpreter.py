"""Executes a memory image: computes what the accelerator computes, from the memory words alone.

It does not read the network: the decoder tables turn events into rows and bases, rows are walked as
the lanes walk them, and constants are read from the constant memories. So a fault of the compiler
or of the packing shows here, before any hardware is simulated.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.image.memory_image import CoreImage, EdgeImage, Image
from spikewright.golden.image.pass_events import pass_events
from spikewright.golden.network.trace import Trace


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one pass, each with its channel code, row, column, value and mask of steps."""

    code: Ints
    y: Ints
    x: Ints
    value: Ints
    steps: Ints


_NONE = Events(*(np.zeros(0, np.int64),) * 5)


def run(image: Image, inputs: NDArray[np.generic]) -> Trace:
    """Run a batch through the image, one inference after another.

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
    for b, index in np.ndindex(batch, image.passes):
        if index == 0:
            for core in cores:
                core.restart()
        span = slice(index * image.steps_per_pass, (index + 1) * image.steps_per_pass)
        _pass(
            image,
            cores,
            queues,
            inputs[b : b + 1] if image.input.direct else inputs[b, span],
            index,
        )
        for core in cores:
            node = core.image.node
            if node in membranes:
                record = membranes[node][b, span].reshape(image.steps_per_pass, -1)
                record[:, core.neurons] = core.membrane[:, core.present]
            if node in spikes:
                record = spikes[node][b, span].reshape(image.steps_per_pass, -1)
                record[:, core.neurons] = core.fired[:, core.present]
        last = cores[-1]
        logits[b][last.neurons] = last.membrane[-1, last.present]
    return Trace(spikes, membranes, logits)


def _pass(
    image: Image, cores: list[_Core], queues: dict[EdgeImage, deque[Events]],
    frames: NDArray[np.generic], index: int,
) -> None:  # fmt: skip
    """One pass of all cores, in order."""
    # A direct frame is accumulated once and kept; later passes have no input events.
    silent = image.input.direct and index > 0
    sent = {image.input.name: _NONE if silent else _frame_events(image, frames)}
    for core in cores:
        for edge_index, edge in enumerate(core.image.edges):
            events = queues[edge].popleft() if edge.delay else sent[edge.source]
            core.accumulate(edge_index, events)
        sent[core.image.node] = core.sweep()
    for edge, queue in queues.items():
        # Spikes of the last step are dropped; its token is the next inference's first.
        queue.append(_NONE if index == image.passes - 1 else sent[edge.source])


def _frame_events(image: Image, frames: NDArray[np.generic]) -> Events:
    events = pass_events(np.asarray(frames, np.int64).reshape(len(frames), -1), len(frames))
    shape = (*image.input.shape, 1, 1)[:3]
    c, y, x = np.unravel_index(events.neuron, shape)
    return Events(
        c.astype(np.int64), y.astype(np.int64), x.astype(np.int64), events.value, events.steps
    )


class _Core:
    """The state of one core and the memories it works from."""

    def __init__(self, image: CoreImage) -> None:
        self.image = image
        index = image.neurons
        self.present = index >= 0
        self.neurons = index[self.present]
        self.rows = [image.rows(lane) for lane in range(image.lanes)]
        constants = [image.memories[f"constants_{column}"] for column in range(image.columns)]
        local = np.arange(image.words) % image.local_channels
        self.bias = np.stack([m.field("bias", signed=True)[local] for m in constants])
        self.threshold = np.stack([m.field("threshold")[local] for m in constants])
        self.restart()

    def restart(self) -> None:
        """Start values: every membrane 0."""
        shape = (self.image.columns, self.image.words)
        every = (self.image.steps_per_pass, *shape)
        self.state = np.zeros(shape, np.int64)
        self.drive = np.zeros((1, *shape), np.int64)
        self.slots = np.zeros(every, np.int64)
        self.fired = np.zeros(every, bool)
        self.membrane = np.zeros(every, np.int64)

    def accumulate(self, index: int, events: Events) -> None:
        """Add the weights of an edge's events into the slots of their steps, or into the drive."""
        image, memories, edge = self.image, self.image.memories, self.image.edges[index]
        table_y, table_x = memories[f"table_y_{index}"], memories[f"table_x_{index}"]
        mask_y, mask_x = table_y.field("mask")[events.y], table_x.field("mask")[events.x]
        modulus = (1 << image.address_bits) - 1
        base = (table_y.field("base")[events.y] + table_x.field("base")[events.x]) & modulus
        position = table_y.field("row")[events.y] + table_x.field("row")[events.x]
        row = edge.row_start + (events.code << edge.row_bits | position)
        taps = memories["taps"]
        target = self.drive if edge.direct else self.slots
        # The decoder drops events without valid taps: their row may be beyond the pointer table.
        kept = np.flatnonzero((mask_y != 0) & (mask_x != 0))
        for lane, rows in enumerate(self.rows):
            walked, entry = rows.walk(row[kept])
            event, tap = kept[walked], rows.tap[entry]
            valid = (mask_y[event] >> taps.field("ky")[tap]) & 1
            valid &= (mask_x[event] >> taps.field("kx")[tap]) & 1
            address = (base[event] + taps.field("offset")[tap] + rows.channel[entry]) & modulus
            added = rows.weight[entry] * events.value[event, None]
            for step, slot in enumerate(target):
                hit = (valid & events.steps[event] >> step) == 1
                for column, weight in enumerate(added.T, lane * image.channels_per_word):
                    np.add.at(slot[column], address[hit], weight[hit])

    def sweep(self) -> Events:
        """End every step of a pass: bias, threshold, reset, clamp, then the coming leak."""
        image = self.image
        for step, slot in enumerate(self.slots):
            v = self.state + slot + self.bias + self.drive[0]
            if image.kind == "lif":
                fired = self.fired[step] = v >= self.threshold
                reset = v - self.threshold if image.reset == "subtract" else 0
                v = np.where(fired, reset, v)
                limit = 1 << (image.clamp_bits - 1)
                v = np.clip(v, -limit, limit - 1)
            self.membrane[step] = v
            self.state = v - ((v * image.leak_mul) >> image.leak_shift)
        self.slots[:] = 0
        return self._spikes()

    def _spikes(self) -> Events:
        """The events of this pass, in the order in which the serialiser sends them."""
        image = self.image
        _, height, width = image.size
        (ky, kx), local = image.window, image.local_channels
        rows, along = image.sent
        steps = (self.fired & self.present) << np.arange(len(self.fired))[:, None, None]
        maps = np.sum(steps, axis=0).reshape(image.columns, height, width, local)
        whole = maps[:, : rows * ky, : along * kx]
        whole = whole.reshape(image.columns, rows, ky, along, kx, local)
        merged = np.bitwise_or.reduce(np.bitwise_or.reduce(whole, axis=4), axis=2)
        merged = merged.transpose(1, 2, 3, 0)
        y, x, local_channel, column = np.nonzero(merged)
        code = local_channel << image.column_bits | column
        return Events(code, y, x, np.ones_like(column), merged[y, x, local_channel, column])
