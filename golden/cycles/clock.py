"""The clock of the cycle model: streams, forks, delays and throttles around the cores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.cycles.core_step import join, step
from spikewright.golden.cycles.stalls import draw
from spikewright.golden.cycles.state import ACCUMULATE, NONE, TOKEN, Machine
from spikewright.golden.image.timing import Latencies
from spikewright.golden.jit import entry, part

Array = NDArray[Any]


@entry
def run(
    m: Machine, t: Latencies, beats: Array, times: tuple[int, int, int], random: Array,
    rate: int, odd: int, logits: Array, result: Array,
) -> None:  # fmt: skip
    """Clock the machine, which is changed, from reset until everything has come to rest.

    Parameters
    ----------
    beats
        What the source sends: addresses and tokens.
    times
        The cycle from which on the first beat is offered, the first that is counted, and after how
        many cycles without any work the machine counts as stuck.
    random, rate, odd
        The registers of `golden.cycles.stalls`: edges in order, output, gaps, taker.
    logits
        int64: filled with the cycle in which each logit leaves.
    result
        Filled with the cycle in which the first beat was taken, cycles in all, and 1 if stuck.
    """
    start, counted, patience = times
    edges, cores = len(m.edges), len(m.cores)
    held = np.zeros(len(random), np.uint8)
    output_held = False
    sent = left = cycle = quiet = 0
    result[0] = -1
    if start == 0:
        m.offers[0] = beats[0]
        sent = 1
    while quiet < patience:
        if cycle == counted:
            for k in range(cores):
                _forget(m.cores[k])
        _offer(m, held)
        moved = False
        for k in range(cores):
            moved |= join(m, t, k, cycle)
        moved |= _accept(m)
        # The output's throttle, and who takes logits.
        offered = m.offers[cores] != NONE and (not held[edges] or output_held)
        given = offered and not held[edges + 2]
        output_held = offered and not given
        if given:
            logits[left] = cycle
            left += 1
        m.blocked[cores] = not given
        taken = m.offers[0] != NONE and not m.blocked[0]
        if taken and result[0] < 0:
            result[0] = cycle
        moved |= taken or given
        for k in range(cores):
            leaves = m.offers[k + 1] != NONE and not m.blocked[k + 1]
            m.cores[k].events_out += leaves and m.offers[k + 1] != TOKEN
            moved |= step(m, t, k, cycle, leaves)
        if taken or m.offers[0] == NONE:
            m.offers[0] = NONE
            if sent < len(beats) and cycle >= start - 1 and not held[edges + 1]:
                m.offers[0] = beats[sent]
                sent += 1
        if rate:
            draw(random, held, rate, odd)
        cycle += 1
        quiet = 0 if moved else quiet + 1
        if left == len(logits) and _rests(m, t):
            break
    result[1], result[2] = cycle, quiet >= patience


@part
def _forget(core: Any) -> None:
    core.busy = core.waiting = core.stalled = core.sweep = core.idle = 0
    core.events_in = core.events_out = core.synops = 0


@part
def _offer(m: Machine, held: Array) -> None:
    """What every core sees at its inputs."""
    for e in range(len(m.edges)):
        edge: Any = m.edges[e]
        edge.given = NONE if edge.done else m.offers[edge.sender]
        head = edge.given
        if edge.depth:
            head = NONE
            if edge.first:
                head = TOKEN
            elif edge.shown:
                head = m.queues[edge.queue_at + edge.taken % edge.depth]
        edge.head = NONE if held[e] and not edge.offered else head


@part
def _accept(m: Machine) -> bool:
    """Throttles, delays and forks, when it is known who is ready; true if a delay takes a beat."""
    moved = False
    for s in range(len(m.blocked)):
        m.blocked[s] = 0
    for e in range(len(m.edges)):
        edge: Any = m.edges[e]
        taken = edge.head != NONE and edge.ready
        edge.offered = edge.head != NONE and not taken
        if edge.depth:
            taken = _delay(m, edge, taken)
            moved |= taken
        if edge.given != NONE and taken:
            edge.done = 1
        if not edge.done:
            m.blocked[edge.sender] = 1
    for e in range(len(m.edges)):
        edge = m.edges[e]
        if not m.blocked[edge.sender]:
            edge.done = 0
    return moved


@part
def _delay(m: Machine, edge: Any, leaves: bool) -> bool:
    """A delayed edge's queue; true if it accepts what it is given."""
    more = edge.queued - edge.taken > edge.shown
    accepts = edge.given != NONE and edge.queued - edge.taken - edge.shown < edge.depth - 1
    reads = leaves and not edge.first
    if leaves:
        edge.first = 0
    edge.shown = more or (edge.shown and not reads)
    edge.taken += reads
    if accepts:
        if edge.given == TOKEN or edge.step < edge.steps - 1:
            m.queues[edge.queue_at + edge.queued % edge.depth] = edge.given
            edge.queued += 1
        if edge.given == TOKEN:
            edge.step = (edge.step + 1) % edge.steps
    return accepts


@part
def _rests(m: Machine, t: Latencies) -> bool:
    """Every core waits for a beat, and none is on its way."""
    for k in range(len(m.cores)):
        core: Any = m.cores[k]
        if core.sweeps < core.due or core.state != ACCUMULATE or core.credits < t.vectors:
            return False
        if core.active or m.offers[k + 1] != NONE:
            return False
    return True
