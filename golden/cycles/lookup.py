"""What the clocked cycle model looks up, from the memories of an image and the spikes of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.cycles.state import CORE, EDGE, FAR, TOKEN, Machine, power_up
from spikewright.golden.image.memory_image import CoreImage, EdgeImage, Image
from spikewright.golden.image.pass_events import gathered
from spikewright.golden.image.timing import Latencies

Array = NDArray[Any]
Ints = NDArray[np.int64]


def machine_of(image: Image, spikes: dict[str, Array], batch: int, t: Latencies) -> Machine:
    """The machine after reset; `spikes` are (batch, timesteps, *shape) of every spiking core."""
    sent = [sent_by(core, image.passes, batch, spikes.get(core.node)) for core in image.cores]
    places = {image.input.name: _input_places(image)}
    places |= {core.node: _core_places(core) for core in image.cores[:-1]}
    synapses = [Synapses(core) for core in image.cores]
    found = [
        synapse.look_up(index, *places[edge.source])
        for core, synapse in zip(image.cores, synapses, strict=True)
        for index, edge in enumerate(core.edges)
    ]
    rows, reach = zip(*found, strict=True)
    lengths = [synapse.lengths.reshape(-1) for synapse in synapses]
    bounds = [_bounds(core) for core in image.cores]
    cores = _cores(image, batch, t)
    for name, tables in (
        ("length_at", lengths), ("event_at", [events for events, _ in sent]),
        ("frame_at", [frames for _, frames in sent]), ("visit_at", bounds),
    ):  # fmt: skip
        cores[name] = _starts(tables)
    cores["counted"] = cores["sent"] = cores["event_at"]
    edges = _edges(image)
    edges["row_at"] = _starts(rows)
    frames = [frames + at for (_, frames), at in zip(sent, cores["event_at"], strict=True)]
    return Machine(
        row=np.concatenate(rows), reach=np.concatenate(reach), lengths=np.concatenate(lengths),
        events=np.concatenate([events for events, _ in sent]), frames=np.concatenate(frames),
        bounds=np.concatenate(bounds), cores=cores, edges=edges, **power_up(cores, edges, t),
    )  # fmt: skip


def _starts(tables: Any) -> Ints:
    sizes = np.array([len(table) for table in tables], np.int64)
    return np.cumsum(sizes) - sizes


def _cores(image: Image, batch: int, t: Latencies) -> Array:
    """The plans of all cores, but for where their tables begin."""
    cores, passes = np.zeros(len(image.cores), CORE), image.passes
    for core, row in zip(image.cores, cores, strict=True):
        several = len(core.edges) > 1
        row["lanes"], row["edges"], row["words"] = core.lanes, len(core.edges), core.words
        row["visits"] = core.words * core.steps_per_pass
        row["decode"] = t.decode + t.join * several
        row["most"] = t.most - t.join * several
        row["result"] = t.result + t.relative * core.relative
        row["framed"], row["logits"] = core.framed, core.kind == "readout"
        row["steps"], row["tokens"] = passes, 1 if core.framed else passes
        row["due"] = batch * passes
        again = core.framed or core.steps_per_pass > 1
        row["turn"] = max(t.turn - core.words, 0) if again else 0
    cores["lane_at"] = np.cumsum(cores["lanes"]) - cores["lanes"]
    cores["edge_at"] = np.cumsum(cores["edges"]) - cores["edges"]
    return cores


def _edges(image: Image) -> Array:
    """The plans of all edges, but for where their tables begin."""
    senders = {image.input.name: 0} | {core.node: k + 1 for k, core in enumerate(image.cores)}
    pairs = [(core, edge) for core in image.cores for edge in core.edges]
    edges = np.zeros(len(pairs), EDGE)
    for (core, edge), row in zip(pairs, edges, strict=True):
        row["sender"], row["depth"] = senders[edge.source], edge.depth
        row["first"], row["steps"] = edge.delay, image.passes if edge.delay else FAR
        row["seldom"] = edge.direct and not core.framed
    edges["queue_at"] = np.cumsum(edges["depth"]) - edges["depth"]
    return edges


def _bounds(core: CoreImage) -> Ints:
    """By visit: the addresses below this leave by then; those of a word, when its last step has."""
    step, address = core.visits
    place = np.empty(core.words, np.int64)
    place[core.order] = np.arange(core.words)
    return np.where(step == core.steps_per_pass - 1, (place[address] + 1) * core.columns, 0)


def places_of(core: CoreImage) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:
    """Every place of a sweep's order: local channel, y, x, whether it ends a whole window."""
    _, height, width = core.size
    ky, kx = core.window
    position, channel = np.divmod(core.order, core.local_channels)
    y, x = np.divmod(position, width)
    whole = (y // ky < height // ky) & (x // kx < width // kx)
    return channel, y, x, whole & (y % ky == ky - 1) & (x % kx == kx - 1)


def sent_by(core: CoreImage, passes: int, batch: int, spikes: Array | None) -> tuple[Array, Ints]:
    """The addresses that a core sends, sweep by sweep; where those of each sweep end."""
    local, y, x, closes = places_of(core)
    channel = np.full((core.local_channels, core.columns), -1)
    for number, code in enumerate(core.codes):
        channel[code >> core.column_bits, code & ((1 << core.column_bits) - 1)] = number
    channels = channel[local[closes]]  # (vectors, columns)
    address = np.flatnonzero(closes)[:, None] * core.columns + np.arange(core.columns)
    if spikes is None:  # a readout sends the whole of the last step
        sent = np.tile(address[channels >= 0], batch)
        ends = np.repeat(np.arange(batch + 1), passes)[1 : batch * passes + 1]
        return sent.astype(np.int32), ends * (channels >= 0).sum()
    (ky, kx), (_, height, width) = core.window, core.size
    down, along = height // ky, width // kx
    maps = spikes.reshape(-1, core.steps_per_pass, *core.size).max(axis=1)
    maps = maps[:, :, : down * ky, : along * kx]
    if core.window != (1, 1):
        maps = maps.reshape(len(maps), -1, down, ky, along, kx).max(axis=(3, 5))
    place = (channels * down + (y[closes] // ky)[:, None]) * along + (x[closes] // kx)[:, None]
    flat = maps.reshape(len(maps), -1)
    fired = np.take(flat, np.where(channels < 0, 0, place).reshape(-1), axis=1)
    fired[:, (channels < 0).reshape(-1)] = 0
    frame, where = np.nonzero(fired)
    ends = np.cumsum(np.bincount(frame, minlength=len(fired)))
    return address.reshape(-1)[where].astype(np.int32), ends


def _input_places(image: Image) -> tuple[Ints, Ints, Ints]:
    """Channel code, y and x of every address of the input."""
    code, y, x = np.indices((*image.input.shape, 1, 1)[:3]).reshape(3, -1)
    return code, y, x


def _core_places(core: CoreImage) -> tuple[Ints, Ints, Ints]:
    """The same of a core."""
    local, y, x, _ = places_of(core)
    code = (local[:, None] << core.column_bits | np.arange(core.columns)).reshape(-1)
    down, along = core.window
    return code, np.repeat(y // down, core.columns), np.repeat(x // along, core.columns)


def beats_of(image: Image, inputs: Array) -> Ints:
    """What the source sends: the addresses of every frame, each frame's token behind them."""
    direct = image.input.direct
    frames = inputs.reshape(len(inputs) * (1 if direct else image.timesteps), -1)
    steps = 1 if direct else image.steps_per_pass
    beats = gathered(frames, steps)
    ends = np.cumsum(np.bincount(beats.frame, minlength=len(frames) // steps))
    return np.insert(beats.place, ends, TOKEN)


class Synapses:
    """The rows of a core: `lengths` (rows, lanes), and how many entries each has at each tap."""

    def __init__(self, core: CoreImage) -> None:
        self.core, self.taps = core, core.memories["taps"]
        lanes = [core.rows(lane) for lane in range(core.lanes)]
        depth = max(len(rows.start) for rows in lanes)
        self.lengths = np.zeros((depth, core.lanes), np.int32)
        self.entries = np.zeros(depth * len(self.taps.words), np.int64)
        for lane, rows in enumerate(lanes):
            self.lengths[: len(rows.length), lane] = rows.length
            row, entry = rows.walk(np.arange(len(rows.start)))
            cells = row * len(self.taps.words) + rows.tap[entry]
            self.entries += np.bincount(cells, minlength=len(self.entries))
        self.entries = self.entries.reshape(depth, -1)

    def look_up(self, index: int, code: Ints, y: Ints, x: Ints) -> tuple[Array, Array]:
        """Of every address of an edge's sender its row (or -1), and the weights that it adds."""
        edge: EdgeImage = self.core.edges[index]
        table_y, table_x = (self.core.memories[f"table_{axis}_{index}"] for axis in "yx")
        inside = np.minimum(y, len(table_y.words) - 1), np.minimum(x, len(table_x.words) - 1)
        mask_y, mask_x = table_y.field("mask")[inside[0]], table_x.field("mask")[inside[1]]
        position = table_y.field("row")[inside[0]] + table_x.field("row")[inside[1]]
        position &= (1 << edge.row_bits) - 1
        row = edge.row_start + (code << edge.row_bits | position)
        kept = (mask_y != 0) & (mask_x != 0) & (row < len(self.entries))
        taps = (
            mask_y[:, None] >> self.taps.field("ky") & mask_x[:, None] >> self.taps.field("kx") & 1
        )
        reach = (self.entries[np.where(kept, row, 0)] * taps).sum(1) * kept
        return np.where(kept, row, -1).astype(np.int32), reach.astype(np.int32)
