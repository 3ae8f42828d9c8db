"""The events of passes of several time steps, each with the mask of its steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints


class PassEvents(NamedTuple):
    """The events of many passes, pass by pass: arrays of one length.

    `neuron` is the flat index of the neuron; bit p of `steps` is set if the event belongs to step p
    of its pass.
    """

    frame: Ints
    neuron: Ints
    value: Ints
    steps: Ints


def pass_events(values: NDArray[np.generic], steps: int) -> PassEvents:
    """The events of `values` (time steps, neurons), `steps` of them to a pass.

    Every nonzero value is an event; equal values of one neuron in one pass are one event. Events
    are sorted by neuron, then by value.

    >>> [part.tolist() for part in pass_events(np.array([[0, 2], [1, 2], [0, 0], [0, 3]]), 2)]
    [[0, 0, 1], [0, 1, 1], [1, 2, 3], [2, 3, 2]]
    """
    time, neuron = np.nonzero(values)
    value = values[time, neuron].astype(np.int64)
    frame, step = np.divmod(time, steps)
    order = np.lexsort((value, neuron, frame))
    frame, neuron, value, step = (column[order] for column in (frame, neuron, value, step))
    same = (np.diff(frame) == 0) & (np.diff(neuron) == 0) & (np.diff(value) == 0)
    first = np.flatnonzero(np.append(True, ~same)[: len(frame)])
    masks = np.add.reduceat(1 << step, first) if len(first) else step
    return PassEvents(frame[first], neuron[first], value[first], masks)
