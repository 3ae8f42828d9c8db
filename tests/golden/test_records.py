"""JSON against the types of a dataclass: the key, its value, what it must be, and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.records import Numeral, checked


@dataclass(frozen=True)
class Part:
    name: str
    sizes: tuple[int, ...]
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Whole:
    share: float
    label: int | None
    anything: Any
    parts: tuple[Part, ...]
    by_name: dict[str, Part]
    word: str | float


PART = {"name": "x", "sizes": [1, 2], "kind": "b"}
GOOD = {"share": 1, "label": None, "anything": [{}], "parts": [PART], "by_name": {"p?": PART},
        "word": 0.5}  # fmt: skip


def test_what_is_right_comes_back_without_more() -> None:
    more = {**GOOD, "schema": 1, "parts": [{**PART, "more": 2}]}
    assert checked(Whole, more, "file", "again") == GOOD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": "1"}, "key 'share' is '1', must be a number; again"),
        ({"share": True}, "key 'share' is True, must be a number; again"),
        ({"label": 1.5}, "key 'label' is 1.5, must be a whole number; again"),
        ({"parts": {}}, "key 'parts' is {}, must be a list; again"),
        ({"parts": [7]}, "key 'parts[0]' is 7, must be an object; again"),
        ({"parts": [PART, {**PART, "sizes": [1, None]}]}, "key 'parts[1].sizes[1]' is None, must"),
        ({"parts": [{"sizes": [], "kind": "a"}]}, "key 'parts[0].name' is missing; again"),
        ({"by_name": {"y": {**PART, "kind": "c"}}}, "'by_name.y.kind' is 'c', must be one of 'a'"),
        ({"word": []}, "key 'word' is [], must be a string or a number; again"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput) as error:
        checked(Whole, GOOD | change, "file", "again")
    assert str(error.value).startswith("file: ")
    assert message in str(error.value)


def test_forms_spelt_out() -> None:
    form = {"a?": (float, 0, 1), "b": {Numeral: [(int, 1, 9, None)]}}
    right = {"b": {"-0.5": [1, None], "1e-3": []}}
    assert checked(form, right, "file", "again") == right
    for wrong, message in (
        ({"b": {}, "a": 1.01}, "key 'a' is 1.01, must be a number within 0..1; again"),
        ({"b": {}, "a": None}, "key 'a' is None, must be a number within 0..1"),
        ({"b": {"x": []}}, "key 'in b' is 'x', must be a number in a string"),
        ({"b": {"1": [2.0]}}, "key 'b.1[0]' is 2.0, must be a whole number within 1..9"),
        ([], "file: content is [], must be an object; again"),
    ):
        with pytest.raises(BadInput) as error:
            checked(form, wrong, "file", "again")
        assert message in str(error.value)
