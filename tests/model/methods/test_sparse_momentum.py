"""Sparse learning: moves by hand, a density that no step exceeds, masks that later stages keep."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine
from spikewright.golden.network import file
from spikewright.model import data
from spikewright.model.architecture import Layer
from spikewright.model.compression import pruning_units
from spikewright.model.compression.magnitude import erk_densities
from spikewright.model.data import batches
from spikewright.model.export import export
from spikewright.model.methods.sparse_momentum import SparseMomentum, momentum, redistribute
from spikewright.model.recipes import recipe
from spikewright.model.training import checkpoint
from spikewright.model.training.run import trained
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, Progress, train
from spikewright.model.training.trainer import Inheritance, Trainer

SPARSE: dict[str, Any] = {
    "name": "sparse",
    "data": "digits",
    "timesteps": 2,
    "layers": ["8C3", "P2", "12", "10"],
    "pruning": {"density": 0.3, "allocation": "uniform"},
    "training": {"epochs": 4, "batch_size": 128, "learning_rate": 0.02, "threads": 1},
    "stages": [
        {"kind": "ann", "name": "meta", "epochs": 3},
        {"kind": "ann", "start": "fresh", "sparse": "momentum", "distill": "attention"},
        {"kind": "snn", "timesteps": 2, "epochs": 4, "threshold_scale": 0.4},
    ],
}


def layers() -> tuple[Layer, ...]:
    return recipe.from_dict(SPARSE).architecture()


def test_moves_by_hand() -> None:
    weights = [np.array([[0.1], [0.5], [0], [0]]), np.array([[1.0], [-0.2], [0.3], [0], [0], [0]])]
    masks = [np.array([True, True, False, False]), np.array([True] * 3 + [False] * 3)]
    momenta = [
        np.array([[0.2], [0.4], [0.3], [0.9]]),
        np.array([[0.1], [0.1], [0.1], [0.5], [0.6], [0.2]]),
    ]
    # dropped: 0.1; -0.2 and 0.3. Means of momentum 0.4 and 0.1: 2.4 and 0.6 of 3 weights, of which
    # the first layer may fill floor(0.99 * 3) = 2 places.
    found = redistribute(weights, masks, momenta, 0.5, 5)
    assert found[0].tolist() == [False, True, True, True]
    assert found[1].tolist() == [True, False, False, False, True, False]


def test_nothing_moves_at_share_0() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random(20) < 0.5, rng.random(30) < 0.5]
    values = [rng.normal(size=(mask.size, 3)) for mask in masks]
    kept = sum(3 * int(mask.sum()) for mask in masks)
    found = redistribute(values, masks, values, 0.0, kept)
    assert all((new == old).all() for new, old in zip(found, masks, strict=True))


@pytest.mark.parametrize("seed", range(10))
def test_budget_is_met_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(2, 40, 4)
    masks = [np.arange(count) < rng.integers(1, count + 1) for count in counts]
    values = [rng.normal(size=(count, 1)) for count in counts]
    kept = sum(int(mask.sum()) for mask in masks)
    found = redistribute(values, masks, [v * rng.random() for v in values], 0.6, kept)
    assert sum(int(mask.sum()) for mask in found) == kept
    assert all(mask.any() for mask in found)


def test_deal_by_hand() -> None:
    def apportion(total: int, shares: list[float], sizes: list[int], caps: list[int]) -> list[int]:
        return pruning_units.apportion(
            total, *(np.array(v) for v in (shares, sizes, caps))
        ).tolist()

    assert apportion(7, [1, 1], [1, 1], [9, 9]) == [4, 3]
    assert apportion(7, [1, 0], [1, 1], [4, 9]) == [4, 3]  # what does not fit goes elsewhere
    assert apportion(7, [1, 1], [1, 1], [1, 2]) == [1, 2]
    assert apportion(11, [1, 1], [5, 3], [9, 9]) == [1, 2]
    assert apportion(2, [1, 1], [5, 3], [9, 9]) == [0, 0]


def test_units_by_hand() -> None:
    conv, hidden, last = layers()
    weights = np.arange(12 * 8 * 16).reshape(12, 128)
    parts = pruning_units.split(weights, hidden, "channel")
    assert parts.shape == (8, 12 * 16)  # 8 channels of 4 x 4 pooled places to 12 neurons
    assert sorted(parts[2].tolist()) == sorted(weights[:, 32:48].reshape(-1).tolist())
    assert (pruning_units.join(parts, hidden, "channel") == weights).all()
    assert pruning_units.split(np.zeros((8, 1, 3, 3)), conv, "channel").shape == (1, 72)
    assert pruning_units.split(np.zeros((10, 12)), last, "channel").shape == (12, 10)
    assert pruning_units.split(weights, hidden, "none").shape == (weights.size, 1)


@pytest.mark.parametrize("density", [0.03, 0.1, 0.5])
@pytest.mark.parametrize("allocation", ["uniform", "erk"])
def test_random_masks_have_the_density(density: float, allocation: str) -> None:
    found = pruning_units.random_masks(layers(), density, allocation, "none", 1)
    total = sum(mask.size for mask in found)
    assert sum(int(mask.sum()) for mask in found) == math.floor(density * total)
    shapes = [mask.shape for mask in found]
    wanted = erk_densities(shapes, density) if allocation == "erk" else [density] * 3
    for mask, share in zip(found, wanted, strict=True):
        assert abs(mask.sum() - share * mask.size) <= 2
    other = pruning_units.random_masks(layers(), density, allocation, "none", 2)
    assert any((a != b).any() for a, b in zip(found, other, strict=True))


def test_momentum_is_that_of_adam() -> None:
    weight = torch.nn.Parameter(torch.tensor([0.0, 0.0, 0.0]))
    optimizer = torch.optim.Adam([weight], 0.1)
    for gradient in ([1.0, -2.0, 0.0], [1.0, 2.0, 0.0]):
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    # m = 0.9 * 0.1 g1 + 0.1 g2;  v = 0.999 * 0.001 g1^2 + 0.001 g2^2
    first = 0.19 / math.sqrt(0.001999)
    second = 0.02 / math.sqrt(0.007996)
    np.testing.assert_allclose(momentum(optimizer, weight), [first, second, 0], rtol=1e-5)


def steps(trainer: Trainer, epoch: int):
    """The steps of one epoch, one by one."""
    training = trainer.recipe.training
    source = batches.epoch_batches(
        trainer.images, trainer.labels, training.batch_size, training.augmentation,
        training.seed, epoch,
    )  # fmt: skip
    for place, (images, labels) in enumerate(source):
        yield trainer.one_step(epoch * trainer.per_epoch + place, images, labels)
    for method in trainer.methods:
        method.end_epoch(epoch)


@pytest.mark.parametrize("kind", ["ann", "snn"])
@pytest.mark.parametrize("structure", ["none", "channel"])
def test_density_after_every_step(kind: str, structure: str) -> None:
    stage = {"kind": "snn", "sparse": "momentum", "weights": "quantized"}
    pruning = {"density": 0.3, "allocation": "erk", "structure": structure, "nonzero": True}
    staged = recipe.from_dict({**SPARSE, "pruning": pruning, "stages": [stage]})
    (only,) = staged.plan()
    object.__setattr__(only, "kind", kind)
    trainer = Trainer(staged.of_stage(only), data.load("digits"), only)
    trainer.network.train()
    total = sum(s.mask.numel() for s in trainer.network.synapses())
    wanted, slack = math.floor(0.3 * total), 1 if structure == "none" else 12 * 16
    moved = 0
    for epoch in range(4):
        before = [s.mask.clone() for s in trainer.network.synapses()]
        for _ in steps(trainer, epoch):
            kept = 0
            for synapse, mask in zip(trainer.network.synapses(), before, strict=True):
                assert torch.equal(synapse.mask, mask)
                assert not bool(synapse.weight[mask == 0].any())
                if not bool(mask.all()):
                    assert torch.equal(synapse.integers()[0] != 0, mask != 0)
                kept += int(mask.sum())
            assert wanted - slack < kept <= wanted
        after = [s.mask for s in trainer.network.synapses()]
        changed = any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
        moved += changed
        assert not (changed and epoch >= 2)  # floor(0.6 * 4) epochs move weights
    assert moved == 2 or (structure == "channel" and moved == 1)  # few channels: the same again
    if structure == "channel":
        for synapse in trainer.network.synapses():
            parts = pruning_units.split(synapse.mask.numpy(), synapse.layer, structure)
            assert (parts.min(axis=1) == parts.max(axis=1)).all()


@pytest.mark.parametrize("structure", ["none", "channel"])
def test_residual_blocks(structure: str) -> None:
    content = {**SPARSE, "layers": ["8C3", "8R3", "16R3s2", "10"]}
    content["pruning"] = {"density": 0.2, "allocation": "erk", "structure": structure}
    content["stages"] = [{"kind": "snn", "sparse": "momentum", "epochs": 3}]
    staged = recipe.from_dict(content)
    (stage,) = staged.plan()
    trainer = Trainer(staged.of_stage(stage), data.load("digits"), stage)
    synapses = list(trainer.network.synapses())
    assert len(synapses) == 7  # conv, two blocks of two, one with weights in its shortcut, readout
    wanted = math.floor(0.2 * sum(s.mask.numel() for s in synapses))
    parts = pruning_units.split_groups(
        [s.mask.numpy() for s in synapses], [s.layer for s in synapses], structure
    )
    largest = max(part.shape[1] for part in parts)
    trainer.network.train()
    for _ in steps(trainer, 0):
        kept = sum(int(s.mask.sum()) for s in synapses)
        assert wanted - largest < kept <= wanted
        assert not any(bool(s.weight[s.mask == 0].any()) for s in synapses)
    assert len(trainer.methods[0].log()["kept"]) == 7


def test_a_channel_is_dropped_by_all_that_read_it() -> None:
    content = {**SPARSE, "layers": ["8C3", "8R3", "16R3s2", "10"]}
    content["pruning"] = {"density": 0.3, "allocation": "uniform", "structure": "channel"}
    content["stages"] = [
        {"kind": "snn", "sparse": "momentum", "epochs": 3},
        {"kind": "snn", "epochs": 1},
    ]
    staged, digits = recipe.from_dict(content), data.load("digits")
    first, second = staged.plan()
    trainer = Trainer(staged.of_stage(first), digits, first)
    before = [s.mask.clone() for s in trainer.network.synapses()]
    for _ in range(2):
        trainer.one_epoch(lambda *_: None)
    after = [s.mask for s in trainer.network.synapses()]
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    later = Trainer(staged.of_stage(second), digits, second, Inheritance(trainer.network))
    for run in (trainer, later):
        run.one_epoch(lambda *_: None)
        network = export(run.network)
        masks = {s.layer.name: s.mask.numpy() for s in run.network.synapses()}
        for name, block in (("conv1", "res2"), ("res3", "res4")):
            kept = masks[block].any(axis=(0, 2, 3))
            assert 0 < kept.sum() < 8
            readers = [edge.operations[-1].weight for edge in network.out_of(name)]
            assert len(readers) == 2  # the block and its shortcut: a gain, or a convolution
            for weight in readers:
                rows = weight.any(axis=(0, 2, 3)) if weight.ndim > 1 else weight != 0
                assert rows.any()
                assert not rows[~kept].any()
        assert (masks["res5.shortcut"].any(axis=(0, 2, 3)) == kept).all()


def test_no_epoch_before_the_last_move_is_chosen() -> None:
    staged = recipe.from_dict({**SPARSE, "neuron": {"batch_norm": False}})
    stage = staged.plan()[1]
    object.__setattr__(stage, "distill", "none")
    trainer = Trainer(staged.of_stage(stage), data.load("digits"), stage)
    first = trainer.methods[0]
    assert isinstance(first, SparseMomentum)
    assert (first.epochs, first.settled) == (2, 20)
    trainer.one_epoch(lambda *_: None)
    assert set(trainer.history[0]["kept"]) == {"conv1", "fc2", "readout"}
    trainer.one_epoch(lambda *_: None)
    assert trainer.best.epoch == 0
    trainer.one_epoch(lambda *_: None)
    assert trainer.best.epoch == 3


def test_weights_grow_where_fan_in_falls_without_batch_norm() -> None:
    found = []
    for batch_norm in (True, False):
        staged = recipe.from_dict({**SPARSE, "neuron": {"batch_norm": batch_norm}})
        stage = staged.plan()[1]
        object.__setattr__(stage, "distill", "none")
        network = Trainer(staged.of_stage(stage), data.load("digits"), stage).network
        found.append(next(network.synapses()))
    kept = found[0].mask != 0
    ratio = found[1].weight[kept] / found[0].weight[kept]
    # the fresh weights of a network without batch norm are sqrt(6) as large already
    expected = math.sqrt(6 * kept.numel() / int(kept.sum()))
    np.testing.assert_allclose(ratio.detach(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("pruning", "message"),
    [
        ({"allocation": "lamp"}, r"pruning\.allocation is 'lamp', must be 'uniform' or 'erk'"),
        (
            {"structure": "bank", "banks": 2},
            r"pruning\.structure is 'bank', must be 'none' or 'channel'",
        ),
        ({"structure": "channel", "density": 0.01}, r"density is 0\.01, must be at least 0\.1"),
    ],
)
def test_mistakes(pruning: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        recipe.from_dict({**SPARSE, "pruning": {**SPARSE["pruning"], **pruning}})


def test_channels_are_for_sparse_learning_only() -> None:
    stages = [{"kind": "snn", "sparse": "gradual"}]
    pruning = {"density": 0.3, "structure": "channel"}
    with pytest.raises(BadInput, match=r"structure is 'channel', must be 'none' or 'bank' with"):
        recipe.from_dict({**SPARSE, "pruning": pruning, "stages": stages})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the whole method, never stopped."""
    folder = tmp_path_factory.mktemp("sparse")
    train(recipe.from_dict(SPARSE), folder)
    return folder


