"""The engine: the integer network, event-driven, compiled to machine code.

A second program for the same specification as `golden.models.reference`, sharing only the
dataclasses. It works node after node: a node takes the events of all steps of some images, scatters
their weights into its drive (by the tables of `golden.models.engine_tables`), sweeps its neurons,
and returns their spikes as events. Where an edge has a delay, a node takes one step at a time, so
that events of recurrent edges exist before they are needed. The drive is int16 or int32 where
`golden.network.widths` proves that this suffices, int64 elsewhere; membranes are int64. One thread;
numba releases the GIL, so threads may share the work.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.models import kernels
from spikewright.golden.models.engine_tables import Array, Layer, Route, Sheet, compiled
from spikewright.golden.models.kernels import Events
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Shape
from spikewright.golden.network.trace import Trace

# Layer after layer, the events of a chunk of images wait in memory: few enough for the cache.
CHUNK_IMAGES = 64
CHUNK_NEURON_STEPS = 2**24


def run(network: Network, inputs: NDArray[np.generic]) -> Trace:
    """Every spike, membrane and logit; arguments and errors as in `reference.run`."""
    return _run(network, inputs, record=True)


def logits(network: Network, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
    """The logits alone, (batch, classes): the fastest run, since nothing is recorded."""
    return _run(network, inputs, record=False).logits


def _frames(network: Network, inputs: NDArray[np.generic]) -> Array:
    """Checked inputs (images, frames, neurons): one frame per image (direct) or step (events)."""
    node = network.input
    array = np.asarray(inputs)
    lead = 1 if node.coding == "direct" else 2
    good = array.dtype.kind in "iub" and array.shape[lead:] == node.shape
    good = good and (lead == 1 or array.shape[1] == network.timesteps)
    if not good or (array.size and (array.min() < node.lowest or array.max() > node.highest)):
        array = network.check_inputs(array)  # raises with the reason
    frames = 1 if lead == 1 else network.timesteps
    return np.asarray(array, np.int16).reshape(-1, frames, math.prod(node.shape))


def _run(network: Network, inputs: NDArray[np.generic], record: bool) -> Trace:
    frames = _frames(network, inputs)
    steps, images = network.timesteps, len(frames)
    layers = compiled(network)
    largest = max(layer.neurons for layer in layers)
    chunk = max(1, min(CHUNK_IMAGES, CHUNK_NEURON_STEPS // (steps * largest)))

    kept = images if record else 0
    spikes = [np.empty((kept, steps, layer.neurons), np.uint8) for layer in layers]
    membranes = [np.empty((kept, steps, layer.neurons), np.int64) for layer in layers]
    logits = np.empty((images, layers[-1].neurons), np.int64)
    for first in range(0, images, chunk):
        part = slice(first, min(first + chunk, images))
        _Chunk(network, layers, frames[part], record).run(spikes, membranes, logits, part)

    named = list(zip(layers[1:], network.neurons, spikes[1:], membranes[1:], strict=True))
    return Trace(
        spikes={
            layer.name: _channel_first(fired, layer.shape)
            for layer, node, fired, _ in named
            if isinstance(node, LIF)
        },
        membranes={layer.name: _channel_first(v, layer.shape) for layer, _, _, v in named},
        logits=logits,
    )


class _Chunk:
    """A chunk of images that passes through all layers together."""

    def __init__(self, network: Network, layers: list[Layer], frames: Array, record: bool) -> None:
        self.layers, self.frames, self.record = layers, frames, record
        self.images, self.steps = len(frames), network.timesteps
        self.direct = network.input.coding == "direct"
        self.valued = network.input.bits > 1
        self.counts = isinstance(network.output, LIF)
        delayed = any(route.delayed for layer in layers for route in layer.routes)
        self.block = 1 if delayed else self.steps
        # A state that no later block needs, and that is not the logits, is kept for one image only.
        rows = [self.images if delayed or layer is layers[-1] else 1 for layer in layers]
        sizes = [(n, layer.neurons) for n, layer in zip(rows, layers, strict=True)]
        self.states = [np.zeros(size, np.int64) for size in sizes]

    def run(self, spikes: list[Array], membranes: list[Array], logits: Array, part: slice) -> None:
        """Run all steps; fill the rows `part` of the arrays."""
        sent: list[tuple[Events, ...]] = []
        logits[part] = 0
        for step in range(0, self.steps, self.block):
            previous, sent = sent, [self._input(step)]
            now = slice(step, step + self.block)
            for index, layer in enumerate(self.layers[1:], start=1):
                fired, v = self._node(index, layer, previous, sent)
                sent.append(
                    tuple(
                        kernels.pooled_events(fired.reshape(-1, layer.neurons), pooling)
                        for pooling in layer.poolings
                    )
                )
                if self.record:
                    spikes[index][part, now], membranes[index][part, now] = fired, v
                if self.counts and index == len(self.layers) - 1:
                    logits[part] += fired.sum(axis=1, dtype=np.int64)
        if not self.counts:
            logits[part] = self.states[-1]

    def _input(self, step: int) -> tuple[Events, ...]:
        """The input's events in a block of steps; a direct frame is listed once per block."""
        block = slice(0, 1) if self.direct else slice(step, step + self.block)
        frames = np.ascontiguousarray(self.frames[:, block]).reshape(-1, self.frames.shape[2])
        sent: list[Events] = []
        for pooling in self.layers[0].poolings:
            values = frames
            if pooling.ky * pooling.kx > 1:
                rows, columns = pooling.height // pooling.ky, pooling.width // pooling.kx
                maps = frames.reshape(-1, pooling.channels, pooling.height, pooling.width)
                whole = maps[:, :, : rows * pooling.ky, : columns * pooling.kx].astype(np.int32)
                windows = whole.reshape(-1, pooling.channels, rows, pooling.ky, columns, pooling.kx)
                values = windows.sum(axis=(3, 5), dtype=np.int32).reshape(-1, pooling.outputs)
            sent.append(kernels.list_events(values, self.valued or pooling.highest > 1))
        return tuple(sent)

    def _node(
        self, index: int, layer: Layer, previous: list[tuple[Events, ...]],
        sent: list[tuple[Events, ...]],
    ) -> tuple[Array, Array]:  # fmt: skip
        """Spikes (images, block, neurons), and membranes if they are recorded."""
        arriving: list[tuple[Route, Events]] = []
        for route in layer.routes:
            carried = previous if route.delayed else sent
            if carried:  # no step precedes the first
                arriving.append((route, carried[route.source][route.pooling]))
        shape = (self.images, self.block, layer.neurons)
        route, events = arriving[0]
        current = np.zeros((0, 0), route.drive.dtype)
        if len(arriving) > 1:
            current = np.zeros((self.images * self.block, layer.neurons), route.drive.dtype)
            for route, events in arriving:
                kernels.collect(
                    route.wiring, route.sheet, events, self._once(route), current, self.block
                )
            route = _plain(route, layer)
        fired = np.empty(shape, np.uint8)
        v = np.empty(shape if self.record else (0, 0, 0), np.int64)
        kernels.run_layer(
            route.wiring, route.sheet, route.drive, layer.constants, events, self._once(route),
            current, self.states[index], fired, v,
        )  # fmt: skip
        return fired, v

    def _once(self, route: Route) -> bool:
        """Whether its events have one frame per image, whose drive is added at every step."""
        return self.direct and route.source == 0


def _plain(route: Route, layer: Layer) -> Route:
    """A route whose drive has the layout of the neurons."""
    rows = layer.shape[1] if len(layer.shape) == 3 else 1
    width = layer.neurons // rows
    return route._replace(sheet=Sheet(0, 0, rows, width, width))


def _channel_first(array: Array, shape: Shape) -> Array:
    """Bring (..., neurons) in order (y, x, channel) to (..., *shape)."""
    if len(shape) == 1:
        return array
    channels, height, width = shape
    maps = array.reshape(*array.shape[:-1], height, width, channels)
    return np.ascontiguousarray(np.moveaxis(maps, -1, -3))
