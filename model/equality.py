"""Checks that the trained torch network equals the exported integer network, value by value.

On a few images every spike, membrane and logit is compared with the golden reference. On all test
images the logits are compared with the golden engine, which takes a fraction of torch's time: so
the reported accuracy is that of the file, image by image.
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
    """Compares every spike, membrane and logit of torch with the golden reference.

    `images` are integers (N, [T,] C, H, W), the inputs of the network.

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
    """Compares torch's logits in eval mode with the golden engine; returns the number of images.

    Parameters
    ----------
    coder
        Turns `images` into inputs of the network: the same as torch's.
    logits
        Torch's logits of all `images`, in order, as one or more arrays (n, classes) of integers.

    Raises
    ------
    CheckFailed
        Naming the first image and class that differ, both values, and how many others do.
    """
    actual = np.concatenate(logits)
    if len(actual) != len(images):
        raise CheckFailed(f"torch gave logits of {len(actual)} of {len(images)} images")
    golden = np.concatenate(list(_golden_logits(exported, coder, images)))
    wrong = actual != golden  # also where torch has a fraction or NaN
    if wrong.any():
        image, label = (int(index) for index in np.argwhere(wrong)[0])
        raise CheckFailed(
            f"torch and golden engine differ in {int(wrong.sum())} logits of "
            f"{int(wrong.any(axis=1).sum())} of {len(images)} test images: first image {image}, "
            f"class {label}: torch {actual[image, label]:.10g}, golden {golden[image, label]}"
        )
    return len(images)


def _golden_logits(
    exported: Network, coder: Coder, images: NDArray[np.uint8]
) -> Iterator[NDArray[np.int64]]:
    def chunk_logits(start: int) -> NDArray[np.int64]:
        chunk = images[start : start + _CHUNK]
        indices = np.arange(start, start + len(chunk))
        return engine.logits(exported, coder.integers(chunk, indices))

    # the engine has one thread and releases the interpreter's lock
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(chunk_logits, range(0, len(images), _CHUNK))
