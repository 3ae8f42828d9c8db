"""Random options of the compiler, for tests: lanes, channels per word, steps per pass."""

from __future__ import annotations

import numpy as np

from spikewright.golden.bits import bits_for
from spikewright.golden.network.graph import Network
from spikewright.hw.options import BuildOptions

MOST_LANES = 6
WIDTHS = (1, 2, 4)


def random_options(network: Network, seed: int) -> BuildOptions:
    """Options that `network` allows, the same for the same seed.

    Any number of lanes and of channels per word that the channels of a core allow, a power of two
    of lanes for the output; any number of steps per pass that the network allows.
    """
    rng = np.random.default_rng(seed)
    lanes: dict[str, int] = {}
    widths: dict[str, int] = {}
    for node in network.neurons:
        channels = node.shape[0]
        widths[node.name] = width = min(int(rng.choice(WIDTHS)), 1 << bits_for(channels))
        count = int(rng.integers(1, min(MOST_LANES, -(-channels // width)) + 1))
        if node is network.output:
            count = 1 << (count.bit_length() - 1)
        lanes[node.name] = count
    steps = 1
    if not any(edge.delay for edge in network.edges):
        most = network.timesteps
        steps = int(rng.choice([n for n in range(1, most + 1) if most % n == 0]))
    return BuildOptions(lanes, widths, steps)
