"""How wide memories and adders must be: proven from the weights, never guessed.

Per neuron, `Pos` and `Neg` are the sums of its positive and of its negative contributions in one
step: weight times the most that its event can be worth (the pool's area for pooled spikes, the
value range of an input), the bias in both. Then, whatever the order of events:

- a membrane at the end of a step lies in the clamp range, and in T steps' drive [-T Neg, T Pos],
  because neither leak nor reset ever carries it away from or across 0;
- every partial sum of a step lies in [lowest - Neg, highest + Pos];
- the comparison `v - threshold` needs one bit more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikewright.golden.arrays import Ints
from spikewright.golden.bits import signed_bits
from spikewright.golden.network.edges import Edge, Identity, Linear, Synapse
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Node, Readout, Shape


@dataclass(frozen=True)
class Widths:
    """Signed (two's complement) widths in bits that suffice for every neuron of one node.

    Attributes
    ----------
    state_bits
        The membrane at the end of a step.
    acc_bits
        Every partial sum of a step, started from the membrane: events in any order, and the bias.
    sum_bits
        Every partial sum of a step's events alone, started from 0, without the bias.
    drive_bits
        The same for the events that are summed apart from the membrane: those of direct edges
        alone where direct and event edges meet, as the others add to the membrane; else all.
    lowest, highest
        The membrane's range at the end of a step.
    """

    state_bits: int
    acc_bits: int
    sum_bits: int
    drive_bits: int
    lowest: int
    highest: int

    @property
    def compare_bits(self) -> int:
        """The difference of a partial sum and a threshold."""
        return self.acc_bits + 1


def node_widths(network: Network) -> dict[str, Widths]:
    """The proven widths of every LIF and of the readout, by name, in the order of the nodes."""
    return {node.name: _widths(network, node) for node in network.neurons}


def _widths(network: Network, node: LIF | Readout) -> Widths:
    edges = network.into(node.name)
    first = network.input
    framed = tuple(e for e in edges if first.coding == "direct" and e.source == first.name)
    positive, negative = _summed(network, edges)
    up, down = _summed(network, framed or edges)
    bias = node.bias.reshape(-1, *[1] * (len(node.shape) - 1))
    pos, neg = positive + np.maximum(bias, 0), negative + np.maximum(-bias, 0)
    lowest, highest = -network.timesteps * neg, network.timesteps * pos
    if isinstance(node, LIF):
        lowest, highest = np.maximum(lowest, node.lowest), np.minimum(highest, node.highest)
    return Widths(
        state_bits=_bits(lowest, highest),
        acc_bits=_bits(lowest - neg, highest + pos),
        sum_bits=_bits(-negative, positive),
        drive_bits=_bits(-down, up),
        lowest=int(lowest.min()),
        highest=int(highest.max()),
    )


def _summed(network: Network, edges: tuple[Edge, ...]) -> tuple[Ints, Ints]:
    """`drive_bounds` of several edges into one node, together."""
    bounds = [drive_bounds(edge, network.node(edge.source)) for edge in edges]
    up, down = zip(*bounds, strict=True)
    return np.sum(up, axis=0), np.sum(down, axis=0)


def drive_bounds(edge: Edge, source: Node) -> tuple[Ints, Ints]:
    """(positive, negative) bounds of each target neuron's drive in one step, both >= 0.

    Each is int64 of the target's shape; the drive lies in [-negative, positive] after any number
    of the step's events, in any order. The bias is not in it.
    """
    up, down = (source.highest, -source.lowest) if isinstance(source, Input) else (1, 0)
    shape = source.shape
    if edge.pool is not None:
        most = edge.pool.multiplicity
        up, down, shape = up * most, down * most, edge.pool.output_shape(shape)
    synapse = edge.synapse
    if synapse is None:
        return np.full(shape, up, np.int64), np.full(shape, down, np.int64)
    weight = synapse.weight.astype(np.int64)
    risen = _reach(synapse, np.maximum(weight, 0), shape)
    fallen = _reach(synapse, np.maximum(-weight, 0), shape)
    return risen * up + fallen * down, fallen * up + risen * down


def _reach(synapse: Synapse, weight: Ints, shape: Shape) -> Ints:
    """Per target neuron, the sum of the weights of the source neurons that exist."""
    if isinstance(synapse, Linear):
        return weight.sum(axis=1)
    if isinstance(synapse, Identity):
        return np.broadcast_to(weight.reshape(-1, *[1] * (len(shape) - 1)), shape)
    out, rows, columns = synapse.output_shape(shape)
    (top, _, left, _), (step_y, step_x) = synapse.padding, synapse.stride
    per_tap = weight.sum(axis=1)  # over the channels of a target's own group
    total = np.zeros((out, rows, columns), np.int64)
    for dy, dx in np.ndindex(*weight.shape[2:]):
        ys = _overlap(rows, shape[1], dy - top, step_y)
        xs = _overlap(columns, shape[2], dx - left, step_x)
        total[:, ys, xs] += per_tap[:, dy, dx, None, None]
    return total


def _overlap(targets: int, sources: int, shift: int, step: int) -> slice:
    """The target positions t whose source position `t * step + shift` lies inside the map."""
    first, end = -(shift // step), (sources - 1 - shift) // step + 1
    return slice(max(0, first), max(0, min(targets, end)))


def _bits(lowest: Ints, highest: Ints) -> int:
    return signed_bits(int(lowest.min()), int(highest.max()))
