"""The JSON schema of a network file: every kind, its fields, their types and sizes."""

from __future__ import annotations

from typing import Any, cast

from spikewright.golden.errors import BadInput, require, show
from spikewright.golden.reading import is_object

MAX_STRING = 64  # also the length of a sha256

Json = dict[str, object]

# The fields of each kind in the graph and their types; all must be present, and no others.
FIELDS: dict[str, dict[str, type]] = {
    "Input": {"name": str, "shape": list, "coding": str, "bits": int, "signed": bool},
    "LIF": {
        "name": str,
        "shape": list,
        "leak_mul": int,
        "leak_shift": int,
        "reset": str,
        "membrane_bits": int,
    },
    "Readout": {"name": str, "shape": list, "leak_mul": int, "leak_shift": int},
    "Edge": {"source": str, "target": str, "operations": list, "delay": int},
    "Linear": {"weight_bits": int},
    "Conv2d": {"weight_bits": int, "padding": list, "stride": list, "groups": int},
    "Identity": {"weight_bits": int},
    "SumPool2d": {"kernel_size": list},
    "MaxPool2d": {"kernel_size": list},
}
# A field with its default is left out.
DEFAULTS: dict[str, Json] = {"Conv2d": {"stride": [1, 1], "groups": 1}, "Edge": {"delay": 0}}
GRAPH: dict[str, type] = {
    "schema": int,
    "sha256": str,
    "timesteps": int,
    "nodes": list,
    "edges": list,
    "meta": dict,
}
_WORDS_OF_LISTS = dict.fromkeys(
    ("shape", "kernel_size", "stride"), "a list of at most three integers"
) | {"padding": "a list of at most four integers", "operations": "a list of one or two operations"}
_LENGTHS = dict.fromkeys(("shape", "kernel_size", "stride"), 3) | {"padding": 4}
_WORDS = {
    str: "a string of at most 64 characters",
    int: "an integer of 32 bits",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def kind_of(value: object, kinds: tuple[str, ...], where: str) -> tuple[str, dict[str, Any]]:
    """The kind of an object, one of `kinds`, and its fields; absent fields have their default."""
    kind = value.get("kind") if is_object(value) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise BadInput(f"{where}: kind is {show(kind)}, must be {', '.join(kinds)}")
    whole = DEFAULTS.get(kind, {}) | cast(Json, value)  # left out: the default
    fields = object_of(whole, FIELDS[kind] | {"kind": str}, where)
    del fields["kind"]
    return kind, fields


def object_of(value: object, fields: dict[str, type], where: str) -> dict[str, Any]:
    """`value` as an object that has exactly `fields`, of these types and of a sane size."""
    if not is_object(value):
        raise BadInput(f"{where}: is {show(value)}, must be an object")
    given: dict[str, Any] = value
    for key in given:
        require(key in fields, where, "key", show(key), f"one of {', '.join(fields)}")
    for key, kind in fields.items():
        if key not in given:
            raise BadInput(f"{where}: field {key!r} is missing, must be {_WORDS[kind]}")
        item = given[key]
        right = type(item) is kind  # True is no integer here
        if kind is int:
            right = right and abs(item) < 2**31
        elif kind is str:
            right = right and len(item) <= MAX_STRING
        elif key in _LENGTHS:
            right = right and len(item) <= _LENGTHS[key]
            right = right and all(type(n) is int and abs(n) < 2**31 for n in item)
        elif key == "operations":
            right = right and len(item) <= 2
        require(right, where, key, show(item), _WORDS_OF_LISTS.get(key, _WORDS[kind]))
    return dict(given)
