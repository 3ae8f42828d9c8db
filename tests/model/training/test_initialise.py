"""First weights: identities pass images on, and a whitened first layer has equal variances."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.recipes import recipe
from spikewright.model.training.initialise import initialise, whitening_directions


def network(init: str) -> AnnNetwork:
    layers = ["20C3", "24C3", "16C5", "12C1", "10"]
    content = {"name": "x", "data": "fashion-mnist", "timesteps": 2, "layers": layers,
               "training": {"epochs": 1}, "stages": [{"kind": "snn"}]}  # fmt: skip
    found = AnnNetwork(recipe.from_dict(content))
    initialise(found, init, correlated(200))
    return found


def correlated(count: int) -> np.ndarray:
    """Smooth random images: neighbours are alike."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 40, (count, 1, 7, 7)).repeat(4, 2).repeat(4, 3)
    return np.clip(coarse + rng.normal(128, 10, coarse.shape), 0, 255).astype(np.uint8)


def test_uniform_leaves_all_as_it_was() -> None:
    one, other = network("uniform"), AnnNetwork(network("uniform").recipe)
    for a, b in zip(one.synapses(), other.synapses(), strict=True):
        assert torch.equal(a.weight, b.weight)


@torch.no_grad()
def test_identities_pass_on_what_they_read() -> None:
    fresh, dirac = network("uniform"), network("dirac")
    images = torch.rand(3, 20, 9, 9)
    pairs = list(zip(fresh.synapses(), dirac.synapses(), strict=True))
    _, second, third, pointwise, readout = pairs
    out = functional.conv2d(images, second[1].weight, padding=1)
    size = second[0].weight.flatten(1).norm(dim=1).mean()
    assert torch.allclose(out[:, :20], images * size, atol=1e-5)
    assert torch.equal(second[1].weight[20:], second[0].weight[20:])
    assert third[1].weight[3, 3, 2, 2] > 0
    assert third[1].weight[3].count_nonzero() == 1
    for old, new in (pointwise, readout):
        assert torch.equal(old.weight, new.weight)


def test_whitened_patches_have_equal_variances_and_no_covariance() -> None:
    images = correlated(2000)
    directions = whitening_directions(images, 3, 1)
    found = functional.conv2d(torch.from_numpy(images.astype(np.float64)), directions)
    covariance = np.cov(found.transpose(0, 1).reshape(9, -1).numpy())
    outside = covariance - np.diag(np.diag(covariance))
    assert np.abs(outside).max() < 1e-6
    assert np.all(np.diag(covariance) > 0.5)
    assert np.all(np.diag(covariance) <= 1)


def test_the_first_layer_has_each_direction_with_both_signs() -> None:
    first, fresh = (next(network(init).synapses()).weight for init in ("whitening", "uniform"))
    assert torch.equal(first[0:18:2], -first[1:18:2])
    assert torch.equal(first[18:], fresh[18:])  # 9 directions, 20 channels
