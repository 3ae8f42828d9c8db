"""The corners of a neuron's step, and of the frames: which of them a run has visited.

`graph_coverage` is the same for edges. Random networks are held to visit every corner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.models import reference
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF
from spikewright.golden.network.trace import Trace
from spikewright.golden.testing.graph_coverage import drive_of

CORNERS: tuple[str, ...] = (
    "silent inference",
    "input at its highest",
    "input below 0",
    "leak of a membrane",
    "leak that floors below 0",
    "readout leaks",
    "one below the threshold",
    "equal to the threshold",
    "above the threshold",
    "spike reset by subtraction",
    "spike reset to zero",
    "spike in the last step",
    "step without a spike",
    "step with a spike",
    "clamped at the low end",
    "clamped at the high end",
)

OF_A_SPIKE: tuple[str, ...] = CORNERS[CORNERS.index("one below the threshold") :]
"""Those that only a spiking node can visit."""


def coverage(network: Network, trace: Trace, inputs: NDArray[np.generic]) -> dict[str, int]:
    """How often a run visited each of `CORNERS`; the keys are the same for every network.

    Each step is recomputed from the membranes before it, which the trace holds, and its drive.
    """
    frames = network.check_inputs(inputs)
    counts: dict[str, int] = dict.fromkeys(CORNERS, 0)
    counts["silent inference"] = sum(not frame.any() for frame in frames)
    counts["input at its highest"] = int((frames == network.input.highest).sum())
    counts["input below 0"] = int((frames < 0).sum())
    for node in network.neurons:
        before = np.zeros((len(frames), *node.shape), np.int64)
        for step in range(network.timesteps):
            leaked = reference.leaked(before, node.leak_mul, node.leak_shift)
            if isinstance(node, LIF):
                _visit_leak(counts, node, before, leaked)
                bias = reference.per_channel(node.bias, before)
                drive = [drive_of(network, e, trace, frames, step) for e in network.into(node.name)]
                _visit_step(counts, node, leaked + np.sum(drive, axis=0) + bias)
            else:
                counts["readout leaks"] += int((leaked != before).sum())
            before = trace.membranes[node.name][:, step]
        if isinstance(node, LIF):
            counts["spike in the last step"] += int(trace.spikes[node.name][:, -1].sum())
    return counts


def _visit_leak(counts: dict[str, int], node: LIF, before: Ints, leaked: Ints) -> None:
    fraction = (before * node.leak_mul) % 2**node.leak_shift
    counts["leak of a membrane"] += int((leaked != before).sum())
    counts["leak that floors below 0"] += int(((before < 0) & (fraction != 0)).sum())


def _visit_step(counts: dict[str, int], node: LIF, integrated: Ints) -> None:
    over = integrated - reference.per_channel(node.threshold, integrated)
    fired = over >= 0
    after = np.where(fired, over if node.reset == "subtract" else 0, integrated)
    spikes = fired.reshape(len(fired), -1).any(axis=1)
    for corner, where in {
        "one below the threshold": over == -1,
        "equal to the threshold": over == 0,
        "above the threshold": over > 0,
        f"spike reset {'by subtraction' if node.reset == 'subtract' else 'to zero'}": fired,
        "step without a spike": ~spikes,
        "step with a spike": spikes,
        "clamped at the low end": after < node.lowest,
        "clamped at the high end": after > node.highest,
    }.items():
        counts[corner] += int(where.sum())
