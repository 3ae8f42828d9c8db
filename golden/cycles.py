"""The cycle model: how long the accelerator takes, from its memory image and the spikes alone.

It predicts the hardware's own counters and the cycle of every logit exactly, at full speed: the
first beat is offered from `start` on and every next one at once, and the sink is always ready.
Inferences follow each other back to back, so several are in flight, and cores hold each other up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.counters import COUNTERS, Counters
from golden.errors import require
from golden.image import CoreImage, Image
from golden.schedule import CORE, Chain, reset, run
from golden.timing import Latencies
from golden.trace import Trace

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run of a batch takes; cycles count from 0, the first after reset.

    Attributes
    ----------
    cores
        The counters of every core.
    first_beat
        The cycle in which the first beat is accepted.
    logits
        int64 (batch, classes): the cycle in which each logit leaves, in the order in which they do.
    """

    cores: tuple[Counters, ...]
    first_beat: int
    logits: Ints

    @property
    def cycles(self) -> int:
        """Cycles from reset until the last logit has left."""
        return int(self.logits[-1, -1]) + 1

    @property
    def latency_cycles(self) -> int:
        """Of the first inference, which meets an empty machine: first beat to last logit."""
        return int(self.logits[0, -1]) - self.first_beat + 1

    @property
    def cycles_per_inference(self) -> float:
        """Mean distance between the last logits of inferences; of a single one its latency."""
        if len(self.logits) == 1:
            return float(self.latency_cycles)
        return float(self.logits[-1, -1] - self.logits[0, -1]) / (len(self.logits) - 1)


def predict(
    image: Image, inputs: NDArray[np.generic], trace: Trace, start: int = 0,
    latencies: Latencies | None = None,
) -> Prediction:  # fmt: skip
    """Predict the cycles of a batch.

    Parameters
    ----------
    inputs
        Checked integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.
    trace
        Their spikes, as any link of the chain of equality records them; nothing else is used.
    start
        The cycle from which on the first beat is offered.
    latencies
        Those of other hardware than `golden.timing` describes.

    Raises
    ------
    BadInput
        If there are no inputs, or inputs or trace do not belong to the image.
    """
    steps, direct = image.timesteps, image.input.direct
    batch = len(inputs)
    shape = (batch, *image.input.shape) if direct else (batch, steps, *image.input.shape)
    require(batch > 0, "cycle model", "number of inputs", batch, "at least 1")
    require(inputs.shape == shape, "cycle model", "shape of the inputs", inputs.shape, str(shape))
    t = latencies or Latencies()
    chain = chain_of(image, t)
    frames = np.asarray(inputs != 0).reshape(batch if direct else batch * steps, -1)
    spikes = _spikes(image, trace, batch)
    logits = np.zeros((batch, image.cores[-1].shape[0]), np.int64)
    run(chain, t, frames, spikes, start, logits)
    counts: Any = chain.cores["ledger"]
    cores = tuple(
        Counters(core.node, **{name: int(counts[name][k]) for name in COUNTERS})
        for k, core in enumerate(image.cores)
    )
    return Prediction(cores, max(start, t.room), logits)


def _spikes(image: Image, trace: Trace, batch: int) -> NDArray[np.uint8]:
    """Spikes of all spiking cores side by side, (batch * timesteps, neurons)."""
    parts = [np.zeros((batch * image.timesteps, 0), np.uint8)]
    for core in image.cores[:-1]:
        found = trace.spikes.get(core.node)
        shape = (batch, image.timesteps, *core.shape)
        where = f"cycle model: spikes of {core.node!r}"
        require(found is not None, where, "trace", "without them", "of the same network")
        assert found is not None
        require(found.shape == shape, where, "shape", found.shape, str(shape))
        parts.append(found.reshape(batch * image.timesteps, -1))
    return np.concatenate(parts, axis=1)


def chain_of(image: Image, t: Latencies) -> Chain:
    """The tables of `golden.schedule` from the memories of an image, and its cores after reset."""
    shapes = [image.input.shape, *(core.shape for core in image.cores[:-1])]
    codes = [None, *(core.codes for core in image.cores[:-1])]
    row, reach, lengths = zip(*map(_synapses, image.cores, shapes, codes), strict=True)
    neuron = [core.neurons.T.reshape(-1).astype(np.int64) for core in image.cores]
    cores = np.zeros(len(image.cores), CORE)
    cores["lanes"] = [core.lanes for core in image.cores]
    cores["words"] = [core.words for core in image.cores]
    cores["lane_at"] = np.cumsum(cores["lanes"]) - cores["lanes"]
    for name, tables in (("source_at", row), ("length_at", lengths), ("neuron_at", neuron)):
        sizes = np.array([len(table) for table in tables], np.int64)
        cores[name] = np.cumsum(sizes) - sizes
    lanes, spans, gaps = reset(cores, np.array([len(table) for table in row], np.int64), t)
    return Chain(
        image.timesteps, image.input.direct, np.concatenate(row), np.concatenate(reach),
        np.concatenate(lengths), np.concatenate(neuron), cores, lanes, spans, gaps,
    )  # fmt: skip


def _synapses(
    core: CoreImage, shape: tuple[int, ...], codes: tuple[int, ...] | None
) -> tuple[NDArray[np.int32], Ints, NDArray[np.int32]]:
    """Of every source address its row (or -1) and the weights it adds; flat (row, lane) lengths."""
    size = (*shape, 1, 1)[:3]
    channel, y, x = np.indices(size).reshape(3, -1)
    code = channel if codes is None else np.array(codes, np.int64)[channel]
    table_y, table_x, taps = (core.memories[name] for name in ("table_y_0", "table_x_0", "taps"))
    mask_y, mask_x = table_y.field("mask")[y], table_x.field("mask")[x]
    row_bits = core.edges[0].row_bits
    position = (table_y.field("row")[y] + table_x.field("row")[x]) & ((1 << row_bits) - 1)
    kept = (mask_y != 0) & (mask_x != 0)
    row = np.where(kept, (code << row_bits) | position, -1)

    lengths, entries = [], 0
    for lane in range(core.lanes):
        rows = core.rows(lane)
        lengths.append(rows.length)
        entries = entries + _taps(rows.start, rows.length, rows.tap, len(taps.words))
    inside = mask_y[:, None] >> taps.field("ky") & mask_x[:, None] >> taps.field("kx") & 1
    reach = np.where(kept, (np.asarray(entries)[row] * inside).sum(1), 0)
    return row.astype(np.int32), reach, np.stack(lengths, axis=1).astype(np.int32).reshape(-1)


def _taps(starts: Ints, lengths: Ints, tap: Ints, taps: int) -> Ints:
    """How many entries each row has at each tap, (rows, taps)."""
    row = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    cells = np.bincount(row * taps + tap[starts[row] + within], minlength=len(lengths) * taps)
    return cells.reshape(len(lengths), taps)
