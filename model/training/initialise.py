"""First weights that already carry the image on: identities, and a first layer that whitens.

Both are those of airbench (Jordan, arXiv 2404.00498), for convolutions followed by batch norm.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikewright.model.data.batches import evenly_spaced
from spikewright.model.layers.layered import LayeredNetwork
from spikewright.model.layers.synapse import Synapse

_PATCH_IMAGES = 2000
_LEAST_VARIANCE = 1e-3  # of a direction, as a share of the largest: what is nearly nothing stays so


def initialise(network: LayeredNetwork, start: str, images: NDArray[np.uint8]) -> None:
    """Replace fresh weights as `training.init` says: "uniform" leaves them as they are.

    "dirac" begins every 3x3 or larger convolution with an identity: its first channels pass on what
    they read. "whitening" does the same, and the first convolution becomes the principal
    directions of the patches of `images`, scaled to equal variance, each with both signs.
    """
    if start == "uniform":
        return
    synapses = [s for s in network.synapses() if s.layer.kind == "conv" and s.layer.kernel > 1]
    for synapse in synapses:
        pass_on(synapse)
    if start == "whitening" and synapses:
        whiten(synapses[0], images)


@torch.no_grad()
def pass_on(synapse: Synapse) -> None:
    """The first output channels become copies of the input channels, of the size of the others."""
    weight = synapse.weight
    norms = weight.flatten(1).norm(dim=1).mean()
    count, centre = min(weight.shape[:2]), weight.shape[-1] // 2
    weight[:count] = 0
    weight[range(count), range(count), centre, centre] = norms


@torch.no_grad()
def whiten(synapse: Synapse, images: NDArray[np.uint8]) -> None:
    """The first output channels become whitening directions, with both signs; others stay."""
    weight = synapse.weight
    directions = whitening_directions(images, weight.shape[-1], weight.shape[1])
    pairs = torch.stack([directions, -directions], dim=1).reshape(-1, *weight.shape[1:])
    count = min(len(pairs), len(weight))
    pairs = pairs[:count].to(weight)
    weight[:count] = (
        pairs / pairs.flatten(1).norm(dim=1).mean() * weight.flatten(1).norm(dim=1).mean()
    )


def whitening_directions(images: NDArray[np.uint8], kernel: int, channels: int) -> Tensor:
    """Principal directions (channels * kernel^2, channels, kernel, kernel) of all patches.

    Ordered by falling variance, and divided by its root.
    """
    chosen = evenly_spaced(images, _PATCH_IMAGES).astype(np.float64)
    chosen = chosen.reshape(-1, channels, *chosen.shape[-2:])
    windows = np.lib.stride_tricks.sliding_window_view(chosen, (kernel, kernel), (2, 3))
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, channels * kernel * kernel)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    values, vectors = values[::-1], vectors[:, ::-1]
    scaled = vectors / np.sqrt(values + _LEAST_VARIANCE * values[0])
    return torch.from_numpy(scaled.T.reshape(-1, channels, kernel, kernel).copy())
