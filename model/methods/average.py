"""Averages of what is trained over its last steps: validated and exported, or trained on.

The average of parameters lies nearer to the middle of a valley than the last step of a high rate
does. Running statistics are averaged with the parameters that they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spikewright.model.methods.base import Context, Method
from spikewright.model.recipes.fields import choice, field, integer, number
from spikewright.model.recipes.methods import register

if TYPE_CHECKING:
    from torch import Tensor

    from spikewright.model.recipes.recipe import Recipe
    from spikewright.model.recipes.stages import Stage

_KEYS = {
    "average": field(choice("none", "ema", "lookahead"), "none", quiet=True),
    "average_every": field(integer(1, 10000), 5, quiet=True),
    "average_decay": field(number(0, 0.99999), 0.77, quiet=True),
}


class _Average(Method):
    """A second copy of all float values of the network, which follows them every few steps."""

    training_keys = _KEYS

    @classmethod
    def selected(cls, stage: Stage, recipe: Recipe) -> bool:
        """If [training] names it."""
        return recipe.training.average == cls.name

    def begin(self, context: Context) -> None:
        """Start the average where the stage starts."""
        training = context.recipe.training
        self.network, self.steps = context.network, context.steps
        self.every, self.decay = training.average_every, training.average_decay
        self.slow = {name: value.detach().clone() for name, value in self._fast().items()}

    def _fast(self) -> dict[str, Tensor]:
        """The values that are averaged: parameters and statistics, not masks."""
        found = self.network.state_dict()
        return {name: value for name, value in found.items() if value.is_floating_point()}

    def _follow(self, decay: float) -> None:
        """Move the average towards the network: it keeps `decay` of itself."""
        for name, value in self._fast().items():
            self.slow[name].lerp_(value, 1 - decay)

    def _put(self, values: Mapping[str, Tensor]) -> None:
        """Make `values` those of the network; pruned weights stay zero."""
        for name, value in self._fast().items():
            value.copy_(values[name])
        self.network.project()

    def state(self) -> dict[str, Any]:
        """The average."""
        return {"slow": self.slow}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the average up."""
        for name, value in state["slow"].items():
            self.slow[name].copy_(value)


@register
class Lookahead(_Average):
    """Training goes on from the average (Zhang et al., 2019), which gains weight with time.

    Every `average_every` steps the average moves to the network, keeping `average_decay` of itself
    times the cube of the share of steps done, and the network is put on it, as in airbench
    (Jordan, arXiv 2404.00498). The last step ends on the average itself.
    """

    name = "lookahead"
    order = 35

    def after_step(self, step: int) -> None:
        """Move the average, and train on from it."""
        last = step + 1 == self.steps
        if not last and (step + 1) % self.every:
            return
        if not last:
            self._follow(self.decay * ((step + 1) / self.steps) ** 3)
        self._put(self.slow)


@register
class MovingAverage(_Average):
    """An exponential moving average is validated, chosen and exported; training goes its own way.

    Every `average_every` steps the average keeps `average_decay` of itself, at first less.
    """

    name = "ema"
    order = 36

    def after_step(self, step: int) -> None:
        """Move the average."""
        if (step + 1) % self.every == 0:
            moved = (step + 1) // self.every
            self._follow(min(self.decay, moved / (moved + 9)))

    def begin_validation(self) -> None:
        """Put the average in the network's place."""
        self.aside = {name: value.clone() for name, value in self._fast().items()}
        self._put(self.slow)

    def end_validation(self) -> None:
        """Training goes on with the network's own values."""
        self._put(self.aside)
