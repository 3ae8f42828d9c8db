"""Checking a TOML table against a frozen dataclass whose fields carry a rule each.

Every complaint is one line: file, key, value, what would be right.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from spikewright.golden.errors import BadInput, show

T = TypeVar("T")

MAX_TABLES = 256


@dataclass(frozen=True)
class Rule:
    """`convert` returns the value to keep, or raises ValueError; `expected` says what is right."""

    expected: str
    convert: Callable[[Any], Any]


def field(rule: Rule, default: Any = dataclasses.MISSING, quiet: bool = False) -> Any:
    """A dataclass field checked by `rule`; without a default the key must be present.

    A `quiet` one is left out by `plain` while it has its default: so keys that came later do not
    change the records of recipes that do not use them.
    """
    return dataclasses.field(default=default, metadata={"rule": rule, "quiet": quiet})


def _accept(condition: bool, value: Any) -> Any:
    if not condition:
        raise ValueError
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def integer(lowest: int, highest: int) -> Rule:
    """A whole number within lowest..highest; booleans are none."""
    return Rule(
        f"a whole number within {lowest}..{highest}",
        lambda value: _accept(_is_integer(value) and lowest <= value <= highest, value),
    )


def number(lowest: float, highest: float) -> Rule:
    """A number within lowest..highest, kept as float."""
    return Rule(
        f"a number within {lowest}..{highest}",
        lambda value: float(_accept(_is_number(value) and lowest <= value <= highest, value)),
    )


def choice(*options: str) -> Rule:
    """One of some words."""
    return Rule("one of " + ", ".join(options), lambda value: _accept(value in options, value))


def boolean() -> Rule:
    """A boolean."""
    return Rule("true or false", lambda value: _accept(isinstance(value, bool), value))


def word_or_boolean(*options: str) -> Rule:
    """True, false, or one of some words."""
    names = ", ".join(repr(option) for option in options)
    return Rule(
        f"true, false or {names}",
        lambda value: _accept(isinstance(value, bool) or value in options, value),
    )


def words(most: int) -> Rule:
    """A list of up to `most` strings, kept as a tuple."""

    def convert(value: Any) -> Any:
        fits = (
            isinstance(value, list | tuple)
            and len(value) <= most
            and all(isinstance(w, str) for w in value)
        )
        return tuple(_accept(fits, value))

    return Rule(f"a list of words, at most {most}", convert)


def word_or_number(lowest: float, highest: float, *options: str) -> Rule:
    """One of some words, or a number within lowest..highest."""

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            return _accept(value in options, value)
        return float(_accept(_is_number(value) and lowest <= value <= highest, value))

    return Rule(
        f"{', '.join(repr(o) for o in options)} or a number within {lowest}..{highest}", convert
    )


def integers(lowest: int, highest: int) -> Rule:
    """A whole number, or a list of them, kept as a tuple."""

    def convert(value: Any) -> Any:
        many = value if isinstance(value, list | tuple) else [value]
        return tuple(
            _accept(
                bool(many) and all(_is_integer(v) and lowest <= v <= highest for v in many), many
            )
        )

    return Rule(f"a whole number within {lowest}..{highest}, or a list of them", convert)


def numbers(lowest: float, highest: float) -> Rule:
    """A list of numbers, kept as a tuple of floats."""
    one = number(lowest, highest)

    def convert(value: Any) -> Any:
        many = _accept(isinstance(value, list | tuple) and len(value) > 0, value)
        return tuple(one.convert(part) for part in many)

    return Rule(f"a list of numbers within {lowest}..{highest}", convert)


def values(most: int = 1000) -> Rule:
    """A list of up to `most` different values that are checked elsewhere, kept as a tuple."""

    def convert(value: Any) -> Any:
        many = _accept(isinstance(value, list | tuple) and 0 < len(value) <= most, value)
        return tuple(_accept(all(many.count(part) == 1 for part in many), many))

    return Rule(f"a list of 1 to {most} different values", convert)


def text(pattern: str, is_right: Callable[[str], bool]) -> Rule:
    """A string for which `is_right` holds; `pattern` describes it."""
    return Rule(pattern, lambda value: _accept(isinstance(value, str) and is_right(value), value))


def optional(rule: Rule) -> Rule:
    """The same rule for a key that may be absent, which is None."""
    return Rule(rule.expected, lambda value: None if value is None else rule.convert(value))


def mapping() -> Rule:
    """A table that is checked elsewhere, kept as it is."""
    return Rule("a table", lambda value: dict(_accept(isinstance(value, Mapping), value)))


def read_table(kind: type[T], table: Mapping[str, Any], where: str, prefix: str = "") -> T:
    """Build dataclass `kind` from `table`; nested dataclasses come from sub-tables.

    Raises
    ------
    BadInput
        For an unknown or missing key, or a value that its rule refuses.
    """
    known = keys(kind)
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            words = f"unknown key {show(prefix + key)}, must be one of {', '.join(known)}{hint}"
            raise BadInput(f"{where}: {words}")
    values: dict[str, Any] = {}
    for name, entry in known.items():
        value = _read_key(entry, table, where, prefix, name)
        if value is not dataclasses.MISSING:
            values[name] = value
    for entry in dataclasses.fields(kind):  # type: ignore[arg-type] (T is a dataclass)
        if "open" in entry.metadata:
            own = entry.metadata["open"]()
            values[entry.name] = {
                name: values.pop(name, part.default) for name, part in own.items()
            }
    return kind(**values)


def keys(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """All keys of a table: the fields of its dataclass, an open one replaced by what it holds."""
    found: dict[str, dataclasses.Field[Any]] = {}
    for entry in dataclasses.fields(kind):
        more = entry.metadata["open"]() if "open" in entry.metadata else {entry.name: entry}
        for name in more.keys() & found.keys():
            raise BadInput(f"{kind.__name__}: key {name!r} is declared twice, must be once")
        found |= more
    return found


def _read_key(
    entry: dataclasses.Field[Any], table: Mapping[str, Any], where: str, prefix: str, name: str
) -> Any:
    """The checked value of one key; MISSING where the dataclass has a default for it."""
    nested = entry.metadata.get("table")
    if nested is not None and entry.metadata["many"]:
        return _tables(nested, table.get(name, []), where, prefix + name)
    if nested is not None:
        part = table.get(name, {})
        if not isinstance(part, Mapping):
            raise BadInput(
                f"{where}: {prefix + name} is {show(part)}, must be a table [{prefix + name}]"
            )
        return read_table(nested, part, where, f"{prefix}{name}.")
    if name in table:
        return _checked(entry.metadata["rule"], table[name], f"{where}: {prefix + name}")
    if entry.default is dataclasses.MISSING:
        raise BadInput(
            f"{where}: key {prefix + name!r} is missing, must be {entry.metadata['rule'].expected}"
        )
    return dataclasses.MISSING


def _checked(rule: Rule, value: Any, where: str) -> Any:
    try:
        return rule.convert(value)
    except (ValueError, TypeError):
        raise BadInput(f"{where} is {show(value)}, must be {rule.expected}") from None


def _tables(kind: type[T], parts: Any, where: str, name: str) -> tuple[T, ...]:
    fits = isinstance(parts, list | tuple) and all(isinstance(part, Mapping) for part in parts)
    if fits and len(parts) > MAX_TABLES:
        raise BadInput(f"{where}: {name} are {len(parts)}, must be at most {MAX_TABLES} tables")
    if not fits:
        raise BadInput(f"{where}: {name} is {show(parts)}, must be tables [[{name}]]")
    return tuple(
        read_table(kind, part, where, f"{name}[{place}].") for place, part in enumerate(parts)
    )


def table(kind: type, default: Any = dataclasses.MISSING) -> Any:
    """A field that holds nested dataclass `kind`, read from a sub-table; with a default, quiet."""
    quiet = default is not dataclasses.MISSING
    return dataclasses.field(
        default=default, metadata={"table": kind, "many": False, "quiet": quiet}
    )


def tables(kind: type) -> Any:
    """A field that holds a tuple of dataclass `kind`, read from an array of tables; quiet."""
    return dataclasses.field(metadata={"table": kind, "many": True, "quiet": True})


def opened(keys_of: Callable[[], Mapping[str, dataclasses.Field[Any]]]) -> Any:
    """A field that holds, by name, the values of keys which others declare.

    `keys_of` returns what `field` or `table` made of each. The keys stand in the table itself,
    among those of the dataclass.
    """
    return dataclasses.field(default_factory=dict, metadata={"open": keys_of})


def plain(record: Any) -> dict[str, Any]:
    """Nested plain values of a dataclass, fit for JSON and for `read_table`.

    Quiet fields are left out where they have their default, or nothing in them.
    """
    found: dict[str, Any] = {}
    for entry in dataclasses.fields(record):
        value = getattr(record, entry.name)
        if "open" in entry.metadata:
            for name, part in entry.metadata["open"]().items():
                _plain_key(part, name, value.get(name, part.default), found)
        else:
            _plain_key(entry, entry.name, value, found)
    return found


def _plain_key(entry: dataclasses.Field[Any], name: str, value: Any, found: dict[str, Any]) -> None:
    """Put a key's plain value into `found`, unless it is quiet."""
    quiet = entry.metadata.get("quiet", False)
    if quiet and value in (entry.default, ()):
        return
    if dataclasses.is_dataclass(value):
        value = plain(value)
    elif entry.metadata.get("many"):
        value = [plain(part) for part in value]
    elif isinstance(value, tuple):
        value = list(value)
    if not (quiet and value == {}):
        found[name] = value
