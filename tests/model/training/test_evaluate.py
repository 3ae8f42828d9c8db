"""The score of a network in training compares classes with labels one by one, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.run import Run


def test_labels_in_a_column_or_outside_the_classes_are_refused(tiny: Recipe) -> None:
    trainer = Run(tiny).trainer
    images, labels = trainer.dataset.test_x[:40], trainer.dataset.test_y[:40]
    score = evaluate(trainer.network, images, labels)
    predicted: list[np.ndarray] = []
    evaluate(trainer.network, images, labels, predicted)
    assert score.accuracy == (np.concatenate(predicted).argmax(axis=1) == labels).mean()
    for wrong in (labels[:, None], labels + 10, labels - 10, labels[:-1]):
        with pytest.raises(BadInput, match=r"^labels: "):
            evaluate(trainer.network, images, wrong)
