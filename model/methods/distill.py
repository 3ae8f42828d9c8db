"""Distillation: a student learns the probabilities that a teacher gives to all classes.

The term is, at temperature r with weight w, w r^2 KL(softmax(teacher / r) || softmax(student / r)),
mean over images. (G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge. 2015.)
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from spikewright.model.layers.teacher import Teacher
from spikewright.model.methods.base import Batch, Context, Method


class Distillation(Method):
    """Adds the term to the loss."""

    teacher: Teacher

    def __init__(self, weight: float, temperature: float) -> None:
        self.weight, self.temperature = weight, temperature

    def begin(self, context: Context) -> None:
        """Take the stage's teacher."""
        assert context.teacher is not None, "the stage has no teacher"
        self.teacher = context.teacher

    def loss(self, batch: Batch) -> Tensor | None:
        """The term."""
        logits, _ = self.teacher.answer(batch.images)
        return self.weight * divergence(logits, batch.logits, self.temperature)


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """temperature^2 KL(teacher || student) of logits (images, classes), mean over images."""
    wanted = functional.log_softmax(teacher / temperature, dim=1)
    given = functional.log_softmax(student / temperature, dim=1)
    loss = functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
    return temperature**2 * loss
