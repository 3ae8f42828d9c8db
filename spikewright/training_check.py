"""The chain's first link: the trained torch model against the golden reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spikewright.golden.equality_chain import Link, Program, Progress, follow, reference_program
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.golden.models import engine
from spikewright.golden.network import file
from spikewright.golden.processes.locks import reading
from spikewright.layout import BuildFolder
from spikewright.results.base import Result
from spikewright.stimulus import choose_stimulus

if TYPE_CHECKING:
    from spikewright.model.recipes.recipe import Recipe


@dataclass(frozen=True)
class TrainingCheck(Result):
    """A trained model against its exported network.

    Attributes
    ----------
    links
        The one link "torch == reference".
    accuracy, accuracy_images
        By the engine on the whole test set, 0..1.
    """

    fingerprint: str
    links: tuple[Link, ...]
    mismatches: int
    first_mismatch: str | None
    accuracy: float | None
    accuracy_images: int
    stimulus: str

    def require(self) -> None:
        """Raise `CheckFailed` naming the first mismatch, if there is one."""
        if self.mismatches:
            raise CheckFailed(f"{self.mismatches} values differ; first: {self.first_mismatch}")


def check_training(
    recipe: Recipe, folder: str | Path, data: str | Path | None = None, images: int = 360,
    progress: Progress | None = None,
) -> TrainingCheck:  # fmt: skip
    """Compare torch with the reference on test images, in every spike, membrane and logit.

    Parameters
    ----------
    folder
        Where `recipe` was trained: checkpoint and network.
    data
        The folder that holds the data sets; None takes the one in `SPIKEWRIGHT_DATA`.
    images
        How many test images at most.

    Raises
    ------
    BadInput
        If the checkpoint is missing, damaged or of another recipe, or the data set is missing.
    """
    from spikewright.model.training import checkpoint
    from spikewright.model.training.run import trained as trained_network
    from spikewright.model.training.train import exact_settings

    training = BuildFolder(Path(folder))
    with reading(training.path):
        network = file.load(training.network)
        state = checkpoint.load(training.path, recipe)
    if state is None:
        raise BadInput(f"{training.path}: the checkpoint is missing; train again with --force")
    trained = trained_network(recipe, state)
    stimulus = choose_stimulus(network, "test", data)
    inputs = stimulus.first(min(images, len(stimulus))).inputs
    programs = (
        Program.of("torch", lambda part: trained.trace(inputs[part])),
        reference_program(network, inputs),
    )
    with exact_settings(recipe.training.threads):
        equality = follow(programs, len(inputs), progress=progress)
    return TrainingCheck(
        file.fingerprint(network), equality.links, equality.mismatches, equality.first,
        stimulus.accuracy(engine.logits(network, stimulus.inputs)), len(stimulus), stimulus.source,
    )  # fmt: skip
