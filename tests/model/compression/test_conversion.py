"""The search for threshold and amplitude, against values worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikewright.model.compression.conversion import (
    LOSSES,
    Spikes,
    betas,
    choose,
    clipped,
    mean_output,
    search,
)
from spikewright.model.compression.percentiles import percentiles, thinned


def test_the_mean_output_is_what_a_neuron_does() -> None:
    for x, threshold, timesteps in itertools.product(
        [-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 3.0], [0.5, 1.0], [1, 2, 3, 8]
    ):
        spikes = Spikes(threshold, 1.5, 0.125)
        membrane, fired = 0.0, 0
        for _ in range(timesteps):
            membrane += x + spikes.bias
            if membrane >= threshold:
                membrane -= threshold
                fired += 1
        expected = 1.5 * fired / timesteps
        assert mean_output(np.array([x]), spikes, timesteps)[0] == pytest.approx(expected)


def test_search_by_hand() -> None:
    """Two steps, mu 4, inputs 1 and 2: V = 1 counts 2 and 2, V = 2 counts 1 and 2.

    V = 1: s = beta, beta; (1 - b)^2 + (2 - b)^2 is 0.5 at 1.5.
    V = 2: s = beta, 2 beta; (1 - b)^2 + (2 - 2 b)^2 is 0 at 1.
    """
    for loss in LOSSES:
        found = search(np.array([-3.0, 0.0, 1.0, 2.0]), 4.0, 2, loss)
        assert (found.threshold, found.amplitude) == (2.0, 2.0)


def test_losses_by_hand() -> None:
    """One step, mu 2, inputs 1, 1, 2: V = 1 sends b each, V = 2 sends 0, 0, 2 b.

    squared: 2 (1 - b)^2 + (2 - b)^2 is 2/3 at 4/3 for V = 1; 2 + (2 - 2 b)^2 is 2 for V = 2.
    absolute: V = 1, b = 1 leaves 1; V = 2, b = 1 leaves 2.
    signed: 4 - 3 b, 4/3 is not on the grid, 1.33 leaves 0.01; V = 2, b = 2 leaves 0: degenerate.
    """
    inputs = np.array([1.0, 1.0, 2.0])
    squared = search(inputs, 2.0, 1)
    assert (squared.threshold, squared.amplitude) == (1.0, pytest.approx(1.33))
    absolute = search(inputs, 2.0, 1, "absolute")
    assert (absolute.threshold, absolute.amplitude) == (1.0, pytest.approx(1.0))
    signed = search(inputs, 2.0, 1, "signed")
    assert (signed.threshold, signed.amplitude) == (2.0, pytest.approx(4.0))


def test_the_clip_bounds_the_threshold() -> None:
    found = search(np.array([5.0, 6.0]), 2.0, 2)
    assert (found.threshold, found.amplitude) == (2.0, 2.0)
    assert search(np.array([-1.0]), 2.0, 2) == Spikes(2.0, 2.0)


@given(
    st.lists(st.floats(0.01, 8), min_size=1, max_size=12),
    st.floats(0.5, 4),
    st.integers(1, 4),
    st.sampled_from(LOSSES),
)
def test_no_pair_of_the_grid_is_better(
    points: list[float], mu: float, timesteps: int, loss: str
) -> None:
    inputs = np.array(points)

    def cost(spikes: Spikes) -> float:
        error = clipped(inputs, mu) - mean_output(inputs, spikes, timesteps)
        if loss == "signed":
            return abs(error.sum())
        return float((error**2 if loss == "squared" else abs(error)).sum())

    found = cost(search(inputs, mu, timesteps, loss))  # type: ignore[arg-type]
    rng = np.random.default_rng(len(points))
    for threshold in np.minimum(inputs, mu):
        for beta in rng.choice(betas(timesteps), 8):
            assert found <= cost(Spikes(threshold, beta * threshold)) + 1e-6


def test_small_inputs_ask_for_a_small_threshold_at_two_steps() -> None:
    inputs = np.abs(np.random.default_rng(0).normal(0, 0.3, 5000))
    few, many = (choose("scaled", inputs, 4.0, steps) for steps in (2, 64))
    unscaled = choose("clip", inputs, 4.0, 2)
    assert few.threshold < 0.5 * unscaled.threshold
    assert few.threshold < many.threshold  # alpha rises with the steps
    assert few.amplitude / few.threshold > many.amplitude / many.threshold > 0.95  # beta falls to 1
    grid = percentiles(inputs)
    assert mean_output(grid, unscaled, 2).max() == 0  # nothing passes: the collapse
    error = [np.square(grid - mean_output(grid, s, t)).mean() for s, t in ((few, 2), (many, 64))]
    assert error[1] < error[0] < 0.3 * np.square(grid).mean()


def test_baselines_by_hand() -> None:
    inputs = np.arange(-500.0, 501.0) / 100  # -5 .. 5
    assert choose("maximum", inputs, 2.0, 4) == Spikes(5.0, 5.0)
    assert choose("percentile", inputs, 2.0, 4) == Spikes(
        pytest.approx(4.98503), pytest.approx(4.98503)
    )
    assert choose("clip", inputs, 2.0, 4) == Spikes(2.0, 2.0)
    assert choose("shift", inputs, 2.0, 4) == Spikes(2.0, 2.0, 0.25)
    assert choose("maximum", np.array([-1.0]), 2.0, 4) == Spikes(2.0, 2.0)


def test_samples_are_bounded_and_spread() -> None:
    assert thinned(np.arange(1e6), 1000).tolist() == list(range(0, 10**6, 1000))
    assert percentiles(np.zeros(0)).tolist() == [0.0] * 100
