"""The registers of the clocked cycle model: cores, their lanes, and the edges between them.

Nothing here holds a value of the network: an event is an address, a row is its length, a vector is
the number of its spikes. An event's address is its place in its sender's order: for the input the
flat index of the neuron, for a core place * columns + column, by its place in the sweep's order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.image.counters import COUNTERS
from spikewright.golden.image.timing import Latencies
from spikewright.golden.jit import source_field

Array = NDArray[Any]

TOKEN, NONE = -1, -2
"""In place of an address, a request or a length: the end of a step; nothing."""

CLEAR, ACCUMULATE, SWEEP, TURN, SETTLE = range(5)
"""States of the sweep controller."""

FAR = 1 << 62
"""No cycle."""

RING = 64
"""Places of every ring of a core: a power of two, more than any queue or pipeline holds."""

_CORE = (
    "lanes", "lane_at", "edges", "edge_at", "visits", "words", "length_at", "event_at", "frame_at",
    "visit_at", "decode", "most", "result", "framed", "tokens", "steps", "due", "turn",
    "logits",
    "rooms", "waits", "written", "stirred", "fresh", "downward", "opening", "step", "opened",
    "state", "visit", "sweeps", "pause", "complete",
    "credits", "back", "counted", "sent", "queued", "taken", "shown",
    "active", "left", "end",
)  # fmt: skip

COMPILED = (
    "cycles/clock.py",
    "cycles/core_step.py",
    "cycles/stalls.py",
    "cycles/state.py",
    "jit.py",
)
"""The files of `golden` whose code is compiled into the entry, `golden.cycles.clock.run`."""

CORE = np.dtype(
    [(name, np.int64) for name in (*_CORE, *COUNTERS)]
    + [source_field(*(str(Path(__file__).parents[1] / name) for name in COMPILED))]
)
"""A core, as a record: its plan, then its registers.

Plan: `lanes` from row `lane_at` of the lanes on, `edges` from row `edge_at` on; `visits` of a
sweep, `words` visited; its lengths, events, frames and visits begin at `length_at`, `event_at`,
`frame_at`, `visit_at`; `decode`, `most` and `result` as in `Latencies`; `framed`: all edges direct;
`tokens` and `steps` (passes) per inference; `turn`: cycles before the same words are visited again
at once; `logits`: sends them, and no tokens.

Registers: `rooms`, `waits` are the last cycles' answers of all lanes, the newest lowest; `written`
requests; `stirred`: lanes must look. `fresh`, `downward`, `step`: the join's; `opened`: open
inferences.
`state`, `visit`, `pause`, `complete`: the sweep controller's; `sweeps` since reset, `due` in all.
`credits` for vectors, of which `back` return in the next cycle; `counted` events have got into
vectors, `sent` have left; `queued` vectors written, `taken` read, `shown` if one is at the queue's
output. `active`, `left`, `end`: the vector at hand.
"""

LANE = np.dtype([
    (name, np.int64)
    for name in ("read", "shown", "credits", "back", "asked", "queued", "taken", "found", "until",
                 "waiting", "wake")
])  # fmt: skip
"""A lane, as a record.

`read` requests, `shown` if one is at the queue's output; `credits` for descriptors, of which `back`
return in the next cycle; `asked` under way in the pointer memory; `queued` descriptors, `taken` of
them, `found` if one is at the output; the walker reads entries before cycle `until`; `waiting` at
the token. Before cycle `wake` nothing changes, unless the lane is stirred.
"""

EDGE = np.dtype([
    (name, np.int64)
    for name in ("sender", "steps", "depth", "queue_at", "row_at", "seldom", "given", "head",
                 "ready", "done", "offered", "first", "step", "queued", "taken", "shown")
])  # fmt: skip
"""An edge, as a record.

Plan: `sender`; `depth` of its queue, whose places begin at `queue_at`, or 0; a delayed edge's queue
drops the events of the last of `steps`, another's has no last (`FAR`); its rows begin at `row_at`;
`seldom`: direct, into a core that has others. Wires: the sender has `given`, the core sees `head`,
and is `ready`. Registers: `done`: this branch of the fork has been served; `offered`: the throttle
has shown the beat; `first`: a delay's first token waits (as the plan says); `step` of its sender;
`queued`, `taken`, `shown` as above.
"""


class Machine(NamedTuple):
    """A whole accelerator: tables, then registers.

    Attributes
    ----------
    row, reach
        By edge and address of the sender: the row that an event walks in every lane, -1 if the
        decoder drops it; the weights that it adds.
    lengths
        By core, row and lane: entries.
    events, frames
        By core: the addresses that its sweeps send, one frame behind the other; where each ends.
    bounds
        By core and visit of a pass: all its events before this address have got into vectors then.
    offers
        By sender, the input first: the beat that it offers.
    requests, decoding, vectors, flight
        (cores, `RING`): rings of a core's requests, decoder, vector queue and sweep pipeline.
    pipes, rows
        (lanes, `RING`): rings of a lane's pointer memory and descriptor queue.
    queues
        The places of all edges' queues.
    """

    row: Array
    reach: Array
    lengths: Array
    events: Array
    frames: Array
    bounds: Array
    cores: Array
    lanes: Array
    edges: Array
    offers: Array
    blocked: Array
    requests: Array
    decoding: Array
    vectors: Array
    flight: Array
    pipes: Array
    rows: Array
    queues: Array


def power_up(cores: Array, edges: Array, t: Latencies) -> dict[str, Array]:
    """Put cores and edges, whose plans are filled, into the state after reset; all the rest."""
    count, lanes = len(cores), np.zeros(cores["lanes"].sum(), LANE)
    cores["fresh"], cores["state"], cores["credits"] = 1, CLEAR, t.vectors
    lanes["credits"], lanes["waiting"] = t.descriptors, 1
    return {
        "lanes": lanes,
        "offers": np.full(count + 1, NONE, np.int64),
        "blocked": np.zeros(count + 1, np.int64),
        "requests": np.zeros((count, RING), np.int64),
        "decoding": np.full((count, RING), NONE, np.int64),
        "vectors": np.zeros((count, RING), np.int64),
        "flight": np.full((count, RING), NONE, np.int64),
        "pipes": np.full((len(lanes), RING), NONE, np.int64),
        "rows": np.zeros((len(lanes), RING), np.int64),
        "queues": np.zeros(max(int(edges["depth"].sum()), 1), np.int64),
    }
