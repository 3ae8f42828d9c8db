"""When every event of a chain of cores is accepted, fetched, walked, swept and sent.

A max-plus recurrence over events: each cycle below is the maximum of a few earlier ones plus
constants (`golden.timing`). Nothing is computed but time. Events are taken in their own order, and
a core's event is offered to the next core as soon as its cycle is known; what that core answers,
the cycle in which it accepts, depends on its past alone. So back-pressure needs no clock.

All cycles count from 0, the first after reset.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from golden import credits, ledger
from golden.credits import CREDITS, EARLY, LATE, fill, give, take
from golden.jit import entry, inlined, inner, source_field
from golden.timing import Latencies

Array = NDArray[Any]

_TOKEN = -1  # in place of a source address, or of a row's length: the end of a step
_RING = 64  # requests that a core remembers, more than its queues hold; a power of two

_PLAN = ("lanes", "words", "lane_at", "source_at", "length_at", "neuron_at")
_TIME = ("accepted", "kept", "seen", "met", "ended", "picked", "sent")

CORE = np.dtype(
    [
        *((name, np.int64) for name in (*_PLAN, *_TIME)),
        *((name, np.int64, (_RING,)) for name in ("arrived", "left")),
        ("vectors", CREDITS),
        ("ledger", ledger.LEDGER),
        source_field(__file__, credits.__file__, ledger.__file__),
    ]
)
"""A core, as a record: its size, where it begins in the arrays of a `Chain`, and its times.