def test_the_spiking_stage_keeps_the_mask(whole: Path) -> None:
    staged, digits = recipe.from_dict(SPARSE), data.load("digits")
    state = checkpoint.load(whole, staged)
    assert state is not None
    model = trained(staged, state).eval()
    network = file.load(whole / NETWORK_NAME)
    total = sum(s.mask.numel() for s in model.synapses())
    assert sum(int(s.mask.sum()) for s in model.synapses()) == math.floor(0.3 * total)
    for place, synapse in enumerate(model.synapses()):
        name = [*(f"hidden.{n}" for n in range(2)), "readout"][place]
        assert torch.equal(state["done"][1]["weights"][f"{name}.synapse.mask"], synapse.mask)
        assert bool((synapse.mask >= (synapse.integers()[0] != 0)).all())
    assert 0.2 < network.density <= 0.3
    assert export(model).density == network.density
    logits = model(torch.from_numpy(digits.test_x.astype(np.float32))).detach().numpy()
    golden = engine.logits(network, digits.test_x)
    assert (logits == golden).all()
    accuracy = float((golden.argmax(axis=1) == digits.test_y).mean())
    assert accuracy == json.loads((whole / HISTORY_NAME).read_text())["summary"]["test_accuracy"]
    assert accuracy > 0.4


