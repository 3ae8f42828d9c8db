"""Attention transfer: where a teacher looks, a student shall look.

The attention map of what a layer sends, A (C, H, W), is the mean of A^2 over channels, as a vector,
divided by its Euclidean norm. The term is, with weight a,

    (a / 2) * sum over compared layers, mean over images of || map of teacher - map of student ||

Compared is, of each run of convolutions with maps of one size, the last: activations after the
nonlinearity, at equal sizes. A spiking student's A is its spikes per step. A layer that sends
nothing has the map 0.
(S. Zagoruyko, N. Komodakis: Paying More Attention to Attention. 2017. There the norm is squared.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from spikewright.golden.errors import require
from spikewright.model.architecture import Layer
from spikewright.model.methods.base import Batch, Context, Method
from spikewright.model.recipes.fields import field, number
from spikewright.model.recipes.methods import PlacedStage, Selector, register

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.model.layers.teacher import Teacher
    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage

_SMALL = 1e-12


@register
class AttentionTransfer(Method):
    """Adds the attention term to the loss."""

    name = "attention"
    order = 50
    selector = Selector("distill", "attention", shared=("both",))
    stage_keys = {  # noqa: RUF012 (declared once, never changed)
        "attention_weight": field(number(0, 1e6), 1.0, quiet=True),
    }
    taught = True
    records = True
    teacher: Teacher

    def __init__(self, weight: float) -> None:
        self.weight = weight

    @classmethod
    def create(cls, stage: Stage, recipe: Recipe) -> Self:
        """With the weight of the stage."""
        return cls(stage.attention_weight)

    @classmethod
    def check(cls, placed: PlacedStage) -> None:
        """There are maps to compare."""
        maps = any(layer.kind == "conv" for layer in placed.layers)
        here, word = f"{placed.where}: stage {placed.stage.name!r}", placed.stage.distill
        remedy = "'logits' where no layer is a convolution, whose maps attention compares"
        require(maps, here, "distill", repr(word), remedy)

    def begin(self, context: Context) -> None:
        """Find the layers that are compared."""
        assert context.teacher is not None, "the stage has no teacher"
        self.teacher = context.teacher
        self.compared = compared([layer.layer for layer in context.network.layers])

    def loss(self, batch: Batch) -> Tensor | None:
        """The term; None if there is no layer to compare."""
        import torch

        _, taught = self.teacher.answer(batch.images)
        rows = len(batch.images)
        terms = [
            distance(taught[place], per_image(batch.sent[place], rows)) for place in self.compared
        ]
        return 0.5 * self.weight * torch.stack(terms).sum() if terms else None


def compared(layers: Sequence[Layer]) -> list[int]:
    """Of each run of convolutions with maps of one size, the place of the last."""
    sizes = [layer.shape[1:] if layer.kind == "conv" else None for layer in layers]
    return [
        place
        for place, size in enumerate(sizes)
        if size is not None and size != dict(enumerate(sizes)).get(place + 1)
    ]


def per_image(sent: Tensor, images: int) -> Tensor:
    """The mean over steps of what a layer sends, (images, *shape)."""
    return sent.reshape(-1, images, *sent.shape[1:]).mean(dim=0)


def attention_map(sent: Tensor) -> Tensor:
    """Normalised maps (images, H * W) of (images, C, H, W)."""
    energy = sent.square().mean(dim=1).flatten(1)
    return energy / energy.norm(dim=1, keepdim=True).clamp(min=_SMALL)


def distance(teacher: Tensor, student: Tensor) -> Tensor:
    """The mean over images of the Euclidean distance between two maps; its slope at 0 is 0."""
    import torch

    gap = (attention_map(teacher) - attention_map(student)).square().sum(dim=1)
    return torch.where(gap > _SMALL, gap.clamp(min=_SMALL).sqrt(), torch.zeros_like(gap)).mean()
