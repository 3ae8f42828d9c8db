"""Tables of the clocked cycle model, from the memories of an image and the spikes of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikewright.golden.arrays import Array, Bools, Ints
from spikewright.golden.cycles.state import CORE, EDGE, FAR, TOKEN, CycleState, power_up
from spikewright.golden.image.memory_image import CoreImage, EdgeImage, Image
from spikewright.golden.image.pass_events import pass_events
from spikewright.golden.image.timing import Latencies


def initial_state(image: Image, spikes: dict[str, Array], batch: int, t: Latencies) -> CycleState:
    """The state after reset; `spikes` are (batch, timesteps, *shape) of every spiking core."""
    sent = [sent_events(core, image.passes, batch, spikes.get(core.node)) for core in image.cores]
    positions = {image.input.name: _input_positions(image)}
    positions |= {core.node: _core_positions(core) for core in image.cores[:-1]}
    row_tables = [RowTable(core) for core in image.cores]
    looked_up = [
        table.look_up(index, *positions[edge.source])
        for core, table in zip(image.cores, row_tables, strict=True)
        for index, edge in enumerate(core.edges)
    ]
    rows, synops = [row for row, _ in looked_up], [weights for _, weights in looked_up]
    lengths = [table.lengths.reshape(-1) for table in row_tables]
    bounds = [_bounds(core) for core in image.cores]
    cores = _cores(image, batch, t)
    for name, tables in (
        ("first_length", lengths), ("first_event", [events for events, _ in sent]),
        ("first_frame", [frames for _, frames in sent]), ("first_visit", bounds),
    ):  # fmt: skip
        cores[name] = _starts(tables)
    cores["events_counted"] = cores["events_sent"] = cores["first_event"]
    edges = _edges(image)
    edges["first_row"] = _starts(rows)
    ends = [frames + first for (_, frames), first in zip(sent, cores["first_event"], strict=True)]
    return CycleState(
        rows=np.concatenate(rows), synops=np.concatenate(synops),
        row_lengths=np.concatenate(lengths),
        events=np.concatenate([events for events, _ in sent]), frame_ends=np.concatenate(ends),
        visit_bounds=np.concatenate(bounds), cores=cores, edges=edges, **power_up(cores, edges, t),
    )  # fmt: skip


def _starts(tables: Sequence[Array]) -> Ints:
    """Where each table begins in their concatenation."""
    sizes = np.array([len(table) for table in tables], np.int64)
    return np.cumsum(sizes) - sizes


def _cores(image: Image, batch: int, t: Latencies) -> Array:
    """The plans of all cores, except where their tables begin."""
    cores, passes = np.zeros(len(image.cores), CORE), image.passes
    for core, row in zip(image.cores, cores, strict=True):
        several_edges = len(core.edges) > 1
        row["lanes"], row["edges"], row["words"] = core.lanes, len(core.edges), core.words
        row["visits"] = core.words * core.steps_per_pass
        row["decode"] = t.decode + t.join * several_edges
        row["ready_level"] = t.ready_level - t.join * several_edges
        row["result"] = t.result + t.relative * core.relative
        row["frame_only"], row["is_readout"] = core.framed, core.kind == "readout"
        row["passes_per_inference"] = passes
        row["tokens_per_inference"] = 1 if core.framed else passes
        row["sweeps_due"] = batch * passes
        repeats = core.framed or core.steps_per_pass > 1
        row["turn_pause"] = max(t.turn - core.words, 0) if repeats else 0
    cores["first_lane"] = np.cumsum(cores["lanes"]) - cores["lanes"]
    cores["first_edge"] = np.cumsum(cores["edges"]) - cores["edges"]
    return cores


def _edges(image: Image) -> Array:
    """The plans of all edges, except where their tables begin."""
    senders = {image.input.name: 0} | {core.node: k + 1 for k, core in enumerate(image.cores)}
    pairs = [(core, edge) for core in image.cores for edge in core.edges]
    edges = np.zeros(len(pairs), EDGE)
    for (core, edge), row in zip(pairs, edges, strict=True):
        row["sender"], row["depth"] = senders[edge.source], edge.depth
        row["initial_token"], row["passes"] = edge.delay, image.passes if edge.delay else FAR
        row["first_step_only"] = edge.direct and not core.framed
    edges["first_slot"] = np.cumsum(edges["depth"]) - edges["depth"]
    return edges


def _bounds(core: CoreImage) -> Ints:
    """By visit: events at addresses below have left; a word's leave at the last step."""
    step, address = core.visits
    rank = np.empty(core.words, np.int64)
    rank[core.order] = np.arange(core.words)
    return np.where(step == core.steps_per_pass - 1, (rank[address] + 1) * core.columns, 0)


def sweep_positions(core: CoreImage) -> tuple[Ints, Ints, Ints, Bools]:
    """For every word in sweep order: local channel, y, x, whether it completes a full window."""
    _, height, width = core.size
    ky, kx = core.window
    position, channel = np.divmod(core.order, core.local_channels)
    y, x = np.divmod(position, width)
    complete = (y // ky < height // ky) & (x // kx < width // kx)
    return channel, y, x, complete & (y % ky == ky - 1) & (x % kx == kx - 1)


def sent_events(
    core: CoreImage, passes: int, batch: int, spikes: Array | None
) -> tuple[Array, Ints]:
    """The addresses that a core sends, sweep by sweep, and where those of each sweep end."""
    local, y, x, closes = sweep_positions(core)
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
    neuron = (channels * down + (y[closes] // ky)[:, None]) * along + (x[closes] // kx)[:, None]
    flat = maps.reshape(len(maps), -1)
    fired = np.take(flat, np.where(channels < 0, 0, neuron).reshape(-1), axis=1)
    fired[:, (channels < 0).reshape(-1)] = 0
    frame, index = np.nonzero(fired)
    ends = np.cumsum(np.bincount(frame, minlength=len(fired)))
    return address.reshape(-1)[index].astype(np.int32), ends


def _input_positions(image: Image) -> tuple[Ints, Ints, Ints]:
    """Channel code, y and x of every address of the input."""
    code, y, x = np.indices((*image.input.shape, 1, 1)[:3]).reshape(3, -1)
    return code, y, x


def _core_positions(core: CoreImage) -> tuple[Ints, Ints, Ints]:
    """Channel code, y and x of every address of a core, in pooled coordinates."""
    local, y, x, _ = sweep_positions(core)
    code = (local[:, None] << core.column_bits | np.arange(core.columns)).reshape(-1)
    down, along = core.window
    return code, np.repeat(y // down, core.columns), np.repeat(x // along, core.columns)


def input_addresses(image: Image, inputs: Array) -> Ints:
    """The beats of the source: the addresses of every frame, followed by its token."""
    direct = image.input.direct
    frames = inputs.reshape(len(inputs) * (1 if direct else image.timesteps), -1)
    steps = 1 if direct else image.steps_per_pass
    events = pass_events(frames, steps)
    ends = np.cumsum(np.bincount(events.frame, minlength=len(frames) // steps))
    return np.insert(events.neuron, ends, TOKEN)


class RowTable:
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
        """For every address of the edge's sender: row (-1 if dropped), number of weights added."""
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
        synops = (self.entries[np.where(kept, row, 0)] * taps).sum(1) * kept
        return np.where(kept, row, -1).astype(np.int32), synops.astype(np.int32)
