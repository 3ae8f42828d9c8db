"""How many lanes a core gets, and which channels go to which lane."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.errors import require
from golden.rows import bits_for

MAX_LANES = 64


def choose_lanes(limit: int, channels: int, kept_per_row: float) -> int:
    """The fewest lanes, a power of two, among which an average row is one entry for each.

    More would gain nothing: a core accepts one event per cycle, and every lane sees it. `limit`
    and the number of channels bound the choice.

    >>> choose_lanes(8, 32, 43.2), choose_lanes(8, 10, 1.5), choose_lanes(8, 6, 100.0)
    (8, 2, 4)
    """
    wanted = 1 << (math.ceil(max(kept_per_row, 1)) - 1).bit_length()
    most = 1 << (min(limit, channels).bit_length() - 1)
    return min(wanted, most)


def lanes_of(lanes: int | dict[str, int], node: str, channels: int, kept_per_row: float) -> int:
    """The lane count of one core: chosen under a common limit, or as given for this node."""
    if isinstance(lanes, int):
        require(1 <= lanes <= MAX_LANES, "lanes", "limit", lanes, f"1..{MAX_LANES}")
        return choose_lanes(lanes, channels, kept_per_row)
    require(node in lanes, f"node {node!r}", "lanes", "not given", f"in the table {lanes}")
    most = min(channels, MAX_LANES)
    require(1 <= lanes[node] <= most, f"node {node!r}", "lanes", lanes[node], f"1..{most}")
    return lanes[node]


def check_names(lanes: int | dict[str, int], nodes: Sequence[str]) -> None:
    """A table of lanes names nodes of the network only.

    Raises
    ------
    BadInput
        Naming the first that is none.
    """
    for name in lanes if isinstance(lanes, dict) else ():
        require(name in nodes, "lanes", "node", repr(name), f"one of {', '.join(nodes)}")


def assign_channels(kept: NDArray[np.int64], lanes: int) -> tuple[int, ...]:
    """The code of every channel: longest processing time first, equal counts in every lane.

    Parameters
    ----------
    kept
        Nonzero weights of every channel, the work that it brings.
    lanes
        Number of lanes; each takes at most ceil(channels / lanes) channels.

    Returns
    -------
    The code `local << lane_bits | lane` of every channel: the channel number as events carry it,
    so that nothing is looked up at run time.

    >>> assign_channels(np.array([9, 1, 5, 5]), 2)
    (0, 2, 1, 3)
    """
    room = -(-len(kept) // lanes)
    heap = [(0, lane) for lane in range(lanes)]
    members: list[list[int]] = [[] for _ in range(lanes)]
    for channel in sorted(range(len(kept)), key=lambda c: (-int(kept[c]), c)):
        load, lane = heapq.heappop(heap)
        members[lane].append(channel)
        if len(members[lane]) < room:
            heapq.heappush(heap, (load + int(kept[channel]), lane))
    codes = [0] * len(kept)
    for lane, channels in enumerate(members):
        for local, channel in enumerate(sorted(channels)):
            codes[channel] = local << bits_for(lanes) | lane
    return tuple(codes)
