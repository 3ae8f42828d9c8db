"""Activity regularisation: fewer spikes for a little accuracy."""

from __future__ import annotations

from torch import Tensor

from model.method import Batch, Method


class SpikePenalty(Method):
    """Adds `weight` times the mean of what each hidden layer sends to the loss.

    Every layer counts the same, however wide: one mean over all neurons would see the first only.
    """

    records = True

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def loss(self, batch: Batch) -> Tensor | None:
        """The sum over layers."""
        terms = [self.weight * sent.mean() for sent in batch.sent]
        return sum(terms[1:], terms[0]) if terms else None
