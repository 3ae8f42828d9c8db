"""One clock edge of a core: join, decoder, lanes, sweep and serialiser, in control only.

Within a cycle every part sees the registers as they were: `join` has run before, then `step` goes
through a core from those who read a register to those who write it.
"""

from __future__ import annotations

from typing import Any

from spikewright.golden.cycles.state import (  # fmt: skip
    ACCUMULATE,
    CLEAR,
    FAR,
    NONE,
    RING,
    SETTLE,
    SWEEP,
    TOKEN,
    TURN,
    Machine,
)
from spikewright.golden.image.timing import Latencies
from spikewright.golden.jit import part

_PLACE = RING - 1
_HISTORY = (1 << 16) - 1  # of `rooms` and `waits`, longer than any latency


@part
def join(m: Machine, t: Latencies, k: int, cycle: int) -> bool:
    """Decide which heads a core takes, and feed its decoder; true if it takes any."""
    core: Any = m.cores[k]
    first, chosen, tokens = core.edge_at, -1, True
    for e in range(first, first + core.edges):
        edge: Any = m.edges[e]
        edge.ready = 0
        if edge.seldom and core.step:
            continue
        if edge.head >= 0 and (chosen < 0 or core.downward):
            chosen = e
        tokens = tokens and edge.head == TOKEN
    if not core.rooms >> (t.room - 1) & 1 or (chosen < 0 and not tokens):
        return False
    place = (cycle + core.decode) & _PLACE
    core.opening, core.fresh = core.fresh, 0
    if chosen >= 0:
        edge = m.edges[chosen]
        edge.ready = 1
        core.downward = not core.downward
        at = edge.row_at + edge.head
        core.events_in += 1
        core.synops += m.reach[at]
        if m.row[at] >= 0:
            m.decoding[k, place] = core.length_at + m.row[at] * core.lanes
        return True
    for e in range(first, first + core.edges):
        m.edges[e].ready = not (m.edges[e].seldom and core.step)
    m.decoding[k, place] = TOKEN
    core.step += 1
    if core.step == core.tokens:
        core.step, core.fresh = 0, 1
    return True


@part
def step(m: Machine, t: Latencies, k: int, cycle: int, taken: bool) -> bool:
    """The rest of a core; `taken`: its output beat is. True if it does any work."""
    core: Any = m.cores[k]
    accumulating = core.state == ACCUMULATE
    held = core.state == SWEEP and core.credits == 0
    go = core.state == SETTLE and core.pause == t.release - 1
    busy = _lanes(m, t, k, cycle, go)
    if not accumulating:
        core.stalled += held
        core.sweep += not held
    elif busy:
        core.busy += 1
    elif core.opened:
        core.waiting += 1
    else:
        core.idle += 1
    core.opened += core.opening - (go and core.complete)
    core.opening = 0
    _sweep(m, t, k, cycle)
    _serialise(m, k, cycle, taken)
    return busy or not (accumulating or held)


@part
def _lanes(m: Machine, t: Latencies, k: int, cycle: int, go: bool) -> bool:
    """All lanes, and the request that comes out of the decoder; true if any lane reads an entry."""
    core: Any = m.cores[k]
    room, waiting, busy = 1, 1, False
    for place in range(core.lanes):
        lane: Any = m.lanes[core.lane_at + place]
        if core.written - lane.read > core.most:
            room = 0
        if not lane.waiting:
            waiting = 0
        if cycle < lane.until:
            busy = True
        if core.stirred or go or cycle >= lane.wake:
            _lane(m, t, k, place, cycle, go)
    core.rooms = (core.rooms << 1 | room) & _HISTORY
    core.waits = (core.waits << 1 | waiting) & _HISTORY
    core.stirred = 0
    request = m.decoding[k, cycle & _PLACE]
    if request != NONE:
        m.decoding[k, cycle & _PLACE] = NONE
        m.requests[k, core.written & _PLACE] = request
        core.written += 1
        core.stirred = 1
    return busy


