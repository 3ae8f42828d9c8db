"""The errors that a user meets: one clear line each, and the exit code that the command line gives.

Every message names what is wrong, where, the value, and what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_MESSAGE = 480  # 500 with the name of the program before it
_MAX_WORD = 160
_MAX_VALUE = 100
_LONG_WORD = re.compile(rf"\S{{{_MAX_WORD + 1},}}")


class SpikewrightError(Exception):
    """Anything that ends a command with one line on stderr instead of a traceback."""

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


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
        plain = isinstance(value, int | list | tuple | Mapping)
        shown = show(value) if plain else value  # pyright: ignore[reportUnknownArgumentType]
        raise BadInput(f"{where}: {field} is {shown}, must be {expected}")


def one_line(text: str) -> str:
    r"""A message as it is shown: one line of printable characters, never longer than allowed.

    What is too long loses its middle: first every word, as a path or a key may be, then the whole,
    since a message begins with the place and ends with the remedy.

    >>> one_line("a\x1b[1m.toml:\nkey is bad")
    'a\\x1b[1m.toml:\\nkey is bad'
    """
    visible = printable(shortened(text, 20 * MAX_MESSAGE))
    words = _LONG_WORD.sub(lambda word: shortened(word[0], _MAX_WORD), visible)
    return shortened(words, MAX_MESSAGE)


def printable(text: str) -> str:
    r"""`text` with everything escaped that a terminal would obey or cannot show.

    >>> printable("\udcff\t\u202eü")  # a byte that is not UTF-8, as file names may have
    '\\xff\\t\\u202eü'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def shortened(text: str, most: int) -> str:
    """`text`, or its two ends where it is longer than `most` characters.

    >>> shortened("abcdefghijklmnop", 11)
    'abcd...mnop'
    """
    if len(text) <= most:
        return text
    head = (most - 3 + 1) // 2
    return f"{text[:head]}...{text[len(text) - (most - 3 - head) :]}"


def show(value: object) -> str:
    """A value as messages show it: as it was given, without its middle where it is long.

    >>> show("x" * 1000) == "'" + "x" * 48 + "..." + "x" * 48 + "'"
    True
    >>> show(10**5000), show(list(range(1000)))
    ('a number of about 5000 digits', '[0, 1, 2, 3, ..., 996, 997, 998, 999]')
    """
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a number of about {round(value.bit_length() * 0.30103)} digits"
    if isinstance(value, str):
        return shortened(ascii(shortened(value, 2 * _MAX_VALUE)), _MAX_VALUE + 1)
    if isinstance(value, list | tuple) and len(value) > 16:  # pyright: ignore[reportUnknownArgumentType]
        first, last = show(list(value[:4])), show(list(value[-4:]))  # pyright: ignore[reportUnknownArgumentType]
        return f"{first[:-1]}, ..., {last[1:]}"
    if isinstance(value, Mapping) and len(value) > 16:  # pyright: ignore[reportUnknownArgumentType]
        return f"a table of {len(value)} keys"  # pyright: ignore[reportUnknownArgumentType]
    try:
        return shortened(ascii(value), _MAX_VALUE)  # pyright: ignore[reportUnknownArgumentType]
    except (RecursionError, ValueError):  # nested without end; a number of thousands of digits
        return f"a {type(value).__name__}"  # pyright: ignore[reportUnknownArgumentType]
