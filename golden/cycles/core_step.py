"""One clock edge of a core: join, decoder, lanes, sweep and serialiser, in control only.

Within a cycle every part sees the registers as they were: `join` runs first, then `step` evaluates
a core in such an order that every register is read before it is written.
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
    CycleState,
)
from spikewright.golden.image.timing import Latencies
from spikewright.golden.jit import part

_SLOT = RING - 1
_HISTORY = (1 << 16) - 1  # bits of the histories: longer than any latency


@part
def join(state: CycleState, t: Latencies, k: int, cycle: int) -> bool:
    """Choose the beats that a core takes, and feed its decoder; true if it takes any."""
    core: Any = state.cores[k]
    first, chosen, tokens = core.first_edge, -1, True
    for e in range(first, first + core.edges):
        edge: Any = state.edges[e]
        edge.ready = 0
        if edge.first_step_only and core.step:
            continue
        if edge.head >= 0 and (chosen < 0 or core.reverse_priority):
            chosen = e
        tokens = tokens and edge.head == TOKEN
    if not core.room_history >> (t.room - 1) & 1 or (chosen < 0 and not tokens):
        return False
    slot = (cycle + core.decode) & _SLOT
    core.opens_inference, core.new_inference = core.new_inference, 0
    if chosen >= 0:
        edge = state.edges[chosen]
        edge.ready = 1
        core.reverse_priority = not core.reverse_priority
        at = edge.first_row + edge.head
        core.events_in += 1
        core.synops += state.synops[at]
        if state.rows[at] >= 0:
            state.decoders[k, slot] = core.first_length + state.rows[at] * core.lanes
        return True
    for e in range(first, first + core.edges):
        state.edges[e].ready = not (state.edges[e].first_step_only and core.step)
    state.decoders[k, slot] = TOKEN
    core.step += 1
    if core.step == core.tokens_per_inference:
        core.step, core.new_inference = 0, 1
    return True


@part
def step(state: CycleState, t: Latencies, k: int, cycle: int, taken: bool) -> bool:
    """All of a core but its join; `taken`: its output beat leaves. True if it does any work."""
    core: Any = state.cores[k]
    accumulating = core.phase == ACCUMULATE
    held = core.phase == SWEEP and core.vector_credits == 0
    release = core.phase == SETTLE and core.pause_cycles == t.release - 1
    busy = _lanes(state, t, k, cycle, release)
    if not accumulating:
        core.stalled += held
        core.sweep += not held
    elif busy:
        core.busy += 1
    elif core.open_inferences:
        core.waiting += 1
    else:
        core.idle += 1
    core.open_inferences += core.opens_inference - (release and core.inference_complete)
    core.opens_inference = 0
    _sweep(state, t, k, cycle)
    _serialise(state, k, cycle, taken)
    return busy or not (accumulating or held)


@part
def _lanes(state: CycleState, t: Latencies, k: int, cycle: int, release: bool) -> bool:
    """All lanes, and the request that comes out of the decoder; true if any lane reads an entry."""
    core: Any = state.cores[k]
    room, waiting, busy = 1, 1, False
    for number in range(core.lanes):
        lane: Any = state.lanes[core.first_lane + number]
        if core.requests_written - lane.requests_read > core.ready_level:
            room = 0
        if not lane.waiting:
            waiting = 0
        if cycle < lane.busy_until:
            busy = True
        if core.wake_lanes or release or cycle >= lane.wake_cycle:
            _lane(state, t, k, number, cycle, release)
    core.room_history = (core.room_history << 1 | room) & _HISTORY
    core.waiting_history = (core.waiting_history << 1 | waiting) & _HISTORY
    core.wake_lanes = 0
    request = state.decoders[k, cycle & _SLOT]
    if request != NONE:
        state.decoders[k, cycle & _SLOT] = NONE
        state.request_queues[k, core.requests_written & _SLOT] = request
        core.requests_written += 1
        core.wake_lanes = 1
    return busy


@part
def _lane(state: CycleState, t: Latencies, k: int, number: int, cycle: int, release: bool) -> None:
    """Request queue, pointer memory, descriptor queue, walker; lengths stand for descriptors."""
    core: Any = state.cores[k]
    at = core.first_lane + number
    lane: Any = state.lanes[at]
    asks = lane.request_valid and lane.descriptor_credits > 0
    loads = lane.descriptor_valid and not lane.waiting and cycle >= lane.busy_until - 1
    fetched = state.pointer_pipelines[at, cycle & _SLOT]
    if loads:
        length = state.descriptor_queues[at, lane.descriptors_read & _SLOT]
        lane.waiting = length == TOKEN
        if length != TOKEN:
            lane.busy_until = cycle + 1 + length
    if release:
        lane.waiting = 0
    more = lane.descriptors_written - lane.descriptors_read > lane.descriptor_valid
    lane.descriptors_read += loads
    lane.descriptor_valid = more or (lane.descriptor_valid and not loads)
    lane.descriptor_credits += lane.credits_returning - asks
    lane.credits_returning = loads + (fetched == 0)
    if fetched != NONE:
        state.pointer_pipelines[at, cycle & _SLOT] = NONE
        lane.lookups_pending -= 1
        if fetched != 0:
            state.descriptor_queues[at, lane.descriptors_written & _SLOT] = fetched
            lane.descriptors_written += 1
    more = core.requests_written - lane.requests_read > lane.request_valid
    if asks:
        request = state.request_queues[k, lane.requests_read & _SLOT]
        length = TOKEN if request == TOKEN else state.row_lengths[request + number]
        state.pointer_pipelines[at, (cycle + t.pointer) & _SLOT] = length
        lane.lookups_pending += 1
        lane.requests_read += 1
    lane.request_valid = more or (lane.request_valid and not asks)
    lane.wake_cycle = _wake(lane, core.requests_written, cycle)


@part
def _wake(lane: Any, requests_written: int, cycle: int) -> int:
    """The next cycle in which a lane changes without a new request."""
    if lane.lookups_pending or lane.credits_returning:
        return cycle + 1
    if requests_written > lane.requests_read and (
        lane.descriptor_credits > 0 or not lane.request_valid
    ):
        return cycle + 1
    if lane.descriptors_written == lane.descriptors_read:
        return FAR
    if not lane.descriptor_valid:
        return cycle + 1
    return FAR if lane.waiting else max(cycle + 1, lane.busy_until - 1)


@part
def _sweep(state: CycleState, t: Latencies, k: int, cycle: int) -> None:
    """The sweep controller; a visit's vector follows `result` cycles later."""
    core: Any = state.cores[k]
    if core.phase == ACCUMULATE:
        if core.waiting_history >> (t.sweep_start - 2) & 1 and core.sweeps_done < core.sweeps_due:
            core.phase = SWEEP
    elif core.phase == SWEEP:
        if core.vector_credits > 0:
            _visit(state, k, cycle)
    elif core.phase == CLEAR:
        core.visit += 1
        if core.visit == core.visits:
            core.visit, core.phase = 0, SETTLE
    else:
        core.pause_cycles += 1
        if core.phase == TURN and core.pause_cycles == core.turn_pause:
            core.pause_cycles, core.phase = 0, SWEEP
        elif core.phase == SETTLE and core.pause_cycles == t.pause:
            core.pause_cycles, core.phase = 0, ACCUMULATE


