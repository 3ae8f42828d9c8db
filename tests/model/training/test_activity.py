"""Activity at export: events of every node, counted on training images, kept in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikewright.golden.models import reference
from spikewright.golden.network import file
from spikewright.model import data
from spikewright.model.data import batches
from spikewright.model.data.batches import evenly_spaced
from spikewright.model.export import export
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.recipes.recipe import Recipe
from spikewright.model.training.activity import INFERENCES, measure
from spikewright.model.training.train import NETWORK_NAME


def test_counts_are_those_of_the_reference(tiny: Recipe) -> None:
    network = export(SpikingNetwork(tiny))
    images = data.load("digits").train_x[:70]  # more than one chunk
    measured = measure(network, images)
    trace = reference.run(network, images)
    assert (measured.activity["input"] == (images != 0).sum(axis=0)).all()
    spikes = trace.spikes["conv1"].astype(np.int64)
    assert (measured.activity["conv1"] == spikes.sum(axis=(0, 1))).all()
    assert measured.meta[INFERENCES] == "70"
    assert set(measured.activity) == {"input", "conv1"}


def test_no_images_no_activity(tiny: Recipe) -> None:
    network = export(SpikingNetwork(tiny))
    same = measure(network, data.load("digits").train_x[:0])
    assert not same.activity
    assert file.fingerprint(same) == file.fingerprint(network)


def test_training_keeps_it_in_the_file(uninterrupted: Path, tiny: Recipe) -> None:
    network = file.load(uninterrupted / NETWORK_NAME)
    digits = data.load("digits")
    chosen, _ = batches.split(len(digits.train_x), tiny.training.validation, tiny.training.seed)
    images = evenly_spaced(digits.train_x[chosen], 512)
    again = measure(network, images)
    assert network.activity
    for name, counts in network.activity.items():
        assert (counts == again.activity[name]).all()
    assert network.meta[INFERENCES] == "512"
