"""Every latency of a core, in cycles: the one source for the components and the cycle model.

A weight entry travels from the walker (its address is presented) to the membrane memory in `WALK`
cycles; a word that enters the membrane pipeline is read, summed and, in a sweep, written back.
"""

from __future__ import annotations

from typing import NamedTuple

DECODE = 2
"""Event accepted -> its request is written into the lanes' queues, in a core with one edge."""

FIFO = 2
"""Written into an empty queue -> can be read (`amaranth.lib.fifo.SyncFIFOBuffered`)."""

POINTER = 2
"""Request read from a lane's queue -> its descriptor is written, or its credit returns."""

ROOM = 3
"""A lane's queue has a level -> the core's `ready` follows: registers in lane, core, decoder."""

WALK = 4
"""Entry address presented -> membrane address presented, where entries are absolute."""

SUM = 4
"""Membrane address presented -> the sum is in a register and is written (accumulation)."""

RESULT = SUM + 4
"""Membrane address presented -> membrane and spike of a swept neuron are known."""

SWEEP = SUM + 6
"""Membrane address presented -> the word of a swept neuron is written."""

SETTLE = 2
"""Release of the lanes -> `waiting` is valid for the next step."""

SWEEP_START = 3
"""The last lane takes the token -> the sweep's first address."""

RELEASE = SWEEP - 1
"""A sweep's last address -> release of the lanes."""

TURN = SWEEP + 1
"""A word is visited -> it may be visited again: consecutive sweeps are at least as far apart."""

QUEUE_DEPTH = 17
"""Requests that a lane's queue holds (16 and the output register); 8 or more for throughput."""

DESCRIPTORS = 9
"""Row descriptors fetched ahead (8 and the output register), so that short rows cost no bubble."""

IN_FLIGHT = 63
"""At least this many inferences may be open in a core at once: each is a token in its queues."""

VECTORS = 33
"""Spike vectors between sweep and serialiser: more than the sweep's pipeline holds."""


def walk(relative: bool) -> int:
    """Entry address presented -> membrane address presented; relative entries take one more.

    >>> walk(False), walk(True)
    (4, 5)
    """
    return WALK + relative


def decode(edges: int) -> int:
    """Event accepted -> its request is written into the queues of a core with so many edges.

    >>> decode(1), decode(2), decode(5)
    (2, 3, 3)
    """
    return DECODE + (edges > 1)


def slack(edges: int) -> int:
    """Requests that still come from the decoder after a lane's queue has reported no room."""
    return decode(edges) + ROOM - 1


def ready_level(edges: int) -> int:
    """The level of a lane's queue up to which it reports room: all requests under way still fit."""
    return QUEUE_DEPTH - slack(edges) - 2


READY_LEVEL = ready_level(1)
"""The same of a core with one edge."""

JOIN = decode(2) - decode(1)
"""Additional cycles of decoding with several edges."""

RELATIVE = walk(True) - walk(False)
"""Additional cycles from the walker to the membranes with relative entries."""


def block(words: int, steps: int) -> int:
    """How many words a sweep visits in one step before it visits the same ones in the next step.

    The smallest number, at least `TURN`, that leaves no remainder below `TURN`, since a visit needs
    the state that the previous visit of its word has written; all words where a pass is one step,
    or where there are too few.

    >>> block(100, 1), block(5, 4), block(16, 4), block(100, 4), block(33, 2)
    (100, 5, 16, 17, 11)
    """
    if steps == 1 or words < 2 * TURN:
        return words
    return next(n for n in range(TURN, words + 1) if words % n == 0 or words % n >= TURN)


class Latencies(NamedTuple):
    """The constants that the cycle model needs, as a plain tuple for compiled code.

    `decode` and `ready_level` (the level of a lane's queue up to which the core stays ready) are
    those of a core with one edge; with several edges, decoding takes `join` longer, and
    `ready_level` is lower by as much. `result`: a sweep's address -> the vector of its word;
    `relative` longer with relative entries. `pause`: cycles between a sweep's last address and the
    next state.
    """

    decode: int = DECODE
    join: int = JOIN
    pointer: int = POINTER
    room: int = ROOM
    ready_level: int = READY_LEVEL
    descriptors: int = DESCRIPTORS
    sweep_start: int = SWEEP_START
    result: int = WALK + RESULT
    relative: int = RELATIVE
    release: int = RELEASE
    pause: int = RELEASE + SETTLE - 1
    turn: int = TURN
    vectors: int = VECTORS
