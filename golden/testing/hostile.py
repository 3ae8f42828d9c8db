"""Files that are wrong in every way: plain values mutated, bytes damaged, headers that lie.

For tests of readers. Everything is drawn from a `random.Random`, so that a seed is a case.
"""

from __future__ import annotations

import copy
import json
import math
import random
from typing import Any, cast

_SPELT = {
    "@deep@": "[" * 20_000 + "]" * 20_000,
    "@nested@": "[" * 40 + "]" * 40,
    "@digits@": "9" * 5000,
    "@negative@": "-" + "9" * 400,
    "@exponent@": "1e999",
    "@hexadecimal@": "0x" + "f" * 9000,
    "@date@": "2020-13-45T25:61:61",
    "@nothing@": "",
    "@word@": "nonsense",
}
"""What no plain value can be: text that stands for it in JSON and TOML."""

VALUES: tuple[Any, ...] = (
    *_SPELT,
    *(None, True, False, 0, 1, -1, 2, 7, 255, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63),
    *(0.0, -0.0, 0.5, 1.5, 1e-320, 1e308, math.nan, math.inf, -math.inf),
    *("", " ", "none", "0", "-1", "1e30", "a" * 300, "x" * 20_000, "9" * 5000, "nul\0byte"),
    *("\x1b[2J\x07", "two\nlines", "../../etc", "/", "ünïcødé", "\ud800", "\u202etxet", "%s{}"),
    *([], [[]], [0], [-1, 2**40], ["a", 1, None], [0.5] * 3000, [["a"], {"b": []}]),
    *({}, {"": 0}, {"kind": []}, {"a": {"b": {"c": {}}}}, {"k" * 5000: 1}, {"__class__": "os"}),
)  # fmt: skip

_MAGIC = (b"\x80\x04", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff", b"\x1f\x8b", b"\xef\xbb\xbf")
_NOISE = (b"", bytes(4096), b"\xff" * 64, b"((" * 4000, b"{" * 90_000, b"[0," * 9000)
_DESCR = ("'<i8'", "'|O'", "'<U99999'", "'<f8'", "[('a', '<i8')]", "'i8'", "5", "'<i77'", "'>u2'")
_ORDER = ("False", "True", "None", "0", "__import__('os')")
_SHAPE = (
    *("(2, 2)", "(1000000000000,)", "(-1,)", "()", "2", "(2,)*9", f"({'9' * 5000},)", "(0, 0)"),
    *(f"({'1,' * 3000})", "(2, 2", "(True,)", "(2.0,)", "(0, 99999999999999999)"),
)


def mutated(rng: random.Random, plain: Any) -> Any:
    """A copy of plain nested values with one to three changes."""
    whole = {"": copy.deepcopy(plain)}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _change(rng, whole)
    return whole.get("", rng.choice(VALUES))


def _change(rng: random.Random, whole: dict[str, Any]) -> None:
    places = _places(whole)
    if not places:
        return
    holder, key = rng.choice(places)
    match rng.randrange(8):
        case 0:
            del holder[key]
        case 1:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other[name])
        case 2 if isinstance(holder, dict):
            holder[rng.choice(("extra", str(key).upper(), "n" * 3000, "", "a.b"))] = holder[key]
        case 3 if isinstance(holder, list):
            many = cast(list[Any], holder)
            many.extend([many[key]] * rng.choice((1, 9, 300)))
        case 4 if isinstance(holder[key], int | float):
            held = holder[key]
            holder[key] = rng.choice((held + 1, held - 1, -held, held * 1000, str(held), [held]))
        case _:
            holder[key] = copy.deepcopy(rng.choice(VALUES))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) within nested values."""
    found: list[tuple[Any, Any]] = []
    waiting: list[Any] = [value]
    while waiting:
        held: Any = waiting.pop()
        keys: list[Any] = list(held) if hasattr(held, "keys") else list(range(len(held)))
        for key in keys:
            found.append((held, key))
            if isinstance(held[key], dict | list):
                waiting.append(held[key])
    return found


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes cut, flipped, repeated, overwritten, or of another kind altogether."""
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 8, 100))
    before, rest = data[:at], data[at:]
    flipped = bytes([rest[0] ^ 1 << rng.randrange(8)]) + rest[1:] if rest else b""
    return rng.choice(
        (
            before,
            before + rest[length:],
            before + rng.randbytes(length) + rest[length:],
            before + rest[:50] * rng.choice((2, 1000)) + rest,
            before + flipped,
            rng.choice(_MAGIC) + data[rng.choice((0, 8)) :],
            rng.choice(_NOISE),
        )
    )


def to_json(value: Any) -> bytes:
    """JSON of plain values, with the text of those that are none."""
    return _spelt(json.dumps(value)).encode()


def to_toml(table: Any) -> bytes:
    """TOML of nested plain values, if it can be; what is no table is spelt all the same."""
    if not isinstance(table, dict):
        return _spelt(_inline(table)).encode()
    lines: list[str] = []
    _write_table(cast(dict[Any, Any], table), "", lines)
    return _spelt("\n".join(lines)).encode(errors="surrogatepass")


def _write_table(table: dict[Any, Any], prefix: str, lines: list[str]) -> None:
    nested: dict[Any, Any] = {
        key: held for key, held in table.items() if isinstance(held, dict) and "." not in prefix
    }
    lines += [f"{_key(k)} = {_inline(v)}" for k, v in table.items() if k not in nested]
    for key, held in nested.items():
        lines.append(f"[{prefix}{_key(key)}]")
        _write_table(held, f"{prefix}{_key(key)}.", lines)


def _key(key: Any) -> str:
    return json.dumps(str(key))


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_key(k)} = {_inline(v)}" for k, v in cast(dict[Any, Any], value).items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, cast(list[Any], value)))}]"
    if isinstance(value, bool | str):
        return json.dumps(value)
    return "null" if value is None else str(value)


def _spelt(text: str) -> str:
    for word, spelling in _SPELT.items():
        text = text.replace(f'"{word}"', spelling)
    return text


def array_header(rng: random.Random) -> bytes:
    """A `.npy` file of few bytes whose header says anything."""
    descr, order, shape = rng.choice(_DESCR), rng.choice(_ORDER), rng.choice(_SHAPE)
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    other = rng.choice((text.replace("'shape'", "'form'"), text * 2, "((" * 4000, "-" * 9000))
    text = rng.choice((text, text, other))
    version = rng.choice((1, 1, 1, 2, 3, 0, 255))
    size = rng.choice((len(text), len(text), len(text), 10, 65_535))
    length = (size % 2**16).to_bytes(2 if version == 1 else 4, "little")
    data = bytes(rng.choice((0, 32, 16, 5)))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + data
