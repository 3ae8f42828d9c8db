"""What the hardware counts against golden: events and synaptic operations, core by core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.image.counters import Counters
from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.network.operations import OperationCounts
from spikewright.golden.network.trace import Trace
from spikewright.sim.harness.counters import check_work


def check_operations(
    image: Image, operations: OperationCounts, trace: Trace, counters: Sequence[Counters]
) -> None:
    """Hardware must count exactly golden's events and synaptic operations, core by core.

    What steps or channels share is counted by the cycle model alone
    (`sim.measurement.cycle_check`).
    """
    synops, events = Counter[str](), Counter[str]()
    for edge in operations.edges:
        synops[edge.target] += edge.synops
        events[edge.target] += edge.events
    sent = {core.node: sent_events(core, trace.spikes[core.node]) for core in image.cores[:-1]}
    last = image.cores[-1]
    sent[last.node] = last.size[0] * operations.images
    if image.counting:  # one synapse for every spike of the output
        synops[last.node] = events[last.node] = sent[image.cores[-2].node]
    for core in image.cores:
        if image.steps_per_pass > 1:  # spikes of one neuron in a pass are one event
            sources = [edge.source for edge in core.edges]
            events.pop(core.node, None)
            if image.input.name not in sources:
                events[core.node] = sum(sent[source] for source in sources)
        if image.steps_per_pass * core.channels_per_word > 1:  # an entry is no synapse then
            synops.pop(core.node, None)
    check_work(counters, synops=synops, events_in=events, events_out=sent)


def sent_events(core: CoreImage, spikes: NDArray[np.uint8]) -> int:
    """How many events a core sends: one for a neuron and pass, or a max pool's window and pass."""
    _, height, width = core.size
    (down, along), (ky, kx) = core.sent, core.window
    passes = spikes.reshape(-1, core.steps_per_pass, core.size[0], height, width).max(axis=1)
    whole = passes[..., : down * ky, : along * kx]
    return int(whole.reshape(-1, down, ky, along, kx).any(axis=(2, 4)).sum())
