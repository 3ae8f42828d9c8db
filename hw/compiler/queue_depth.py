"""FIFO depths of edges: where spikes must wait, and where cores would otherwise wait.

A core sends while it sweeps, and its events are accepted while the next core accumulates. So
without a FIFO between them two neighbours never accumulate at once; and where branches meet, the
shorter one stalls its sender until the longer one has caught up.
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
"""Depth of a delayed edge's FIFO that need not hold a full step."""

MARGIN = 1.25
"""Slots per spike of an average step."""

GAIN = 0.97
"""A FIFO between neighbours must reduce their cycles below this share."""


def queue_depths(
    network: Network, plans: Mapping[str, Plan], merged: Mapping[str, Window], steps: int,
    reloadable: bool,
) -> dict[Edge, int]:  # fmt: skip
    """The FIFO depth of every edge; 0 without a FIFO.

    A delayed edge has one for a full step and two tokens, where a full step may have to wait. Where
    several edges meet, each has one for the spikes of an average step, which decouples the
    branches; so has an edge whose two cores would otherwise stall each other, unless the build is
    `reloadable`, as their times depend on the weights.
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
            depths[edge] = _slots(network, edge, shape, merged, steps, reloadable)
        else:
            depths[edge] = 0
    return depths


def _may_wait(network: Network, edge: Edge) -> bool:
    """Whether the sink needs the sender's current step before it can accept the previous one."""
    reached = {edge.source}
    waiting = [edge.source]
    while waiting:
        for onward in network.out_of(waiting.pop()):
            if not onward.delay and onward.target not in reached:
                reached.add(onward.target)
                waiting.append(onward.target)
    return edge.target in reached


def _meets(network: Network, edge: Edge) -> bool:
    """Whether another edge without delay carries every step's events into the same node."""
    others = [other for other in network.into(edge.target) if other is not edge]
    return any(not other.delay and not direct(network, other) for other in others)


def _pays(network: Network, edge: Edge, plans: Mapping[str, Plan]) -> bool:
    """Whether two neighbours are much faster if one accumulates while the other does.

    Compares the planned cycles of their steps, where a sweep counts only for the vectors that
    exceed its own FIFO.
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


def _slots(
    network: Network, edge: Edge, shape: Shape, merged: Mapping[str, Window], steps: int,
    reloadable: bool,
) -> int:  # fmt: skip
    """A power of two, at most the events of a full pass with its token."""
    rates = event_rates(network, edge.source)
    if reloadable:
        rates = np.full_like(rates, SPIKE_RATE)
    spikes = steps * float(windowed(rates, merged[edge.source]).sum())
    wanted = min(math.ceil(MARGIN * spikes), math.prod(shape)) + 2
    return 1 << (wanted - 1).bit_length()
