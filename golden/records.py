"""JSON values checked against the types of a dataclass: a file that was edited names its key.

A form is the type of a JSON value: a type of numbers, strings, booleans, None, tuples and mappings
of these; a dataclass; or, spelt out, `{"key": form}` for an object, where `"key?"` may be absent,
`{str: form}` for one with any keys, `{Numeral: form}` for one with numbers as keys, `[form]` for a
list, `(float, 0, 1)` for a number within 0..1, `(float, 0, 1, None)` for one that may be null. A
dataclass whose JSON has other keys than its fields says so in a class method `json_form`.
"""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from spikewright.golden.errors import BadInput, show
from spikewright.golden.reading import is_list, is_object

_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    type(None): "null",
}


class Numeral:
    """The keys of an object whose keys are numbers, spelt as strings."""


def checked(form: Any, value: object, where: str, remedy: str) -> dict[str, Any]:
    """The keys of the object `value` that `form` has, each of the right type; others are left out.

    Parameters
    ----------
    where, remedy
        The file in the words of a message, and what to do about it.

    Raises
    ------
    BadInput
        Naming file, key, value, what would be right, and the remedy.
    """
    return cast(dict[str, Any], _Check(where, remedy).of(form, value, ""))


def form_of(kind: type) -> dict[Any, Any]:
    """The form of a dataclass: the type of each key that it has in JSON."""
    own = getattr(kind, "json_form", None)
    if own is not None:
        return own()
    hints = get_type_hints(kind)
    shown = (each for each in dataclasses.fields(kind) if each.metadata.get("json", True))
    return {each.name: hints[each.name] for each in shown}


def _is(kind: type, value: object) -> bool:
    """Whether JSON has `value` as that kind: a whole number is a number, true is none."""
    return type(value) is kind or (kind is float and type(value) is int)


@dataclasses.dataclass(frozen=True)
class _Check:
    where: str
    remedy: str

    def of(self, hint: Any, value: object, key: str) -> object:
        """`value` if it is of the form `hint`, objects without unknown keys."""
        if dataclasses.is_dataclass(hint):
            hint = form_of(cast(type, hint))
        if isinstance(hint, dict):
            return self._object(cast(dict[Any, Any], hint), value, key)
        if isinstance(hint, list):
            return self._list(cast(list[Any], hint)[0], value, key)
        if isinstance(hint, tuple):
            return self._within(cast(tuple[Any, ...], hint), value, key)
        return self._typed(hint, value, key)

    def _typed(self, hint: Any, value: object, key: str) -> object:
        origin, parts = get_origin(hint), get_args(hint)
        if origin in (types.UnionType, Union):
            return self._one_of(parts, value, key)
        if origin is Literal:
            return self._plain(value in parts, value, key, f"one of {', '.join(map(repr, parts))}")
        if origin in (tuple, list):
            return self._list(parts[0], value, key)
        if origin in (dict, Mapping):
            return self._object({str: parts[1]}, value, key)
        if hint is Any or hint is object:
            return value
        return self._plain(_is(hint, value), value, key, _WORDS[hint])

    def _within(self, form: tuple[Any, ...], value: object, key: str) -> object:
        kind, lowest, highest, *others = form
        if value is None and others:
            return value
        fits = isinstance(value, int | float) and _is(kind, value) and lowest <= value <= highest
        return self._plain(fits, value, key, f"{_WORDS[kind]} within {lowest}..{highest}")

    def _list(self, form: Any, value: object, key: str) -> list[object]:
        items = value if is_list(value) else self._refuse(value, key, "a list")
        return [self.of(form, item, f"{key}[{place}]") for place, item in enumerate(items)]

    def _object(self, form: dict[Any, Any], value: object, key: str) -> dict[str, object]:
        table = value if is_object(value) else self._refuse(value, key, "an object")
        prefix = f"{key}." if key else ""
        if str in form:
            return {name: self.of(form[str], held, prefix + name) for name, held in table.items()}
        if Numeral in form:
            numbers = {self._numeral(name, key): held for name, held in table.items()}
            return {name: self.of(form[Numeral], numbers[name], prefix + name) for name in numbers}
        found: dict[str, object] = {}
        for spelt, hint in form.items():
            name = spelt.removesuffix("?")
            if name not in table and spelt != name:
                continue
            if name not in table:
                raise BadInput(f"{self.where}: key {show(prefix + name)} is missing; {self.remedy}")
            found[name] = self.of(hint, table[name], prefix + name)
        return found

    def _numeral(self, name: str, key: str) -> str:
        fits = re.fullmatch(r"-?\d{1,9}(\.\d{1,18})?(e-?\d\d?)?", name) is not None
        self._plain(fits, name, f"in {key}", "a number in a string")
        return name

    def _one_of(self, hints: tuple[Any, ...], value: object, key: str) -> object:
        if value is None and type(None) in hints:
            return value
        others = [hint for hint in hints if hint is not type(None)]
        if len(others) == 1:
            return self.of(others[0], value, key)
        fits = any(_is(hint, value) for hint in others)
        return self._plain(fits, value, key, " or ".join(_WORDS[hint] for hint in others))

    def _plain(self, fits: bool, value: object, key: str, expected: str) -> object:
        return value if fits else self._refuse(value, key, expected)

    def _refuse(self, value: object, key: str, expected: str) -> Any:
        what = f"key {show(key)}" if key else "content"
        raise BadInput(f"{self.where}: {what} is {show(value)}, must be {expected}; {self.remedy}")
