"""Which edges get a queue, and how deep: where spikes must wait, and where cores would wait.

A core sends while it sweeps, and what it sends is taken while the next core accumulates. So without
a queue between them two neighbours never accumulate at once; and where branches meet, the shorter
one holds its sender until the longer one has caught up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from spikewright.golden.image import timing
from spikewright.golden.network.edges import Edge
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import Input, Shape
from spikewright.hw.compiler.core_plan import Plan, Window, direct, sent_shape, windowed
from spikewright.hw.compiler.workload import SPIKE_RATE, event_rates

SHORT = 4
"""Places of a delayed edge's queue in which no full step has to wait."""

MARGIN = 1.25
"""Places for each spike of an average step."""

GAIN = 0.97
"""A queue between neighbours must bring their cycles below this share."""


def queue_depths(
    network: Network, plans: Mapping[str, Plan], merged: Mapping[str, Window], steps: int,
    reloadable: bool,
) -> dict[Edge, int]:  # fmt: skip
    """Places of every edge's queue; 0 without a queue.

    A delayed edge has one that holds a full step and two tokens where that may have to wait. Where
    several edges meet, each has one for the spikes of an average step, so that branches may run
    apart; and so has an edge whose two cores would else hold each other up, unless the build is
    `reloadable`: how long they take depends on the weights.
    """
    depths: dict[Edge, int] = {}
    for edge in network.edges:
        shape = sent_shape(network.node(edge.source).shape, merged[edge.source])
        if edge.delay:
            full = math.prod(shape) + 2
            depths[edge] = full if _may_wait(network, edge) else SHORT
        elif direct(network, edge):
            depths[edge] = 0
        elif _meets(network, edge) or (not reloadable and _pays(network, edge, plans)):
            depths[edge] = _places(network, edge, shape, merged, steps, reloadable)
        else:
            depths[edge] = 0
    return depths


def _may_wait(network: Network, edge: Edge) -> bool:
    """Whether the sink needs the sender's step before it can take that of the step before."""
    reached = {edge.source}
    waiting = [edge.source]
    while waiting:
        for onward in network.out_of(waiting.pop()):
            if not onward.delay and onward.target not in reached:
                reached.add(onward.target)
                waiting.append(onward.target)
    return edge.target in reached


def _meets(network: Network, edge: Edge) -> bool:
    """Another edge without delay, which brings every step's events, goes into the same node."""
    others = [other for other in network.into(edge.target) if other is not edge]
    return any(not other.delay and not direct(network, other) for other in others)


def _pays(network: Network, edge: Edge, plans: Mapping[str, Plan]) -> bool:
    """Whether two neighbours are much faster if one accumulates while the other does.

    Taken are the cycles of their steps as planned; of a sweep, what its vectors' own queue does not
    hold.
    """
    if isinstance(network.node(edge.source), Input):
        return False
    sender, taker = plans[edge.source], plans[edge.target]
    held = min(1.0, (timing.VECTORS - 1) / sender.words)
    if sender.framed:
        coupled = sender.pace + max(sender.words, (1 - held) * (taker.pace + taker.words))
    else:
        coupled = max(sender.pace, taker.words) + max(sender.words, (1 - held) * taker.pace)
    apart = max(plan.pace + plan.words for plan in plans.values())
    return apart < GAIN * coupled


def _places(
    network: Network, edge: Edge, shape: Shape, merged: Mapping[str, Window], steps: int,
    reloadable: bool,
) -> int:  # fmt: skip
    """A power of two; all that a pass may bring, with its token, at most."""
    rates = event_rates(network, edge.source)
    if reloadable:
        rates = np.full_like(rates, SPIKE_RATE)
    spikes = steps * float(windowed(rates, merged[edge.source]).sum())
    wanted = min(math.ceil(MARGIN * spikes), math.prod(shape)) + 2
    return 1 << (wanted - 1).bit_length()
