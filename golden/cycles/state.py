"""The registers of the clocked cycle model: cores, their lanes, and the edges between them.

Nothing here holds a value of the network: an event is an address, a row is its length, a vector is
the number of its spikes. An event's address is its index in its sender's order: for the input the
flat index of the neuron, for a core (index of its word in the sweep) * columns + column.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikewright.golden.arrays import Array
from spikewright.golden.image.counters import COUNTERS
from spikewright.golden.image.timing import Latencies
from spikewright.golden.jit import source_field

TOKEN, NONE = -1, -2
"""Special values of addresses, requests and lengths: the end of a step; nothing."""

CLEAR, ACCUMULATE, SWEEP, TURN, SETTLE = range(5)
"""Phases of the sweep controller."""

FAR = 1 << 62
"""No cycle."""

RING = 64
"""Slots of every ring of a core: a power of two, more than any queue or pipeline holds."""

_CORE_PLAN = (
    "lanes", "first_lane", "edges", "first_edge", "visits", "words",
    "first_length", "first_event", "first_frame", "first_visit",
    "decode", "ready_level", "result", "frame_only", "tokens_per_inference",
    "passes_per_inference", "sweeps_due", "turn_pause", "is_readout",
)  # fmt: skip

_CORE_REGISTERS = (
    "room_history", "waiting_history", "requests_written", "wake_lanes",
    "new_inference", "reverse_priority", "opens_inference", "step", "open_inferences",
    "phase", "visit", "sweeps_done", "pause_cycles", "inference_complete",
    "vector_credits", "credits_returning", "events_counted", "events_sent",
    "vectors_written", "vectors_read", "vector_valid", "active", "events_left", "ends_step",
)  # fmt: skip

COMPILED = (
    "cycles/clock.py",
    "cycles/core_step.py",
    "cycles/stalls.py",
    "cycles/state.py",
    "jit.py",
)
"""The files of `golden` whose code is compiled into the entry, `golden.cycles.clock.run_clock`."""

CORE = np.dtype(
    [(name, np.int64) for name in (*_CORE_PLAN, *_CORE_REGISTERS, *COUNTERS)]
    + [source_field(*(str(Path(__file__).parents[1] / name) for name in COMPILED))]
)
"""A core, as a record: its plan, then its registers.

Plan: `lanes` from row `first_lane` of the lanes on, `edges` from row `first_edge` on; `visits` per
sweep, `words` visited; its row lengths, events, frames and visits begin at `first_length`,
`first_event`, `first_frame`, `first_visit`; `decode`, `ready_level` and `result` as in `Latencies`;
`frame_only`: all edges are direct; tokens and passes per inference; `sweeps_due` in the whole run;
`turn_pause`: cycles before a sweep may visit the same words again; `is_readout`: sends logits and
no tokens.

Registers of the input side: `room_history` and `waiting_history` hold "all lanes have room" and
"all lanes wait" of the last cycles, the newest in the lowest bit; `requests_written` into the
lanes' queues; `wake_lanes`: a request has come, so every lane is evaluated. Of the join:
`new_inference`: the next beat opens an inference, `opens_inference`: this cycle's does;
`reverse_priority`: the highest edge goes first; `step` of the inference; `open_inferences`.

Registers of the sweep: `phase`, `visit`, `sweeps_done` since reset, `pause_cycles` spent,
`inference_complete`; `vector_credits`, of which `credits_returning` arrive in the next cycle;
`events_counted` have got into vectors. Of the serialiser: `events_sent`; `vectors_written` and
`vectors_read`, `vector_valid` if one is at the queue's output; the current vector is `active`, has
`events_left`, and `ends_step` with a token.
"""

LANE = np.dtype([
    (name, np.int64)
    for name in ("requests_read", "request_valid", "descriptor_credits", "credits_returning",
                 "lookups_pending", "descriptors_written", "descriptors_read", "descriptor_valid",
                 "busy_until", "waiting", "wake_cycle")
])  # fmt: skip
"""A lane, as a record.

