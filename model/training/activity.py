"""How often every neuron fires on training images: what the compiler shares work out by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints
from spikewright.golden.models import engine
from spikewright.golden.network.graph import Network

INFERENCES = "activity_inferences"
"""The key of a network's meta that says over how many inferences its activity was counted."""

_CHUNK = 32


def measure(network: Network, images: NDArray[np.generic]) -> Network:
    """The network with the events that its input and its spiking nodes send on `images`.

    An event is a value that is not zero: a pixel, a count, a spike. A direct frame is sent once.
    Of no images there is no activity.

    Parameters
    ----------
    images
        Integers (N, *shape) for a direct input, (N, timesteps, *shape) for events.
    """
    sent: dict[str, Ints] = {}
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]
        spikes = engine.run(network, part).spikes
        lead = 1 if network.input.coding == "direct" else 2
        found = {network.input.name: np.count_nonzero(part, axis=tuple(range(lead)))}
        found |= {name: np.count_nonzero(fired, axis=(0, 1)) for name, fired in spikes.items()}
        for name, counts in found.items():
            sent[name] = sent.get(name, 0) + counts.astype(np.int64)
    meta = dict(network.meta) | ({INFERENCES: str(len(images))} if len(images) else {})
    return replace(network, activity=sent, meta=meta)
