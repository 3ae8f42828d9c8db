"""Credits: how many things may be under way, and when the next place is free.

A counter starts with some credits; each thing takes one, and gives it back in one of two ways,
early (it came to nothing) or late (it went on). Each way alone gives credits back in the order of
time, so the earliest unused one is the smaller of two heads. A credit counts in the cycle after it
came back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.jit import inlined

EARLY, LATE = 0, 1
"""The ways in which a credit comes back."""

MOST = 64
"""More credits than any counter may have; a power of two."""

CREDITS = np.dtype(
    [("back", np.int64, (2, MOST)), ("given", np.int64, (2,)), ("used", np.int64, (2,))]
)
"""A counter, as a record: `back` are cycles by way, `given` and `used` count them."""

_FAR = 1 << 62


def fill(counters: Any, each: int) -> None:
    """Give every counter of an array of `CREDITS` its `each` credits, at most `MOST`."""
    assert 0 < each <= MOST
    counters["back"][:, EARLY] = -1  # as if they had come back before the first cycle
    counters["given"][:, EARLY] = each


@inlined
def give(credits: Any, way: int, cycle: int) -> None:
    """A credit comes back in `cycle`; in each way never before an earlier one."""
    place = credits.given[way]
    credits.back[way, place & (MOST - 1)] = cycle
    credits.given[way] = place + 1


@inlined
def take(credits: Any) -> int:
    """Use the earliest credit; the first cycle in which that is possible."""
    early, late = credits.used[EARLY], credits.used[LATE]
    first = second = _FAR
    if early < credits.given[EARLY]:
        first = credits.back[EARLY, early & (MOST - 1)]
    if late < credits.given[LATE]:
        second = credits.back[LATE, late & (MOST - 1)]
    if first <= second:
        credits.used[EARLY] = early + 1
        return first + 1
    credits.used[LATE] = late + 1
    return second + 1
