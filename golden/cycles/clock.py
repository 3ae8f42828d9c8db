"""The clock of the cycle model: streams, forks, delays and throttles around the cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikewright.golden.arrays import Array
from spikewright.golden.cycles.core_step import join, step
from spikewright.golden.cycles.stalls import draw
from spikewright.golden.cycles.state import ACCUMULATE, NONE, TOKEN, CycleState
from spikewright.golden.image.timing import Latencies
from spikewright.golden.jit import entry, part


@entry
def run_clock(
    state: CycleState, t: Latencies, beats: Array, times: tuple[int, int, int], random: Array,
    rate: int, odd: int, logits: Array, result: Array,
) -> None:  # fmt: skip
    """Clock `state`, in place, from reset until everything has come to rest.

    Parameters
    ----------
    beats
        Addresses and tokens that the source sends.
    times
        The cycle from which on the first beat is offered, the first that is counted, and after how
        many cycles without any work the accelerator counts as stuck.
    random, rate, odd
        The registers of `golden.cycles.stalls`: edges in order, output, gaps, taker.
    logits
        int64: filled with the cycle in which each logit leaves.
    result
        Filled with the cycle in which the first beat was taken, cycles in all, and 1 if stuck.
    """
    start, counted, patience = times
    edges, cores = len(state.edges), len(state.cores)
    held = np.zeros(len(random), np.uint8)
    output_held = False
    sent = left = cycle = quiet = 0
    result[0] = -1
    if start == 0:
        state.offers[0] = beats[0]
        sent = 1
    while quiet < patience:
        if cycle == counted:
            for k in range(cores):
                _clear_counters(state.cores[k])
        _offer(state, held)
        moved = False
        for k in range(cores):
            moved |= join(state, t, k, cycle)
        moved |= _accept(state)
        # The output's throttle, and who takes logits.
        offered = state.offers[cores] != NONE and (not held[edges] or output_held)
        given = offered and not held[edges + 2]
        output_held = offered and not given
        if given:
            logits[left] = cycle
            left += 1
        state.blocked[cores] = not given
        taken = state.offers[0] != NONE and not state.blocked[0]
        if taken and result[0] < 0:
            result[0] = cycle
        moved |= taken or given
        for k in range(cores):
            leaves = state.offers[k + 1] != NONE and not state.blocked[k + 1]
            state.cores[k].events_out += leaves and state.offers[k + 1] != TOKEN
            moved |= step(state, t, k, cycle, leaves)
        if taken or state.offers[0] == NONE:
            state.offers[0] = NONE
            if sent < len(beats) and cycle >= start - 1 and not held[edges + 1]:
                state.offers[0] = beats[sent]
                sent += 1
        if rate:
            draw(random, held, rate, odd)
        cycle += 1
        quiet = 0 if moved else quiet + 1
        if left == len(logits) and _at_rest(state, t):
            break
    result[1], result[2] = cycle, quiet >= patience


@part
def _clear_counters(core: Any) -> None:
    core.busy = core.waiting = core.stalled = core.sweep = core.idle = 0
    core.events_in = core.events_out = core.synops = 0


@part
def _offer(state: CycleState, held: Array) -> None:
    """What every core sees at its inputs."""
    for e in range(len(state.edges)):
        edge: Any = state.edges[e]
        edge.source_beat = NONE if edge.served else state.offers[edge.sender]
        head = edge.source_beat
        if edge.depth:
            head = NONE
            if edge.initial_token:
                head = TOKEN
            elif edge.beat_valid:
                head = state.edge_queues[edge.first_slot + edge.beats_read % edge.depth]
        edge.head = NONE if held[e] and not edge.passed_throttle else head


@part
def _accept(state: CycleState) -> bool:
    """Throttles, delays and forks, given every core's `ready`; true if a delay takes a beat."""
    moved = False
    for s in range(len(state.blocked)):
        state.blocked[s] = 0
    for e in range(len(state.edges)):
        edge: Any = state.edges[e]
        taken = edge.head != NONE and edge.ready
        edge.passed_throttle = edge.head != NONE and not taken
        if edge.depth:
            taken = _delay(state, edge, taken)
            moved |= taken
        if edge.source_beat != NONE and taken:
            edge.served = 1
        if not edge.served:
            state.blocked[edge.sender] = 1
    for e in range(len(state.edges)):
        edge = state.edges[e]
        if not state.blocked[edge.sender]:
            edge.served = 0
    return moved


@part
def _delay(state: CycleState, edge: Any, leaves: bool) -> bool:
    """A delayed edge's FIFO; true if it accepts the beat of its source."""
    waiting = edge.beats_written - edge.beats_read - edge.beat_valid
    accepts = edge.source_beat != NONE and waiting < edge.depth - 1
    reads = leaves and not edge.initial_token
    if leaves:
        edge.initial_token = 0
    edge.beat_valid = waiting > 0 or (edge.beat_valid and not reads)
    edge.beats_read += reads
    if accepts:
        if edge.source_beat == TOKEN or edge.source_step < edge.passes - 1:
            state.edge_queues[edge.first_slot + edge.beats_written % edge.depth] = edge.source_beat
            edge.beats_written += 1
        if edge.source_beat == TOKEN:
            edge.source_step = (edge.source_step + 1) % edge.passes
    return accepts


@part
def _at_rest(state: CycleState, t: Latencies) -> bool:
    """Every core waits for a beat, and none is under way."""
    for k in range(len(state.cores)):
        core: Any = state.cores[k]
        if core.sweeps_done < core.sweeps_due or core.phase != ACCUMULATE:
            return False
        if core.vector_credits < t.vectors or core.active or state.offers[k + 1] != NONE:
            return False
    return True
