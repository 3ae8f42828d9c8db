"""A trained network that answers for others to learn from, and never changes."""

from __future__ import annotations

import torch
from torch import Tensor

from spikewright.model.layers.layered import LayeredNetwork


class Teacher:
    """Logits, fit for a loss, and what each hidden layer sends, for the images of a batch.

    Several methods may ask about the same images; they are answered once.
    """

    def __init__(self, network: LayeredNetwork) -> None:
        self.network = network.eval()
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        self._asked: Tensor | None = None
        self._answer: tuple[Tensor, list[Tensor]] | None = None

    @torch.no_grad()
    def answer(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scaled logits (batch, classes), and of each layer activations (batch, *shape)."""
        if self._asked is not images or self._answer is None:
            sent: list[Tensor] = []
            logits, factor = self.network.logits_and_scale(images, sent)
            self._asked, self._answer = images, (logits * factor, sent)
        return self._answer
