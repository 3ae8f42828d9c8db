"""The critical path of a placed design, in the names of the RTL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Yosys names a cell after an adjacent net, with the cell's kind and pin as suffix.
_KIND = re.compile(r"_(TRELLIS|LUT4|PFUMX|CCU2C|L6MUX21|SB|ICESTORM|MULT18X18D|DPR16X4)_?.*$")
_MEMORY = re.compile(r"(\.block\.words|\.table\.words)?\.\d+\.\d+([._$].*)?$")  # a part of one
_TWIN = re.compile(r"\$\d+(?=\.|$)")  # added by Amaranth to a name that is in use


@dataclass(frozen=True)
class CriticalPath:
    """The longest path from register to register.

    Attributes
    ----------
    begins, ends
        Its registers or memories; where one has no name in the RTL, the nearest cell with one.
    through
        Signals that cells between them are named after, in order.
    levels
        The number of cells on the path: LUTs, and every cell of a carry chain.
    logic_ns, routing_ns
        Its delay in cells, clock-to-out and setup included, and on wires.
    """

    begins: str
    ends: str
    through: tuple[str, ...]
    levels: int
    logic_ns: float
    routing_ns: float

    @property
    def text(self) -> str:
        """As text: from > to."""
        return f"{self.begins} > {self.ends}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"through": list(self.through)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CriticalPath:
        """The inverse of `as_dict`."""
        return cls(**{**values, "through": tuple(values["through"])})


def signal(cell: str) -> str:
    """The signal or memory that a cell is named after, with its place in the hierarchy; or "".

    >>> signal("lane_0.membranes$59.shared_TRELLIS_FF_Q_13"), signal("$abc$12$lut$a.b")
    ('lane_0.membranes.shared', '')
    >>> signal("lane_0.walker.entries.block.words.0.0")
    'lane_0.walker.entries'
    """
    if cell.startswith("$"):
        return ""
    name = _TWIN.sub("", _KIND.sub("", cell))
    return re.sub(r"\$.*$", "", _MEMORY.sub("", name)).rstrip(".")


def longest(report: dict[str, Any]) -> CriticalPath:
    """The critical path of nextpnr's report; one within a clock domain, if there is any."""
    paths = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    segments = (paths or report["critical_paths"])[0]["path"]
    names = [signal(segment[end]["cell"]) for segment in segments for end in ("from", "to")]
    named = [name for name in names if name] or [""]
    inner = dict.fromkeys(name for name in named if name not in (named[0], named[-1]))
    delay = {True: 0.0, False: 0.0}
    for segment in segments:
        delay[segment["type"] == "routing"] += segment["delay"]
    return CriticalPath(
        named[0], named[-1], tuple(inner), sum(s["type"] == "logic" for s in segments),
        round(delay[False], 2), round(delay[True], 2),
    )  # fmt: skip
