"""Activity regularisation: fewer spikes for a little accuracy."""

from __future__ import annotations

from torch import Tensor

from spikewright.model.methods.base import Batch, Method


class SpikePenalty(Method):
    """Adds `weight` times the activity of the hidden layers to the loss.

    Parameters
    ----------
    mean
        "layer": the sum of the means of all layers, so that every layer counts the same, however
        wide. "neuron": the mean over all neurons, which the widest (first) layers dominate.
    """

    records = True

    def __init__(self, weight: float, mean: str = "layer") -> None:
        self.weight, self.mean = weight, mean

    def loss(self, batch: Batch) -> Tensor | None:
        """The term; None if there are no hidden layers."""
        shares = [1.0] * len(batch.sent)
        if self.mean == "neuron":
            neurons = [sent[0].numel() for sent in batch.sent]
            shares = [count / sum(neurons) for count in neurons]
        terms = [
            self.weight * share * sent.mean()
            for share, sent in zip(shares, batch.sent, strict=True)
        ]
        return sum(terms[1:], terms[0]) if terms else None
