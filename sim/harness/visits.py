"""Converts a core's trace, visit by visit, to values of every neuron, step by step."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.image.memory_image import CoreImage

Ints = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


def visit_order(core: CoreImage) -> Ints:
    """The addresses (visits,) in a trace of one pass, in order."""
    step, address = core.visits
    return step << core.address_bits | address


def is_neuron(core: CoreImage) -> NDArray[np.bool_]:
    """Where a word has a neuron and no padding, (visits, columns)."""
    return core.neurons.T[core.visits[1]] >= 0


def by_neuron(core: CoreImage, values: NDArray[Number]) -> NDArray[Number]:
    """The values (steps, neurons) of whole passes, from `values` (passes * visits, columns)."""
    step, address = core.visits
    neuron = core.neurons.T[address]
    valid = neuron >= 0
    passes = values.reshape(-1, *neuron.shape)
    steps = np.broadcast_to(step[:, None], neuron.shape)[valid]
    size = int(np.prod(core.shape))
    result = np.zeros((len(passes), core.steps_per_pass, size), values.dtype)
    result[:, steps, neuron[valid]] = passes[:, valid]
    return result.reshape(-1, size)
