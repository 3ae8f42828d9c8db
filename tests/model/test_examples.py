"""The trained networks that ship with the kit hold what their recipes promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from spikewright.golden.models import engine
from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.model import data
from spikewright.model.data import DataSet
from spikewright.model.recipes import recipe
from spikewright.model.training import activity

FOLDER = Path(__file__).parents[2] / "examples" / "networks"
PROMISED = {
    "cifar-attention": 0.427,
    "digits": 0.983,
    "mnist-fc": 0.980,
    "mnist-conv": 0.988,
    "fashion-stacked": 0.9038,
    "mnist-sparse": 0.989,
    "n-mnist": 0.93,
}
REDUCED = {"cifar-attention": {"width": 0.25}}  # see docs/results/cifar-10.md
LARGE = {"cifar-attention": 4_000_000}  # bytes; the others have at most a million


def accuracy(network: Network, dataset: DataSet) -> float:
    return float((engine.logits(network, dataset.test_x).argmax(axis=1) == dataset.test_y).mean())


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_shipped_network_fits_its_recipe(name: str) -> None:
    path = FOLDER / f"{name}.safetensors"
    network, wanted = file.load(path), recipe.load(name, REDUCED.get(name))
    assert path.stat().st_size < LARGE.get(name, 1_000_000)
    assert network.timesteps == wanted.timesteps
    assert network.weight_bits == max(wanted.quantization.weight_bits) == 4
    assert 0 < network.density <= wanted.pruning.density
    origin = {"name": name, "recipe": name, "data": wanted.data, "seed": str(wanted.training.seed)}
    inferences = {activity.INFERENCES: str(wanted.training.calibration)}
    assert dict(network.meta) == origin | inferences
    assert set(network.activity) == {node.name for node in network.nodes[:-1]}
    assert [n.shape for n in network.nodes[1:]] == [layer.shape for layer in wanted.architecture()]


def test_digits_accuracy() -> None:
    network = file.load(FOLDER / "digits.safetensors")
    assert accuracy(network, data.load("digits", train=False)) >= PROMISED["digits"]


@pytest.mark.parametrize("name", sorted(PROMISED.keys() - {"digits"}))
def test_accuracy_on_real_data(real_data: Path, name: str) -> None:
    network = file.load(FOLDER / f"{name}.safetensors")
    images = data.load(network.meta["data"], real_data, train=False)
    assert accuracy(network, images) >= PROMISED[name]


def test_the_stacked_network_has_thirty_times_fewer_weights() -> None:
    network = file.load(FOLDER / "fashion-stacked.safetensors")
    assert sum(synapse.weight.size for synapse in network.weights) == 664_864
    assert 30 * network.density < 1
    assert network.timesteps == 2