@part
def _lane(m: Machine, t: Latencies, k: int, place: int, cycle: int, go: bool) -> None:
    """Queue of requests, pointer memory, queue of descriptors, walker."""
    core: Any = m.cores[k]
    at = core.lane_at + place
    lane: Any = m.lanes[at]
    asks = lane.shown and lane.credits > 0
    loads = lane.found and not lane.waiting and cycle >= lane.until - 1
    got = m.pipes[at, cycle & _PLACE]
    if loads:
        length = m.rows[at, lane.taken & _PLACE]
        lane.waiting = length == TOKEN
        if length != TOKEN:
            lane.until = cycle + 1 + length
    if go:
        lane.waiting = 0
    more = lane.queued - lane.taken > lane.found
    lane.taken += loads
    lane.found = more or (lane.found and not loads)
    lane.credits += lane.back - asks
    lane.back = loads + (got == 0)
    if got != NONE:
        m.pipes[at, cycle & _PLACE] = NONE
        lane.asked -= 1
        if got != 0:
            m.rows[at, lane.queued & _PLACE] = got
            lane.queued += 1
    more = core.written - lane.read > lane.shown
    if asks:
        request = m.requests[k, lane.read & _PLACE]
        length = TOKEN if request == TOKEN else m.lengths[request + place]
        m.pipes[at, (cycle + t.pointer) & _PLACE] = length
        lane.asked += 1
        lane.read += 1
    lane.shown = more or (lane.shown and not asks)
    lane.wake = _wake(lane, core.written, cycle)


@part
def _wake(lane: Any, written: int, cycle: int) -> int:
    """The next cycle in which a lane changes of itself."""
    if lane.asked or lane.back or (written > lane.read and (lane.credits > 0 or not lane.shown)):
        return cycle + 1
    if lane.queued == lane.taken:
        return FAR
    if not lane.found:
        return cycle + 1
    return FAR if lane.waiting else max(cycle + 1, lane.until - 1)


@part
def _sweep(m: Machine, t: Latencies, k: int, cycle: int) -> None:
    """The sweep controller; a visit brings its vector `result` cycles later."""
    core: Any = m.cores[k]
    if core.state == ACCUMULATE:
        if core.waits >> (t.met - 2) & 1 and core.sweeps < core.due:
            core.state = SWEEP
    elif core.state == SWEEP:
        if core.credits > 0:
            _visit(m, k, cycle)
    elif core.state == CLEAR:
        core.visit += 1
        if core.visit == core.visits:
            core.visit, core.state = 0, SETTLE
    else:
        core.pause += 1
        if core.state == TURN and core.pause == core.turn:
            core.pause, core.state = 0, SWEEP
        elif core.state == SETTLE and core.pause == t.pause:
            core.pause, core.state = 0, ACCUMULATE


@part
def _visit(m: Machine, k: int, cycle: int) -> None:
    """Visit a word, at one step of the pass; behind the last visit the sweep is over."""
    core: Any = m.cores[k]
    core.credits -= 1
    spikes, limit = 0, m.frames[core.frame_at + core.sweeps]
    bound = m.bounds[core.visit_at + core.visit]
    while core.counted < limit and m.events[core.counted] < bound:
        core.counted += 1
        spikes += 1
    core.visit += 1
    end = core.visit == core.visits
    m.flight[k, (cycle + core.result) & _PLACE] = 2 * spikes + end
    if end:
        core.visit = 0
        core.sweeps += 1
        core.complete = core.sweeps % core.steps == 0
        if core.complete or not core.framed:
            core.state = SETTLE
        elif core.turn > 0:
            core.state = TURN
    elif core.turn > 0 and core.visit % core.words == 0:
        core.state = TURN


@part
def _serialise(m: Machine, k: int, cycle: int, taken: bool) -> None:
    """The vector that comes out of the sweep, the queue of vectors, the picker of events."""
    core: Any = m.cores[k]
    owes = core.end and not core.logits
    advances = taken or m.offers[k + 1] == NONE
    finished = not core.active or (advances and core.left + owes <= 1)
    if advances:
        m.offers[k + 1] = NONE
        if core.active and core.left == 0:
            m.offers[k + 1] = TOKEN
        elif core.active:
            m.offers[k + 1] = m.events[core.sent]
            core.sent += 1
            core.left -= 1
    core.credits += core.back
    reads = finished and core.shown
    core.back = reads
    if finished:
        core.active = core.shown
    if reads:
        vector = m.vectors[k, core.taken & _PLACE]
        core.left, core.end = vector >> 1, vector & 1
    more = core.queued - core.taken > core.shown
    core.taken += reads
    core.shown = more or (core.shown and not reads)
    vector = m.flight[k, cycle & _PLACE]
    if vector != NONE:
        m.flight[k, cycle & _PLACE] = NONE
        if vector > core.logits:  # a readout sends no token
            m.vectors[k, core.queued & _PLACE] = vector
            core.queued += 1
        else:
            core.back += 1
