"""Gaussian noise on input integers, as far as a sensor with their range could deliver it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.training.evaluate import Score, evaluate

Images = NDArray[np.uint8]


def add_noise(images: Images, deviation: float, highest: int, seed: int) -> Images:
    """`images` with noise of `deviation` times `highest`, rounded and clipped to 0..`highest`.

    The noise of an image depends on `seed` and on its place among the images alone.

    >>> quiet = np.array([[0, 8, 16]], np.uint8)
    >>> add_noise(quiet, 0.0, 16, 0).tolist(), int(add_noise(quiet, 9.0, 16, 0).max()) <= 16
    ([[0, 8, 16]], True)
    """
    found = np.empty_like(images)
    for place, image in enumerate(images):
        drawn = np.random.default_rng([seed, place]).standard_normal(image.shape)
        found[place] = np.floor(image + deviation * highest * drawn + 0.5).clip(0, highest)
    return found


def scores_under_noise(
    network: LayeredNetwork,
    images: Images,
    labels: NDArray[np.int64],
    deviations: Sequence[float],
    seed: int,
) -> dict[float, Score]:
    """The score of `network` under noise of each of the `deviations`.

    Pixels stay within the range of the data set; a network that reads Poisson spikes gets those of
    the noisy pixels.
    """
    highest = network.coder.highest
    return {
        deviation: evaluate(network, add_noise(images, deviation, highest, seed), labels)
        for deviation in deviations
    }