`request_valid` and `descriptor_valid`: one is at its queue's output. `descriptor_credits`, of which
`credits_returning` arrive in the next cycle; `lookups_pending` in the pointer memory; the walker
reads entries before cycle `busy_until`; `waiting` at the token. Before cycle `wake_cycle` nothing
changes unless the core wakes its lanes.
"""

EDGE = np.dtype([
    (name, np.int64)
    for name in ("sender", "passes", "depth", "first_slot", "first_row", "first_step_only",
                 "source_beat", "head", "ready", "served", "passed_throttle", "initial_token",
                 "source_step", "beats_written", "beats_read", "beat_valid")
])  # fmt: skip
"""An edge, as a record.

Plan: `sender`; `depth` of its FIFO, whose slots begin at `first_slot`, or 0; a delayed edge's FIFO
drops the events of the last of `passes`, another's has no last (`FAR`); its rows begin at
`first_row`; `first_step_only`: direct, into a core with other edges. Wires: `source_beat` from the
sender, `head` at the core, which is `ready`. Registers: `served`: this branch of the fork has taken
the beat; `passed_throttle`: the throttle has offered the beat and may not withdraw it;
`initial_token`: a delay's first token waits (its start value is part of the plan); `source_step`;
`beats_written`, `beats_read`, `beat_valid` of the FIFO.
"""


class CycleState(NamedTuple):
    """All tables and registers of an accelerator in the cycle model.

    Attributes
    ----------
    rows, synops
        By edge and address of the sender: the row that an event walks in every lane, -1 if the
        decoder drops it; the weights that it adds.
    row_lengths
        By core, row and lane: entries.
    events, frame_ends
        By core: the addresses that its sweeps send, frame after frame; where each frame ends.
    visit_bounds
        By core and visit of a pass: all its events below this address are in vectors by then.
    cores, lanes, edges
        Records of `CORE`, `LANE` and `EDGE`.
    offers, blocked
        By sender, the input first: the beat that it offers; 1 if a consumer is not ready for it.
    request_queues, decoders, vector_queues, sweep_pipelines
        (cores, `RING`): rings.
    pointer_pipelines, descriptor_queues
        (lanes, `RING`): rings.
    edge_queues
        The slots of all edges' FIFOs.
    """

    rows: Array
    synops: Array
    row_lengths: Array
    events: Array
    frame_ends: Array
    visit_bounds: Array
    cores: Array
    lanes: Array
    edges: Array
    offers: Array
    blocked: Array
    request_queues: Array
    decoders: Array
    vector_queues: Array
    sweep_pipelines: Array
    pointer_pipelines: Array
    descriptor_queues: Array
    edge_queues: Array


def power_up(cores: Array, edges: Array, t: Latencies) -> dict[str, Array]:
    """Reset cores and edges, whose plans are filled, and return all other registers."""
    count, lanes = len(cores), np.zeros(cores["lanes"].sum(), LANE)
    cores["new_inference"], cores["phase"], cores["vector_credits"] = 1, CLEAR, t.vectors
    lanes["descriptor_credits"], lanes["waiting"] = t.descriptors, 1
    return {
        "lanes": lanes,
        "offers": np.full(count + 1, NONE, np.int64),
        "blocked": np.zeros(count + 1, np.int64),
        "request_queues": np.zeros((count, RING), np.int64),
        "decoders": np.full((count, RING), NONE, np.int64),
        "vector_queues": np.zeros((count, RING), np.int64),
        "sweep_pipelines": np.full((count, RING), NONE, np.int64),
        "pointer_pipelines": np.full((len(lanes), RING), NONE, np.int64),
        "descriptor_queues": np.zeros((len(lanes), RING), np.int64),
        "edge_queues": np.zeros(max(int(edges["depth"].sum()), 1), np.int64),
    }
