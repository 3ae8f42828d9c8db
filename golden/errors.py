"""The errors that a user meets: one clear line each, and the exit code that the command line gives.

Every message names what is wrong, where, the value, and what would be right.
"""

from __future__ import annotations


class SpikewrightError(Exception):
    """Anything that ends a command with one line on stderr instead of a traceback."""

    exit_code = 2


class BadInput(SpikewrightError):
    """A file, recipe, option or network that cannot be accepted. Exit code 2."""

    exit_code = 2


class CheckFailed(SpikewrightError):
    """Two links of the chain of equality differ, or another check found a fault. Exit code 1."""

    exit_code = 1


class ToolMissing(SpikewrightError):
    """A simulator or another program is not installed. Exit code 3."""

    exit_code = 3


def require(condition: bool, where: str, field: str, value: object, expected: str) -> None:
    """Raise `BadInput` with location, field, value and remedy unless `condition` holds.

    >>> require(False, "node 'a'", "threshold", 0, "at least 1")
    Traceback (most recent call last):
        ...
    spikewright.golden.errors.BadInput: node 'a': threshold is 0, must be at least 1
    """
    if not condition:
        raise BadInput(f"{where}: {field} is {value}, must be {expected}")