`accepted`: its last event. `kept`: requests for the lanes, `seen` of them known to `ready`; when
each `arrived`, and `left` the last lane's queue. `met`: the last lane took the token. `ended`: a
sweep's last address. `picked`, `sent`: the last event entered the serialiser's register, left it.
"""

LANE = np.dtype([("read", np.int64), ("free", np.int64), ("descriptors", CREDITS)])
"""A lane, as a record: when it read its last request, and from when on it may take a row."""


class Chain(NamedTuple):
    """The cores of an image in order, and their tables one behind the other.

    `row` and `reach` by source address: the row that an event walks in every lane, -1 if the
    decoder drops it, and the weights that it adds. `lengths` (row, lane): entries. `neuron`
    (word, lane): the neuron swept there, -1 for padding. `direct`: core 0 keeps its drive.
    """

    timesteps: int
    direct: bool
    row: Array
    reach: Array
    lengths: Array
    neuron: Array
    cores: Array
    lanes: Array
    spans: Array
    gaps: Array


def reset(cores: Any, sources: Array, t: Latencies) -> tuple[Array, Array, Array]:
    """The times of `cores` after reset, where each sweeps once; and lanes, spans and gaps.

    `sources` by core: the most events of a step, as each makes a lane busy at most once.
    """
    book = cores["ledger"]
    spans, gaps = ledger.open_books(book, sources * cores["lanes"], cores["lanes"])
    book["sweep"] = cores["words"] + t.pause
    cores["ended"], cores["accepted"] = cores["words"] - 1, t.room - 1
    fill(cores["vectors"], t.vectors)
    lanes = np.zeros(cores["lanes"].sum(), LANE)
    lanes["free"] = np.repeat(cores["ended"] + t.release + 1, cores["lanes"])
    fill(lanes["descriptors"], t.descriptors)
    return lanes, spans, gaps


@entry
def run(
    chain: Chain, t: Latencies, frames: Array, spikes: Array, start: int, logits: Array
) -> None:
    """Send a batch through the chain, which is changed.

    Parameters
    ----------
    frames
        bool (batch or batch * timesteps, source addresses): where an input event is.
    spikes
        uint8 (batch * timesteps, neurons of all spiking cores).
    start
        The cycle from which on the first beat is offered; each next one follows at once.
    logits
        int64 (batch, classes): filled with the cycle of every logit.
    """
    cores = chain.cores
    for image in range(len(logits)):
        for step in range(chain.timesteps):
            frame = image * chain.timesteps + step
            if not chain.direct:
                _send(chain, t, frames[frame], start)
            elif step == 0:
                _send(chain, t, frames[image], start)
            for k in range(len(cores)):
                _sweep(chain, t, k, step, spikes[frame], logits[image])
    end = cores[len(cores) - 1].sent + 1
    for k in range(len(cores)):
        ledger.close(cores[k].ledger, chain.gaps, cores[k].ended + t.pause + 1, end)


@inner
def _send(chain: Chain, t: Latencies, frame: Array, start: int) -> None:
    """Offer the input events of a frame, then the token."""
    for source in range(len(frame)):
        if frame[source]:
            _offer(chain, t, 0, source, start)
    _offer(chain, t, 0, _TOKEN, start)


@inner
def _offer(chain: Chain, t: Latencies, k: int, source: int, cycle: int) -> int:
    """Core k is offered an event from `cycle` on; the cycle in which it accepts."""
    core = chain.cores[k]
    cycle = _ready(core, t, max(cycle, core.accepted + 1))
    core.accepted = cycle
    ledger.accept(core.ledger, chain.gaps, cycle)
    at = -1
    if source != _TOKEN:
        place = core.source_at + source
        core.ledger.events_in += 1
        core.ledger.synops += chain.reach[place]
        if chain.row[place] < 0:
            return cycle
        at = core.length_at + chain.row[place] * core.lanes
    left = 0
    for place in range(core.lanes):
        lane: Any = chain.lanes[core.lane_at + place]
        read = max(cycle + t.decode + t.fifo, lane.read + 1, take(lane.descriptors))
        lane.read = read
        left = max(left, read)
        length = chain.lengths[at + place] if at >= 0 else _TOKEN
        _walk(core, lane, t, read, length, place == 0, chain.spans)
    place = core.kept
    core.arrived[place & (_RING - 1)] = cycle
    core.left[place & (_RING - 1)] = left
    core.kept = place + 1
    return cycle


@inlined
def _ready(core: Any, t: Latencies, cycle: int) -> int:
    """The first cycle from `cycle` on in which a core is ready."""
    while True:
        # Requests that had been written when the levels were taken which decide this cycle.
        written = cycle - t.room - t.decode
        while core.seen < core.kept and core.arrived[core.seen & (_RING - 1)] < written:
            core.seen += 1
        # All but the newest `most` of them must have been read by every lane.
        oldest = core.seen - t.most - 1
        if oldest < 0:
            return cycle
        left = core.left[oldest & (_RING - 1)]
        if left < cycle - t.room:
            return cycle
        cycle = left + t.room + 1


@inlined
def _walk(
    core: Any, lane: Any, t: Latencies, read: int, length: int, first: bool, spans: Array
) -> None:
    """A lane takes the row that it has read, or the token; an empty row vanishes."""
    if length == 0:
        give(lane.descriptors, EARLY, read + t.pointer)
        return
    cycle = read + t.pointer + t.fifo
    if first:
        ledger.meet(core.ledger, cycle)
    cycle = max(cycle, lane.free)
    give(lane.descriptors, LATE, cycle)
    if length == _TOKEN:
        core.met = max(core.met, cycle)
        return
    lane.free = cycle + length
    ledger.read(core.ledger, spans, cycle + 1, cycle + 1 + length)


@inner
def _sweep(chain: Chain, t: Latencies, k: int, step: int, spikes: Array, logits: Array) -> None:
    """End a step of core k, whose token has been accepted; its events go to the next core."""
    core = chain.cores[k]
    book = core.ledger
    final = step == chain.timesteps - 1
    keeps = chain.direct and k == 0  # its token ends the frame, not the step
    begin = core.ended + t.pause + 1
    if not keeps or step == 0:
        ledger.accumulate(book, chain.spans, chain.gaps, begin, core.met + t.met)
        begin = core.met + t.met
    end = _visit(chain, t, k, begin, final, spikes, logits)
    core.ended = end
    book.sweep += core.words + t.pause
    book.stalled += end - begin + 1 - core.words
    for lane in range(core.lane_at, core.lane_at + core.lanes):
        chain.lanes[lane].free = end + t.release + 1
    if final:
        ledger.infer(book, end + t.release)


@inner
def _visit(
    chain: Chain, t: Latencies, k: int, cycle: int, final: bool, spikes: Array, logits: Array
) -> int:
    """Visit every word from `cycle` on; the cycle of the last one."""
    core, cores = chain.cores[k], chain.cores
    readout = k == len(cores) - 1
    first = 0 if readout else cores[k + 1].source_at - cores[1].source_at  # of `spikes`
    sent = 0
    cycle -= 1
    for word in range(core.words):
        cycle = max(cycle + 1, take(core.vectors))
        given = cycle + t.result
        picked = -1  # the cycle in which the serialiser picked the word's latest event
        at = core.neuron_at + word * core.lanes
        for place in range(at, at + core.lanes):
            neuron = chain.neuron[place]
            if neuron < 0 or not (final if readout else spikes[first + neuron]):
                continue
            picked = _pick(core, t, given, picked)
            if readout:
                core.sent = logits[sent] = picked + 1
            else:
                core.sent = _offer(chain, t, k + 1, neuron, picked + 1)
            sent += 1
        if word == core.words - 1 and not readout:
            picked = _pick(core, t, given, picked)
            core.sent = _offer(chain, t, k + 1, _TOKEN, picked + 1)
        if picked < 0:
            give(core.vectors, EARLY, given)
        else:
            core.picked = picked
    core.ledger.events_out += sent
    return cycle


@inlined
def _pick(core: Any, t: Latencies, given: int, picked: int) -> int:
    """The serialiser moves an event into its output register, when the last one has left that.

    The first event of a vector (`picked` < 0) comes a cycle after the vector leaves the queue.
    """
    if picked < 0:
        picked = max(given + t.fifo, core.picked)
        give(core.vectors, LATE, picked)
    return max(picked + 1, core.sent)
