"""Derives the demands of all cores from the network: rows and their use, word widths, tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spikewright.golden.arrays import Ints
from spikewright.golden.bits import bits_for, signed_bits
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.widths import Widths, node_widths
from spikewright.hw.compiler.compile_network import counted
from spikewright.hw.compiler.core_demand import Demand
from spikewright.hw.compiler.core_plan import Window, lowered, windows, work_of
from spikewright.hw.compiler.lower import Synapses
from spikewright.hw.compiler.pack import MAX_WORDS
from spikewright.hw.compiler.workload import event_rates


def demands(network: Network) -> tuple[Demand, ...]:
    """The demand of every core, in the order of the network; one more if spikes are counted."""
    whole = counted(network)
    merged, widths = windows(whole), node_widths(whole)
    return tuple(_demand(whole, node, merged, widths[node.name]) for node in whole.neurons)


def _demand(
    network: Network, node: LIF | Readout, merged: Mapping[str, Window], widths: Widths
) -> Demand:
    into, lif = network.into(node.name), node if isinstance(node, LIF) else None
    edges = lowered(network, node.name, merged)
    given = [
        source
        for edge in into
        for source in [network.node(edge.source)]
        if isinstance(source, Input)
    ]
    direct = [source for source in given if source.coding == "direct"]
    framed = len(direct) == len(into)
    state = widths.state_bits if framed else widths.acc_bits
    bias = signed_bits(int(node.bias.min()), int(node.bias.max()))
    threshold = int(lif.threshold.max()).bit_length() if lif else 0
    return Demand(
        node=node.name, shape=node.shape, timesteps=network.timesteps,
        work=work_of(network, into, edges, merged),
        ordered=lif is None, framed=framed,
        sent=float(event_rates(network, node.name).sum()) if lif else float(len(node.bias)),
        taps=sum(synapses.taps for synapses in edges),
        weight_bits=max(synapses.bits for synapses in edges),
        word_bits=state + (widths.drive_bits if direct else 0),
        value_bits=max((s.bits for s in given if s.bits > 1 or s.signed), default=0),
        constant_bits=bias + threshold,
        shared=tuple(table for synapses in edges for table in _tables(synapses)),
        capacity=MAX_WORDS,
        row_taps=np.concatenate([_row_taps(synapses) for synapses in edges]),
    )  # fmt: skip


def _row_taps(synapses: Synapses) -> Ints:
    """Kernel positions at which each row of an edge has weights."""
    weights = synapses.weights
    row = weights.channel << synapses.row_bits | weights.position
    named = np.unique(row * synapses.taps + weights.tap) // synapses.taps
    return np.bincount(named, minlength=synapses.channels << synapses.row_bits)


def _tables(synapses: Synapses) -> tuple[tuple[int, int], tuple[int, int]]:
    """Depth and width of an edge's tables, with one channel in a lane: a negligible share."""
    bits = synapses.row_bits + bits_for(synapses.target[0] * synapses.target[1])
    height, width = synapses.source
    return (height, synapses.grid[0] + bits), (width, synapses.grid[1] + bits)