@pytest.mark.parametrize("train", ["all", "weights"])
def test_thresholds_and_leaks_learn_with_the_weights_or_not(train: str) -> None:
    stages = [{"kind": "snn", "train": train, "neuron": {"leak": "learned"}}]
    staged = recipe.from_dict({**SPARSE, "stages": stages})
    (stage,) = staged.plan()
    trainer = Trainer(staged.of_stage(stage), data.load("digits"), stage)
    layers = trainer.network.layers
    before = [(layer.theta.clone(), layer.leak.clone()) for layer in layers]
    trainer.one_epoch(lambda *_: None)
    for (theta, leak), layer in zip(before, layers, strict=True):
        assert torch.equal(theta, layer.theta) == (train == "weights")
        assert torch.equal(leak, layer.leak) == (train == "weights")


class Stopped(KeyboardInterrupt):
    """Raised by the progress callback."""


@pytest.mark.parametrize("step", [31, 41, 55, 95])
def test_resumed(whole: Path, tmp_path: Path, step: int) -> None:
    def stop(at: Progress) -> None:
        if at.step >= step:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe.from_dict(SPARSE), tmp_path, progress=stop)
    train(recipe.from_dict(SPARSE), tmp_path)
    for name in (NETWORK_NAME, HISTORY_NAME):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
