"""Distillation: a student learns the probabilities that a teacher gives to all classes.

The term is, at temperature r with weight w, w r^2 KL(softmax(teacher / r) || softmax(student / r)),
mean over images. (G. Hinton, O. Vinyals, J. Dean: Distilling the Knowledge. 2015.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from spikewright.model.methods.base import Batch, Context, Method
from spikewright.model.recipes.fields import field, number
from spikewright.model.recipes.methods import Selector, register

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.model.layers.teacher import Teacher
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage


@register
class Distillation(Method):
    """Adds the term to the loss."""

    name = "distillation"
    order = 60
    selector = Selector("distill", "logits", shared=("both",))
    stage_keys = {  # noqa: RUF012 (declared once, never changed)
        "logits_weight": field(number(0, 1e6), 0.5, quiet=True),
        "temperature": field(number(0.1, 100), 4.0, quiet=True),
    }
    taught = True
    teacher: Teacher

    def __init__(self, weight: float, temperature: float) -> None:
        self.weight, self.temperature = weight, temperature

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Self:
        """With the weight and the temperature of the stage."""
        return cls(stage.logits_weight, stage.temperature)

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
    from torch.nn import functional

    wanted = functional.log_softmax(teacher / temperature, dim=1)
    given = functional.log_softmax(student / temperature, dim=1)
    loss = functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
    return temperature**2 * loss
