"""What a core's accumulating cycles are spent on: busy, waiting or idle.

Busy: at least one lane reads an entry. Of the gaps between, those inside an inference are waiting,
the others idle. An inference is open from the cycle after its first beat is accepted; a beat that
was accepted before the last one's end opens it then only if its row, or token, waits at lane 0.
Whether a gap is inside may depend on a beat that the model meets later; then the gap is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.counters import COUNTERS
from golden.jit import inlined, inner

Array = NDArray[Any]

_OTHERS = ("done", "opened", "at", "spans", "gaps", "held")

LEDGER = np.dtype([(name, np.int64) for name in (*COUNTERS, *_OTHERS)])
"""One core's ledger, as a record.

`done`: the end of the last inference. `opened`: the first cycle inside the next one, or far away
while unknown. In the book's arrays: the busy spans of this step, in order and apart, `spans` of
them from row `at` on, as (first cycle, cycle behind the last); the gaps held, `held` of them from
row `gaps` on, as (`done`, first, behind).
"""

_FAR = 1 << 62
_HELD = 64  # gaps per lane that may be held: more than requests fit between `ready` and a lane


def open_books(ledgers: Any, most_spans: Array, lanes: Array) -> tuple[Array, Array]:
    """Ledgers at reset, and room for their spans (., 2) and gaps (., 3); arguments by core."""
    ledgers["done"], ledgers["opened"] = -1, _FAR
    most_gaps = _HELD * (lanes + 1)
    for name, most in (("at", most_spans), ("gaps", most_gaps)):
        ledgers[name] = np.cumsum(most) - most
    # Pages of `empty` that are never written cost nothing.
    return np.empty((most_spans.sum(), 2), np.int64), np.empty((most_gaps.sum(), 3), np.int64)


@inlined
def read(ledger: Any, spans: Array, begin: int, end: int) -> None:
    """A lane reads entries from `begin` until before `end`: one more busy span, or a longer one."""
    at, top = ledger.at, ledger.at + ledger.spans
    behind = top
    while behind > at and spans[behind - 1, 0] > end:
        behind -= 1
    before = behind
    while before > at and spans[before - 1, 1] >= begin:
        before -= 1
        begin = min(begin, spans[before, 0])
        end = max(end, spans[before, 1])
    grows = before + 1 - behind  # 1 if it touches none, below 0 if it bridges some
    if grows > 0:
        for place in range(top, before, -1):
            spans[place] = spans[place - 1]
    elif grows < 0:
        for place in range(behind, top):
            spans[place + grows] = spans[place]
    ledger.spans += grows
    spans[before, 0], spans[before, 1] = begin, end


@inlined
def accept(ledger: Any, gaps: Array, cycle: int) -> None:
    """A beat is accepted, the next after all that the ledger has heard of."""
    if ledger.opened == _FAR and cycle >= ledger.done:
        ledger.opened = cycle + 1
    if ledger.held:
        _settle(ledger, gaps, cycle)


@inner
def _settle(ledger: Any, gaps: Array, cycle: int) -> None:
    """Enter the held gaps whose inference the beat of `cycle` opens, as no earlier one did."""
    rest = ledger.gaps
    for place in range(ledger.gaps, ledger.gaps + ledger.held):
        if gaps[place, 0] <= cycle:
            _enter(ledger, gaps[place, 1], gaps[place, 2], cycle + 1)
        else:
            gaps[rest] = gaps[place]
            rest += 1
    ledger.held = rest - ledger.gaps


@inlined
def meet(ledger: Any, cycle: int) -> None:
    """Lane 0 has the next row, or token, at hand from `cycle` on."""
    if cycle <= ledger.done:
        ledger.opened = ledger.done + 1


@inner
def accumulate(ledger: Any, spans: Array, gaps: Array, begin: int, end: int) -> None:
    """The lanes walked from `begin` until before `end`: enter all cycles, forget the spans."""
    for place in range(ledger.at, ledger.at + ledger.spans):
        _gap(ledger, gaps, begin, spans[place, 0])
        begin = spans[place, 1]
        ledger.busy += begin - spans[place, 0]
    _gap(ledger, gaps, begin, end)
    ledger.spans = 0


@inner
def _gap(ledger: Any, gaps: Array, begin: int, end: int) -> None:
    if begin >= end:
        return
    if ledger.opened != _FAR:
        _enter(ledger, begin, end, ledger.opened)
        return
    place = ledger.gaps + ledger.held
    gaps[place, 0], gaps[place, 1], gaps[place, 2] = ledger.done, begin, end
    ledger.held += 1


@inner
def _enter(ledger: Any, begin: int, end: int, opened: int) -> None:
    idle = max(min(end, opened) - begin, 0)
    ledger.idle += idle
    ledger.waiting += end - begin - idle


@inner
def infer(ledger: Any, cycle: int) -> None:
    """An inference ends in `cycle`, the release of the lanes."""
    ledger.done, ledger.opened = cycle, _FAR


@inner
def close(ledger: Any, gaps: Array, begin: int, end: int) -> None:
    """No beat comes any more: nothing is inside from `begin`, the last release, until `end`."""
    _settle(ledger, gaps, _FAR - 1)
    ledger.idle += end - begin
