"""The number of lanes of a core."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

from spikewright.golden.bits import bits_for
from spikewright.golden.errors import require

MAX_LANES = 64
MAX_COLUMNS = 256


def choose_lanes(limit: int, channels: int, kept_per_row: float) -> int:
    """The smallest power of two of lanes with at most one entry of an average row each.

    More lanes would gain nothing: a core accepts one event per cycle, and every lane sees it.
    `limit` and the number of channels bound the choice.

    >>> choose_lanes(8, 32, 43.2), choose_lanes(8, 10, 1.5), choose_lanes(8, 6, 100.0)
    (8, 2, 4)
    """
    wanted = 1 << (math.ceil(max(kept_per_row, 1)) - 1).bit_length()
    most = 1 << (min(limit, channels).bit_length() - 1)
    return min(wanted, most)


def lanes_of(
    lanes: int | Mapping[str, int], node: str, channels: int, kept_per_row: float, width: int = 1
) -> int:
    """The lane count of one core: chosen under a common limit, or as given for this node.

    A word of `width` channels counts as one channel here.
    """
    words, per_row = -(-channels // width), kept_per_row / width
    most = min(words, MAX_LANES, MAX_COLUMNS // width)
    if isinstance(lanes, int):
        require(1 <= lanes <= MAX_LANES, "lanes", "limit", lanes, f"1..{MAX_LANES}")
        return choose_lanes(min(lanes, most), words, per_row)
    require(node in lanes, f"node {node!r}", "lanes", "not given", f"in the table {dict(lanes)}")
    require(1 <= lanes[node] <= most, f"node {node!r}", "lanes", lanes[node], f"1..{most}")
    return lanes[node]


def width_of(widths: int | Mapping[str, int], node: str, channels: int) -> int:
    """How many adjacent channels share a word of one core: as given for all, or for this node.

    Raises
    ------
    BadInput
        If it is no power of two, or a word would have room for twice the node's channels.
    """
    width = widths if isinstance(widths, int) else widths.get(node, 1)
    most = 1 << bits_for(channels)
    allowed = [1 << n for n in range(bits_for(MAX_COLUMNS) + 1)]
    shown = ", ".join(str(n) for n in allowed if n <= most)
    if isinstance(widths, int):
        require(width in allowed, "channels_per_word", "number", width,
                f"one of {', '.join(map(str, allowed))}")  # fmt: skip
        return min(width, most)
    require(width in allowed and width <= most, f"node {node!r}", "channels per word", width,
            f"one of {shown}")  # fmt: skip
    return width


def check_names(what: str, table: object, nodes: Sequence[str]) -> None:
    """Check that a table of lanes, or of channels per word, names nodes of the network only.

    Raises
    ------
    BadInput
        Naming the first unknown name.
    """
    for name in cast(Mapping[str, object], table) if isinstance(table, Mapping) else ():
        require(name in nodes, what, "node", repr(name), f"one of {', '.join(nodes)}")
