"""Significant widths: by hand, against a singular value decomposition, and of whole recipes."""

from __future__ import annotations

import numpy as np
import pytest

from spikewright.model.compression.pca import CovarianceSums, components_needed, narrow_words


def test_two_components_by_hand() -> None:
    """Channels 0 and 1 are equal, so their sum is one component; channel 2 is another.

    Four samples (+-2, +-2, +-1): variances 4, 4, 1, the first two fully correlated: 8, 1, 0.
    """
    moments = CovarianceSums(3)
    moments.add(np.array([[2.0, 2, 1], [2, 2, -1], [-2, -2, 1], [-2, -2, -1]]) + 10)
    assert moments.variances() == pytest.approx([8, 1, 0], abs=1e-12)
    found = [components_needed(moments.variances(), share) for share in (0.5, 8 / 9, 0.89, 1.0)]
    assert found == [1, 1, 2, 2]  # 8 / 9 is reached by the first alone


def test_moments_are_squared_singular_values() -> None:
    rng = np.random.default_rng(0)
    drive = (rng.normal(size=(7 * 20, 5)) @ rng.normal(size=(5, 5)) + 3).reshape(7, 4, 5, 5)
    drive = np.moveaxis(drive, -1, 1)  # (images, channels, rows, columns)
    moments = CovarianceSums(5)
    moments.add(drive[:3])
    moments.add(drive[3:])
    samples = np.moveaxis(drive, 1, -1).reshape(-1, 5)
    singular = np.linalg.svd(samples - samples.mean(axis=0), compute_uv=False)
    assert moments.variances() == pytest.approx(singular**2 / len(samples))
    assert moments.count == 140


def test_rank_bounds_the_width() -> None:
    rng = np.random.default_rng(1)
    low = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 16))
    moments = CovarianceSums(16)
    moments.add(low)
    assert components_needed(moments.variances(), 1 - 1e-9) == 3
    widths = [components_needed(moments.variances(), share) for share in (0.3, 0.9, 0.99, 0.999)]
    assert widths == sorted(widths)


def test_words_take_their_widths() -> None:
    names = ["conv1", "conv2", "fc3", "readout"]
    words = ["16C3p0s2", "M2", "32C5", "P4", "100", "10"]
    widths = {"conv1": 3, "conv2": 32, "fc3": 7}
    assert narrow_words(words, names, widths) == ["3C3p0s2", "M2", "32C5", "P4", "7", "10"]
