"""What a core's trace shows, visit by visit, as what every neuron did, step by step."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.image.memory_image import CoreImage

Ints = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)


def visit_order(core: CoreImage) -> Ints:
    """(visits,): the addresses that the trace shows in one pass, in order."""
    step, address = core.visits
    return step << core.address_bits | address


def is_neuron(core: CoreImage) -> NDArray[np.bool_]:
    """(visits, columns): where there is a neuron, not padding."""
    return core.neurons.T[core.visits[1]] >= 0


def by_neuron(core: CoreImage, values: NDArray[Number]) -> NDArray[Number]:
    """(time steps, neurons) of any number of whole passes, from their (visits, columns)."""
    step, address = core.visits
    neuron = core.neurons.T[address]
    there = neuron >= 0
    passes = values.reshape(-1, *neuron.shape)
    steps = np.broadcast_to(step[:, None], neuron.shape)[there]
    size = int(np.prod(core.shape))
    found = np.zeros((len(passes), core.steps_per_pass, size), values.dtype)
    found[:, steps, neuron[there]] = passes[:, there]
    return found.reshape(-1, size)
