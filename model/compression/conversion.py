"""Thresholds and spike amplitudes that convert a clipped ReLU to a spiking neuron of few steps.

Integrate-and-fire neurons with reset by subtraction of the threshold V, whose spikes have the
amplitude A, answer a constant input x over T steps with the mean

    s(x) = (A / T) clip(floor(x T / V), 0, T)

which replaces y(x) = min(max(x, 0), mu). With V = A = mu it approaches y for many steps; with two
or three, most inputs of a trained network are too small for any spike. Datta and Beerel (DATE 2022,
"Can Deep Neural Networks be Converted to Ultra Low-Latency Spiking Neural Networks?") fit
V = alpha mu and A = beta alpha mu to the inputs: over the percentiles P_j of the layer's inputs in
training, alpha among P_j / mu and beta in steps of 0.01 minimise a loss of y(P_j) - s(P_j). Their
text leaves the loss open; the signed sum, which for nearly every alpha some beta makes zero, is
here for comparison, and squares are the default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spikewright.model.compression.percentiles import percentiles

Floats = NDArray[np.float64]
Loss = Literal["squared", "absolute", "signed"]

LOSSES: tuple[Loss, ...] = ("squared", "absolute", "signed")
BASELINES = ("maximum", "percentile", "clip", "shift")
RULES = ("scaled", *BASELINES)
"""The rules by which a layer's threshold and amplitude are chosen; see `choose`."""

_BETA_STEP = 0.01
_TIE = 1e-9  # losses closer than this share of the smallest are equal


@dataclass(frozen=True)
class Spikes:
    """A converted layer: `threshold`, `amplitude` of a spike, `bias` added in every step."""

    threshold: float
    amplitude: float
    bias: float = 0.0


def clipped(x: Floats, mu: float) -> Floats:
    """The ANN's activation y(x).

    >>> clipped(np.array([-1.0, 0.5, 3.0]), 2.0).tolist()
    [0.0, 0.5, 2.0]
    """
    return np.asarray(np.clip(x, 0.0, mu), np.float64)


def mean_output(x: Floats, spikes: Spikes, timesteps: int) -> Floats:
    """The mean output s(x) over `timesteps` for constant inputs x.

    A neuron fires when its membrane is at least the threshold.

    >>> mean_output(np.array([0.4, 0.5, 0.9, 7.0]), Spikes(1.0, 2.0), 2).tolist()
    [0.0, 1.0, 1.0, 2.0]
    """
    count = np.floor((x + spikes.bias) * timesteps / spikes.threshold)
    return np.asarray(spikes.amplitude / timesteps * np.clip(count, 0, timesteps), np.float64)


def betas(timesteps: int) -> Floats:
    """The values of beta that are tried: 0..2; 0..4 for one step, which rounds inputs down most."""
    top = 4 if timesteps == 1 else 2
    return np.asarray(np.arange(round(top / _BETA_STEP) + 1) * _BETA_STEP, np.float64)


def search(inputs: Floats, mu: float, timesteps: int, loss: Loss = "squared") -> Spikes:
    """The pair (alpha, beta) with the smallest loss over `inputs`, as threshold and amplitude.

    Of equal losses the largest threshold wins, which fires least; then the smallest beta.

    Parameters
    ----------
    inputs
        Percentiles of the layer's inputs; only positive ones count.
    mu
        The trained ceiling.
    """
    points = inputs[inputs > 0]
    if not points.size:
        return Spikes(mu, mu)
    wanted = clipped(points, mu)
    factors = betas(timesteps)
    thresholds = np.unique(np.minimum(points, mu))[::-1]
    table = np.empty((thresholds.size, factors.size))
    for row, threshold in zip(table, thresholds, strict=True):
        sent = mean_output(points, Spikes(float(threshold), float(threshold)), timesteps)
        row[:] = _losses(wanted, sent, factors, loss)
    best = table.min()
    row, column = np.argwhere(table <= best + _TIE * (1 + best))[0]
    return Spikes(float(thresholds[row]), float(factors[column] * thresholds[row]))


def _losses(wanted: Floats, sent: Floats, factors: Floats, loss: Loss) -> Floats:
    """The loss for every one of the `factors` of the outputs `sent`."""
    if loss == "signed":
        return np.abs(wanted.sum() - factors * sent.sum())
    if loss == "squared":  # sum of (w - b s)^2, without a table of points times factors
        return (wanted @ wanted) - 2 * factors * (wanted @ sent) + factors**2 * (sent @ sent)
    return np.abs(wanted[None, :] - factors[:, None] * sent[None, :]).sum(axis=1)


def choose(rule: str, inputs: Floats, mu: float, timesteps: int, loss: Loss = "squared") -> Spikes:
    """Threshold and amplitude of one layer.

    Parameters
    ----------
    rule
        "scaled" is `search`. With the others the amplitude is the threshold: the `maximum` of the
        inputs, the 99.7 `percentile` of the positive ones, or the trained ceiling, `clip`; `shift`
        is `clip` with a bias of half a threshold, in equal shares over all steps.
    inputs
        A sample of the layer's inputs.
    """
    if rule == "scaled":
        return search(percentiles(inputs), mu, timesteps, loss)
    positive = inputs[inputs > 0]
    top = mu
    if rule in ("maximum", "percentile") and positive.size:
        top = float(np.percentile(positive, 100 if rule == "maximum" else 99.7))
    top = top if top > 0 else mu
    return Spikes(top, top, top / (2 * timesteps) if rule == "shift" else 0.0)
