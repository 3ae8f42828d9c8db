"""The corners of the contract: which a network has, which a run visits, inputs that visit more.

They are those of `chain_coverage` (the step of a neuron) and of `graph_coverage` (edges).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from spikewright.golden.arrays import Ints
from spikewright.golden.models import reference
from spikewright.golden.network.edges import MaxPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Readout
from spikewright.golden.network.operations import fan_out
from spikewright.golden.network.trace import Trace
from spikewright.golden.network.widths import node_widths
from spikewright.golden.testing import chain_coverage, graph_coverage, random_chain

CORNERS: tuple[str, ...] = (*chain_coverage.CORNERS, *graph_coverage.CORNERS)

_DRAWS, _IMAGES = 8, 8


def never_visited(visits: Mapping[str, int]) -> tuple[str, ...]:
    """The corners counted in `visits` that were not visited once, in the order of `CORNERS`."""
    return tuple(corner for corner in CORNERS if visits.get(corner) == 0)


def possible(network: Network) -> tuple[str, ...]:
    """The corners that a run of `network` can visit at all, in the order of `CORNERS`.

    A clamp that the widths prove to be out of reach is none of them.
    """
    spiking, output, edges = network.hidden, network.output, network.edges
    widths, resets = node_widths(network), {node.reset for node in network.hidden}
    delayed = any(edge.delay for edge in edges)
    meeting = [found for node in network.neurons if len(found := network.into(node.name)) > 1]
    direct = network.input.coding == "direct"
    leaks = any(node.leak_mul for node in spiking)
    has = {
        "input below 0": network.input.signed,
        "leak of a membrane": leaks,
        "leak that floors below 0": leaks and any(widths[n.name].lowest < 0 for n in spiking),
        "readout leaks": isinstance(output, Readout) and output.leak_mul > 0,
        "spike reset by subtraction": "subtract" in resets,
        "spike reset to zero": "zero" in resets,
        "clamped at the low end": any(widths[n.name].lowest == n.lowest for n in spiking),
        "clamped at the high end": any(
            widths[n.name].highest == n.highest for n in spiking if n.reset == "subtract"
        ),
        "drive from several edges": bool(meeting),
        "drives that cancel": bool(meeting),
        "drive of a delayed edge": delayed,
        "spike too late to be carried": delayed,
        "window with several spikes": any(isinstance(edge.pool, MaxPool2d) for edge in edges),
        "spike in no whole window": any(_crops(network, edge.source, edge.pool) for edge in edges),
        "frame and events in one sum": direct
        and any(len({e.source == network.input.name for e in found}) > 1 for found in meeting),
        "tie in a spiking output": isinstance(output, LIF),
        "event without a weight": any(
            not fan_out(edge, network.node(edge.source).shape).all() for edge in edges
        ),
    }
    for corner in chain_coverage.OF_A_SPIKE:
        has[corner] = has.get(corner, True) and bool(spiking)
    return tuple(corner for corner in CORNERS if has.get(corner, True))


def _crops(network: Network, source: str, pool: object) -> bool:
    if not isinstance(pool, MaxPool2d):
        return False
    return any(
        side % k for side, k in zip(network.node(source).shape[1:], pool.kernel_size, strict=True)
    )


def coverage(network: Network, trace: Trace, inputs: Ints) -> dict[str, int]:
    """How often a run, whose trace has membranes, visited each of `CORNERS`."""
    chain = chain_coverage.coverage(network, trace, inputs)
    return chain | graph_coverage.coverage(network, trace, inputs)


class Visits:
    """Counts what batches visit: an observer for `equality_chain.follow`."""

    def __init__(self, network: Network, inputs: Ints, program: str) -> None:
        self._network, self._inputs, self._program = network, inputs, program
        self._seen = 0
        self._counts = dict.fromkeys(possible(network), 0)

    def __call__(self, traces: Mapping[str, Trace]) -> None:
        """Count a batch: the next images."""
        trace = traces[self._program]
        batch = self._inputs[self._seen : self._seen + len(trace.logits)]
        self._seen += len(batch)
        found = coverage(self._network, trace, batch)
        self._counts = {corner: times + found[corner] for corner, times in self._counts.items()}

    @property
    def counts(self) -> dict[str, int]:
        """Visits by corner, of those that the network has."""
        return self._counts


def corner_inputs(network: Network, wanted: Collection[str], seed: int = 0) -> Ints:
    """Random inputs (images, ...) that visit corners of `wanted`: those among 64 that visit more.

    The corners that no image visits stay unvisited; without any there are no inputs.
    """
    left, chosen = set(wanted), [np.zeros((0, *_frame(network)), np.int64)]
    for draw in range(_DRAWS):
        if not left:
            break
        inputs = network.check_inputs(random_chain.random_inputs(network, _IMAGES, seed + draw))
        trace = reference.run(network, inputs)
        if not left & _visited(network, trace, inputs):
            continue
        for image in range(_IMAGES):
            one = slice(image, image + 1)
            new = left & _visited(network, trace.of(one), inputs[one])
            if new:
                chosen.append(inputs[one])
                left -= new
    return np.concatenate(chosen)


def _visited(network: Network, trace: Trace, inputs: Ints) -> set[str]:
    return {corner for corner, times in coverage(network, trace, inputs).items() if times}


def _frame(network: Network) -> tuple[int, ...]:
    shape = network.input.shape
    return shape if network.input.coding == "direct" else (network.timesteps, *shape)
