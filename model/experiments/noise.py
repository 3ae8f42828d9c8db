"""Gaussian noise on input integers, rounded and clipped to the range of the sensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.training.evaluate import Score, evaluate

Images = NDArray[np.uint8]


def add_noise(images: Images, deviation: float, highest: int, seed: int) -> Images:
    """`images` (N, ...) with noise of standard deviation `deviation` * `highest`.

    Values are rounded and clipped to 0..`highest`. The noise of an image depends only on `seed` and
    on the image's index.

    >>> quiet = np.array([[0, 8, 16]], np.uint8)
    >>> add_noise(quiet, 0.0, 16, 0).tolist(), int(add_noise(quiet, 9.0, 16, 0).max()) <= 16
    ([[0, 8, 16]], True)
    """
    noisy = np.empty_like(images)
    for index, image in enumerate(images):
        drawn = np.random.default_rng([seed, index]).standard_normal(image.shape)
        noisy[index] = np.floor(image + deviation * highest * drawn + 0.5).clip(0, highest)
    return noisy


def scores_under_noise(
    network: LayeredNetwork,
    images: Images,
    labels: NDArray[np.int64],
    deviations: Sequence[float],
    seed: int,
) -> dict[float, Score]:
    """The score of `network` under noise of each of the `deviations`.

    Pixels stay within the range of the data set; a network with Poisson coding gets the spikes of
    the noisy pixels.
    """
    highest = network.coder.highest
    return {
        deviation: evaluate(network, add_noise(images, deviation, highest, seed), labels)
        for deviation in deviations
    }
