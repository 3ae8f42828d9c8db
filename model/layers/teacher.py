"""A trained, frozen network whose outputs others are distilled from."""

from __future__ import annotations

import torch
from torch import Tensor

from spikewright.model.layers.layered import LayeredNetwork


class Teacher:
    """Computes a frozen network's logits and activations, once per batch for all methods.

    It sets the network to eval mode and its parameters to `requires_grad` False.
    """

    def __init__(self, network: LayeredNetwork) -> None:
        self.network = network.eval()
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        self._asked: Tensor | None = None
        self._answer: tuple[Tensor, list[Tensor]] | None = None

    @torch.no_grad()
    def answer(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scaled logits (batch, classes), and the output (batch, *shape) of each hidden layer."""
        if self._asked is not images or self._answer is None:
            sent: list[Tensor] = []
            logits, factor = self.network.logits_and_scale(images, sent)
            self._asked, self._answer = images, (logits * factor, sent)
        return self._answer