@part
def _visit(state: CycleState, k: int, cycle: int) -> None:
    """Visit a word, at one step of the pass; the last visit ends the sweep."""
    core: Any = state.cores[k]
    core.vector_credits -= 1
    spikes, limit = 0, state.frame_ends[core.first_frame + core.sweeps_done]
    bound = state.visit_bounds[core.first_visit + core.visit]
    while core.events_counted < limit and state.events[core.events_counted] < bound:
        core.events_counted += 1
        spikes += 1
    core.visit += 1
    end = core.visit == core.visits
    state.sweep_pipelines[k, (cycle + core.result) & _SLOT] = 2 * spikes + end
    if end:
        core.visit = 0
        core.sweeps_done += 1
        core.inference_complete = core.sweeps_done % core.passes_per_inference == 0
        if core.inference_complete or not core.frame_only:
            core.phase = SETTLE
        elif core.turn_pause > 0:
            core.phase = TURN
    elif core.turn_pause > 0 and core.visit % core.words == 0:
        core.phase = TURN


@part
def _serialise(state: CycleState, k: int, cycle: int, taken: bool) -> None:
    """The vector that leaves the sweep, the vector queue, the selection of events."""
    core: Any = state.cores[k]
    token_due = core.ends_step and not core.is_readout
    advances = taken or state.offers[k + 1] == NONE
    finished = not core.active or (advances and core.events_left + token_due <= 1)
    if advances:
        state.offers[k + 1] = NONE
        if core.active and core.events_left == 0:
            state.offers[k + 1] = TOKEN
        elif core.active:
            state.offers[k + 1] = state.events[core.events_sent]
            core.events_sent += 1
            core.events_left -= 1
    core.vector_credits += core.credits_returning
    reads = finished and core.vector_valid
    core.credits_returning = reads
    if finished:
        core.active = core.vector_valid
    if reads:
        vector = state.vector_queues[k, core.vectors_read & _SLOT]
        core.events_left, core.ends_step = vector >> 1, vector & 1
    more = core.vectors_written - core.vectors_read > core.vector_valid
    core.vectors_read += reads
    core.vector_valid = more or (core.vector_valid and not reads)
    vector = state.sweep_pipelines[k, cycle & _SLOT]
    if vector != NONE:
        state.sweep_pipelines[k, cycle & _SLOT] = NONE
        if vector > core.is_readout:  # a readout sends no token
            state.vector_queues[k, core.vectors_written & _SLOT] = vector
            core.vectors_written += 1
        else:
            core.credits_returning += 1
