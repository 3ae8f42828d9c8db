"""Reads the hardware's counter registers, and checks them against cycles and golden's counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.counters import STRIDE, Counters

READ_LAG = 2
"""Cycles until `count_value` shows an increment: one register before the adder, one after it."""


def from_values(nodes: Sequence[str], values: Sequence[int]) -> tuple[Counters, ...]:
    """The counters of every core from the `values` of registers 0, 1, 2, ..."""
    rows = [values[start : start + STRIDE] for start in range(0, len(values), STRIDE)]
    return tuple(Counters(node, *row) for node, row in zip(nodes, rows, strict=True))


def check_cycles(counters: Sequence[Counters], cycles: Sequence[int]) -> None:
    """Checks that core i counted each of `cycles[i]` cycles in exactly one cycle class.

    Raises
    ------
    CheckFailed
        If the cycle counters of a core have another sum.
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
    """Checks that the counted work of every node equals golden's exact counts.

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
            counted = getattr(core, name)
            if core.node in expected and counted != expected[core.node]:
                raise CheckFailed(
                    f"core {core.node!r}: counter {name} is {counted}, "
                    f"golden counts {expected[core.node]}"
                )
