"""The cycle model against a simulated run: every counter of every core, every logit's cycle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.cycles.prediction import Prediction, predict
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network.trace import Trace
from spikewright.sim.accelerator_bench import Run


@dataclass(frozen=True)
class CycleCheck:
    """How many predicted numbers were compared, how many differ, and the first that does."""

    compared: int
    differences: int
    first: str | None

    @classmethod
    def total(cls, checks: Sequence[CycleCheck]) -> CycleCheck:
        """Several in one."""
        return cls(
            sum(each.compared for each in checks), sum(each.differences for each in checks),
            next((each.first for each in checks if each.first), None),
        )  # fmt: skip


def check(image: Image, inputs: NDArray[np.generic], trace: Trace, run: Run) -> CycleCheck:
    """Predict a run from its inputs and spikes, as its bench behaved; compare with what it counted.

    Parameters
    ----------
    trace
        Of golden, not of the run.
    """
    pairs = list(_pairs(predict(image, inputs, trace, run.source), run))
    wrong = [
        f"{name} is {counted}, predicted {predicted}"
        for name, predicted, counted in pairs
        if predicted != counted
    ]
    return CycleCheck(len(pairs), len(wrong), next(iter(wrong), None))


def _pairs(prediction: Prediction, run: Run) -> Iterator[tuple[str, int, int]]:
    """(name, predicted, counted) of everything that is predicted."""
    first = int(run.capture.first_input[0])
    yield "the cycle of the first beat", prediction.first_beat - run.began, first
    places = np.ndindex(prediction.logits.shape)
    logits = zip(places, prediction.logits.flat, run.capture.outputs.flat, strict=True)
    for (image, place), predicted, counted in logits:
        yield f"the cycle of image {image}, logit {place}", int(predicted) - run.began, int(counted)
    expected = prediction.counters([core.cycles for core in run.counters])
    for ours, theirs in zip(expected, run.counters, strict=True):
        for name, value in theirs.as_dict().items():
            yield f"core {ours.node!r}: counter {name}", getattr(ours, name), value
