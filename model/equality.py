"""The trained network against the integer network that was exported: every value of it must agree.

On a few images that is every spike, membrane and logit of the golden reference. On all test images
it is the logits of the golden engine, which run in a fraction of the time that torch needs: so
the accuracy that is reported is that of the file, image by image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import CheckFailed
from spikewright.golden.models import engine, reference
from spikewright.golden.network.graph import Network
from spikewright.golden.network.trace import compare
from spikewright.model.data.coding import Coder
from spikewright.model.layers.spiking import SpikingNetwork

_CHUNK = 256  # images at once: the engine's memory, and that of their Poisson spikes


def check_trace(network: SpikingNetwork, exported: Network, images: NDArray[np.generic]) -> None:
    """Compare every spike, membrane and logit of torch and of the golden reference.

    `images` are integers (N, [T,] C, H, W), as they enter the network.

    Raises
    ------
    CheckFailed
        Naming the first value that differs.
    """
    result = compare(reference.run(exported, images), network.trace(images))
    if result.mismatches:
        raise CheckFailed(
            f"torch and golden reference differ in {result.mismatches} values: {result.first}"
        )


def check_logits(
    exported: Network, coder: Coder, images: NDArray[np.uint8],
    logits: Sequence[NDArray[np.generic]],
) -> int:  # fmt: skip
    """Compare the logits of torch in eval mode with those of the golden engine; how many images.

    Parameters
    ----------
    coder
        Makes the network's integers of `images`: the very ones that torch saw.
    logits
        Of all `images`, in order, in one or more arrays (n, classes), whole numbers.

    Raises
    ------
    CheckFailed
        Naming the first image and class that differ, both values, and how many others do.
    """
    found = np.concatenate(logits)
    if len(found) != len(images):
        raise CheckFailed(f"torch gave logits of {len(found)} of {len(images)} images")
    golden = np.concatenate(list(_golden(exported, coder, images)))
    wrong = found != golden  # also where torch has a fraction, or no number
    if wrong.any():
        image, label = (int(place) for place in np.argwhere(wrong)[0])
        raise CheckFailed(
            f"torch and golden engine differ in {int(wrong.sum())} logits of "
            f"{int(wrong.any(axis=1).sum())} of {len(images)} test images: first image {image}, "
            f"class {label}: torch {found[image, label]:.10g}, golden {golden[image, label]}"
        )
    return len(images)


def _golden(
    exported: Network, coder: Coder, images: NDArray[np.uint8]
) -> Iterator[NDArray[np.int64]]:
    def run(start: int) -> NDArray[np.int64]:
        part = images[start : start + _CHUNK]
        indices = np.arange(start, start + len(part))
        return engine.logits(exported, coder.integers(part, indices))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the engine has one thread, without the GIL
        yield from pool.map(run, range(0, len(images), _CHUNK))
