"""The hardware's counters by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.counters import STRIDE, Counters

READ_LAG = 2
"""Cycles until `count_value` shows an increment: one register before the adder, one behind."""


def from_values(nodes: Sequence[str], values: Sequence[int]) -> tuple[Counters, ...]:
    """Counters of every core from the registers 0, 1, 2, ... as they were read."""
    rows = [values[start : start + STRIDE] for start in range(0, len(values), STRIDE)]
    return tuple(Counters(node, *row) for node, row in zip(nodes, rows, strict=True))


def check_cycles(counters: Sequence[Counters], cycles: Sequence[int]) -> None:
    """Core i must have put every one of `cycles[i]` cycles into exactly one class.

    Raises
    ------
    CheckFailed
        If a core's classes do not sum to it.
    """
    for core, passed in zip(counters, cycles, strict=True):
        if core.cycles != passed:
            raise CheckFailed(
                f"core {core.node!r}: cycle counters sum to {core.cycles}, {passed} cycles passed"
            )


def check_work(
    counters: Sequence[Counters],
    synops: Mapping[str, int],
    events_in: Mapping[str, int],
    events_out: Mapping[str, int],
) -> None:
    """The counted work must equal golden's exact counts, per node.

    Raises
    ------
    CheckFailed
        With the first core and counter that differs.
    """
    for core in counters:
        for name, expected in (
            ("synops", synops),
            ("events_in", events_in),
            ("events_out", events_out),
        ):
            found = getattr(core, name)
            if core.node in expected and found != expected[core.node]:
                raise CheckFailed(
                    f"core {core.node!r}: counter {name} is {found}, "
                    f"golden counts {expected[core.node]}"
                )
