"""The chain's first link: the trained torch model against the golden reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikewright import equality_chain, stimulus
from spikewright.equality_chain import Progress
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.layout import BuildFolder, write_json


def check_training(
    recipe: Any,
    training: Path,
    data: Path | None,
    folder: BuildFolder,
    images: int,
    progress: Progress,
) -> None:
    """Compare torch with the reference on test images, and write `report/check.json`.

    It also holds the accuracy on the whole test set, by the engine.
    """
    from spikewright.golden.models import engine, reference
    from spikewright.golden.network import file
    from spikewright.model.training import checkpoint
    from spikewright.model.training.run import trained as trained_network
    from spikewright.model.training.train import exact_settings

    network = file.load(training / "network.safetensors")
    state = checkpoint.load(training, recipe)
    if state is None:
        raise BadInput(f"{training}: the checkpoint is missing; train again with --force")
    trained = trained_network(recipe, state)
    chosen = stimulus.choose(network, "test", data)
    part = chosen.first(min(images, len(chosen)))
    programs = (
        ("torch", lambda slot: trained.trace(part.inputs[slot])),
        ("reference", lambda slot: reference.run(network, part.inputs[slot])),
    )
    with exact_settings(recipe.training.threads):
        links = equality_chain.follow(programs, len(part), progress)
    result = {
        "fingerprint": file.fingerprint(network),
        "links": [link.as_dict() for link in links],
        "accuracy": chosen.accuracy(engine.logits(network, chosen.inputs)),
        "accuracy_images": len(chosen),
        "stimulus": chosen.source,
    }
    write_json(folder.result("check"), result)
    for link in links:
        if link.mismatches:
            raise CheckFailed(f"{link.name}: {link.mismatches} values differ; first: {link.first}")
