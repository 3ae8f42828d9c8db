"""The cycle model: cycles of the accelerator, from its memory image and the spikes alone.

It predicts the hardware's own counters and the cycle of every logit exactly: for any graph, any
number of inferences back to back, and any pattern in which a bench stalls the streams. The model
is clocked cycle by cycle (`golden.cycles.clock`), but no value is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints, Spikes
from spikewright.golden.cycles.clock import run_clock
from spikewright.golden.cycles.lookup import initial_state, input_addresses
from spikewright.golden.cycles.stalls import EXTRA, Stalls
from spikewright.golden.errors import CheckFailed, require
from spikewright.golden.image.counters import COUNTERS, Counters
from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.timing import Latencies
from spikewright.golden.network.trace import Trace

_PATIENCE = 20_000
"""Cycles without any work, more than a stalled stream ever waits, until the model gives up."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The cycles of a batch; they count from 0, the first after reset.

    Attributes
    ----------
    cores
        The counters of every core.
    first_beat
        The cycle in which the first beat is accepted.
    logits
        int64 (batch, classes): the cycle in which each logit leaves, in the order in which they do.
    counted
        How many cycles were counted, until everything was at rest.
    """

    cores: tuple[Counters, ...]
    first_beat: int
    logits: Ints
    counted: int

    def counters(self, counted: Sequence[int]) -> tuple[Counters, ...]:
        """Those of core i when it has counted `counted[i]` cycles, all at rest by then."""
        return tuple(
            replace(core, idle=core.idle + cycles - self.counted)
            for core, cycles in zip(self.cores, counted, strict=True)
        )

    @property
    def cycles(self) -> int:
        """Cycles from reset until the last logit has left."""
        return int(self.logits[-1, -1]) + 1

    @property
    def busy_cycles(self) -> int:
        """From the first beat to the last logit."""
        return self.cycles - self.first_beat

    @property
    def latency_cycles(self) -> int:
        """Of the first inference, which meets an empty accelerator: first beat to last logit."""
        return int(self.logits[0, -1]) - self.first_beat + 1

    @property
    def cycles_per_inference(self) -> float:
        """Mean distance between the last logits of inferences; of a single one its latency."""
        if len(self.logits) == 1:
            return float(self.latency_cycles)
        return float(self.logits[-1, -1] - self.logits[0, -1]) / (len(self.logits) - 1)


@dataclass(frozen=True)
class Source:
    """How the source and the consumer of the accelerator behave.

    Attributes
    ----------
    start
        The cycle from which on the first beat is offered; each next one follows at once.
    counted
        The first cycle that counters count: the one after they were cleared.
    stalls
        In which cycles streams are stalled; never by default.
    """

    start: int = 0
    counted: int = 0
    stalls: Stalls = field(default_factory=Stalls)


def predict(
    image: Image, inputs: NDArray[np.generic], trace: Trace, source: Source | None = None,
    latencies: Latencies | None = None,
) -> Prediction:  # fmt: skip
    """Predict the cycles of a batch.

    Parameters
    ----------
    inputs
        Checked integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events.
    trace
        Their spikes, from any program of the chain of equality; nothing else is used.
    source
        When beats are offered and logits are taken: by default as early as possible.
    latencies
        By default those of `golden.image.timing`.

    Raises
    ------
    BadInput
        If there are no inputs, or inputs or trace do not belong to the image.
    CheckFailed
        If the accelerator deadlocks.
    """
    source, t = source or Source(), latencies or Latencies()
    steps, batch = image.timesteps, len(inputs)
    shape = (batch, *(() if image.input.direct else (steps,)), *image.input.shape)
    require(batch > 0, "cycle model", "number of inputs", batch, "at least 1")
    require(inputs.shape == shape, "cycle model", "shape of the inputs", inputs.shape, str(shape))
    state = initial_state(image, _spikes(image, trace, batch), batch, t)
    logits = np.zeros(batch * image.cores[-1].size[0], np.int64)
    result, stalls = np.zeros(3, np.int64), source.stalls
    run_clock(
        state, t, input_addresses(image, inputs), (source.start, source.counted, _PATIENCE),
        stalls.registers(len(state.edges) + EXTRA), stalls.rate, stalls.seed & 1, logits, result,
    )  # fmt: skip
    first, cycles, stuck = (int(value) for value in result)
    if stuck:
        raise CheckFailed(f"cycle model: nothing moves any more after {cycles - _PATIENCE} cycles")
    cores = tuple(
        Counters(core.node, **{name: int(state.cores[name][k]) for name in COUNTERS})
        for k, core in enumerate(image.cores)
    )
    return Prediction(cores, first, logits.reshape(batch, -1), cycles - source.counted)


def _spikes(image: Image, trace: Trace, batch: int) -> dict[str, Spikes]:
    """(batch, timesteps, *shape) of every spiking core."""
    by_node: dict[str, Spikes] = {}
    for core in image.cores:
        if core.kind == "readout":
            continue
        spikes = trace.spikes.get(core.node)
        shape = (batch, image.timesteps, *core.shape)
        where = f"cycle model: spikes of {core.node!r}"
        require(spikes is not None, where, "trace", "without them", "of the same network")
        assert spikes is not None
        require(spikes.shape == shape, where, "shape", spikes.shape, str(shape))
        by_node[core.node] = spikes
    return by_node
