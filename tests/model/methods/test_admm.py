"""ADMM: projections and updates by hand, the hard step, fixed levels, exact resume and export."""

from __future__ import annotations

import itertools
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
from spikewright.model.compression import projection
from spikewright.model.methods import admm
from spikewright.model.methods.base import Batch
from spikewright.model.methods.penalty import SpikePenalty
from spikewright.model.recipes import recipe
from spikewright.model.training import checkpoint
from spikewright.model.training.ratios import ratios, spikes_per_neuron, storage
from spikewright.model.training.run import trained
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, Progress, train
from spikewright.model.training.trainer import Trainer

JOINT: dict[str, Any] = {
    "name": "joint",
    "data": "digits",
    "timesteps": 2,
    "layers": ["8C3", "P2", "12", "10"],
    "quantization": {"weight_bits": 3},
    "pruning": {"density": 0.2, "allocation": "uniform"},
    "training": {"epochs": 4, "batch_size": 128, "learning_rate": 0.02, "threads": 1},
    "stages": [
        {"kind": "snn", "name": "dense", "weights": "float", "epochs": 3},
        {"kind": "snn", "sparse": "admm", "weights": "float", "admm": {"rho": 1.0}},
        {"kind": "snn", "quantize": "admm"},
    ],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that prunes, retrains and quantises, never stopped."""
    folder = tmp_path_factory.mktemp("joint")
    train(recipe.from_dict(JOINT), folder)
    return folder


def trainer(place: int, **keys: Any) -> Trainer:
    content = json.loads(json.dumps(JOINT))
    content["stages"][place] |= keys
    staged = recipe.from_dict(content)
    stage = staged.plan()[place]
    return Trainer(staged.of_stage(stage), data.load("digits"), stage)


def test_largest_counts_and_does_not_compare() -> None:
    values = torch.tensor([[0.0, -2.0], [0.0, 1.0], [0.0, 0.0]])
    assert projection.largest_mask(values, 1).tolist() == [[False, True], [False] * 2, [False] * 2]
    assert int(projection.largest_mask(values, 4).sum()) == 4  # zeros too, if so many are asked for
    assert int(projection.largest_mask(values, 0).sum()) == 0


def test_ternary_by_hand() -> None:
    # alpha = 2: Q = (1, 0, -1); alpha = (2 + 1.2) / 2 = 1.6; Q stays; so does alpha
    found = projection.project_to_levels(torch.tensor([[2.0, 0.5, -1.2]]), 2, True)
    assert torch.allclose(found, torch.tensor([[1.6, 0.0, -1.6]]))
    # a channel each, or all together: alpha = 2, Q = (1, 0, -1, 0, 0), 1.6 again
    both = torch.tensor([[2.0, 0.5, -1.2], [0.2, 0.0, 0.2]])
    assert torch.allclose(
        projection.project_to_levels(both, 2, True)[1], torch.tensor([0.2, 0.0, 0.2])
    )
    assert not bool(projection.project_to_levels(both, 2, False)[1].any())
    assert not bool(projection.project_to_levels(torch.zeros(2, 3), 4, True).any())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_levels_are_no_worse_than_the_widest_grid(bits: int) -> None:
    values = torch.randn(16, 40, generator=torch.Generator().manual_seed(bits))
    top = 2 ** (bits - 1) - 1
    found = projection.project_to_levels(values, bits, True)
    scale = found.abs().amax(dim=1, keepdim=True) / top
    ratio = found / scale
    assert torch.allclose(ratio, ratio.round(), atol=1e-4)
    widest = values.abs().amax(dim=1, keepdim=True) / top
    plain = torch.floor(values / widest + 0.5) * widest
    gained = (values - found).square().sum(dim=1) - (values - plain).square().sum(dim=1)
    assert bool((gained <= 1e-5).all())
    if bits <= 3:
        assert float(gained.sum()) < -1


def test_ternary_is_the_best_of_all() -> None:
    values = torch.tensor([[1.0, -0.7, 0.3, 0.1]])
    found = projection.project_to_levels(values, 2, True)
    errors = []
    for levels in itertools.product((-1.0, 0.0, 1.0), repeat=4):
        q = torch.tensor([levels])
        if bool(q.any()):
            alpha = float((values * q).sum() / q.square().sum())
            errors.append(float((values - alpha * q).square().sum()))
    assert float((values - found).square().sum()) == pytest.approx(min(errors), rel=1e-5)


def test_updates_by_hand() -> None:
    run = trainer(1)
    method = run.methods[0]
    assert isinstance(method, admm.AdmmSparsity)
    conv = next(run.network.synapses())
    assert method.counts == [math.floor(0.2 * n) for n in (72, 1536, 120)]
    before = conv.weight.detach().clone()
    assert torch.equal(method.nearest[0], before * projection.largest_mask(before, 14))
    assert torch.equal(conv.weight, before)  # Z is a copy: the weights were not touched
    assert not bool(method.dual[0].any())
    with torch.no_grad():
        conv.weight.add_(0.01)
    moved = conv.weight.detach().clone()
    method.update()
    wanted = moved * projection.largest_mask(moved, 14)
    assert torch.allclose(method.nearest[0], wanted)
    assert torch.allclose(method.dual[0], moved - wanted)
    method.update()
    total = 2 * moved - wanted
    assert torch.allclose(method.nearest[0], total * projection.largest_mask(total, 14))
    assert torch.allclose(method.dual[0], total - method.nearest[0])
    method.end_epoch(0)
    assert method.log()["gap"]["conv1"] == pytest.approx(
        float((moved - method.nearest[0]).norm() / moved.norm())
    )


def test_the_penalty_is_squared() -> None:
    run = trainer(1)
    method = run.methods[0]
    assert isinstance(method, admm.AdmmSparsity)
    conv, hidden, last = run.network.synapses()
    method.nearest = [s.weight.detach().clone() for s in (conv, hidden, last)]
    method.nearest[0] -= 0.5
    method.dual[2] += 2.0
    nothing = torch.zeros(0)
    loss = method.loss(Batch(0, nothing, nothing, nothing, []))
    assert loss is not None
    assert float(loss.detach()) == pytest.approx(0.5 * (72 * 0.25 + 120 * 4), rel=1e-5)
    loss.backward()
    for synapse, slope in ((conv, 0.5), (hidden, 0.0), (last, 2.0)):  # rho is 1
        assert synapse.weight.grad is not None
        assert torch.allclose(synapse.weight.grad, torch.full_like(synapse.weight, slope))
    assert method.loss(Batch(method.settled, nothing, nothing, nothing, [])) is not None
    assert method.loss(Batch(method.settled + 1, nothing, nothing, nothing, [])) is None


@pytest.mark.parametrize(("updates", "behind"), [(1, [9]), (2, [4, 9]), (3, [3, 6, 9])])
def test_updates_come_behind_equal_parts_of_an_epoch(updates: int, behind: list[int]) -> None:
    run = trainer(1, admm={"rho": 1.0, "updates": updates})
    method = run.methods[0]
    assert isinstance(method, admm.AdmmSparsity)
    assert (method.per_epoch, method.settled) == (10, 19)
    found = []
    for step in range(30):
        before = method.dual
        method.after_step(step)
        if method.dual is not before:
            found.append(step)
    assert found == [*behind, *(step + 10 for step in behind)]  # none behind the hard step


def test_all_epochs_are_admm_and_the_next_stage_retrains() -> None:
    content = json.loads(json.dumps(JOINT))
    content["stages"][1] |= {"epochs": 1, "admm": {"rho": 1.0, "share": 1}}
    staged = recipe.from_dict(content)
    stage = staged.plan()[1]
    run = Trainer(staged.of_stage(stage), data.load("digits"), stage)
    run.one_epoch(lambda *_: None)
    assert [int(s.mask.sum()) for s in run.network.synapses()] == [14, 307, 24]
    assert run.best.epoch == 1
    assert set(run.history[0]["gap"]) == {"conv1", "fc2", "readout"}


def test_gap_falls_and_the_mask_holds() -> None:
    run = trainer(1, epochs=8, admm={"rho": 1.0, "updates": 1})
    (method,) = (m for m in run.methods if isinstance(m, admm.AdmmSparsity))
    for _ in range(4):
        assert all(bool(s.mask.all()) for s in run.network.synapses())
        run.one_epoch(lambda *_: None)
    masks = [s.mask.clone() for s in run.network.synapses()]
    assert [int(mask.sum()) for mask in masks] == method.counts
    free = trainer(1, epochs=8, admm={"rho": 0.0, "updates": 1})
    for _ in range(4):
        free.one_epoch(lambda *_: None)
    found = [np.mean(list(r.history[-1]["gap"].values())) for r in (run, free)]
    assert found[0] < 0.5 * found[1]
    assert run.best.epoch == 0
    for _ in range(2):
        run.one_epoch(lambda *_: None)
    for synapse, mask in zip(run.network.synapses(), masks, strict=True):
        assert torch.equal(synapse.mask, mask)
        assert not bool(synapse.weight[mask == 0].any())
    assert "gap" not in run.history[-1]
    assert run.history[-1]["kept"]["conv1"] == 14 / 72
    assert run.best.epoch == 6


def test_levels_are_fixed_behind_the_hard_step() -> None:
    run = trainer(2)
    for _ in range(2):
        assert not any(s.rounded for s in run.network.synapses())
        run.one_epoch(lambda *_: None)
    wanted = [s.weight.detach().clone() for s in run.network.synapses()]
    for synapse, near in zip(run.network.synapses(), wanted, strict=True):
        assert torch.allclose(admm.levels(synapse, near), near, rtol=1e-6)
    theta = [layer.theta.clone() for layer in run.network.layers]
    run.one_epoch(lambda *_: None)
    run.one_epoch(lambda *_: None)
    for synapse, near in zip(run.network.synapses(), wanted, strict=True):
        assert synapse.rounded
        assert torch.equal(synapse.weight, near)
        whole, scale = synapse.integers()
        each = scale.reshape(-1, *[1] * (near.ndim - 1))
        assert torch.allclose(whole * each, near, rtol=1e-5, atol=1e-7)
        assert int(whole.abs().max()) == 3
    for before, layer in zip(theta, run.network.layers, strict=True):
        assert not torch.equal(before, layer.theta)


def test_statistics_follow_the_units_of_the_weights() -> None:
    run = trainer(2)
    (method,) = (m for m in run.methods if isinstance(m, admm.AdmmLevels))
    layer = run.network.layers[0]
    with torch.no_grad():
        layer.mean.fill_(6.0)
        layer.var.fill_(9.0)
    before = layer.synapse.integers()[1]
    wanted = [admm.levels(s, s.weight.detach()) for s in run.network.synapses()]
    method.harden()
    for synapse, near in zip(run.network.synapses(), wanted, strict=True):
        assert torch.equal(synapse.weight, near)
    ratio = before / layer.synapse.integers()[1]
    assert float((ratio.detach() - 1).abs().max()) > 0.05  # it is not the widest grid
    assert torch.allclose(layer.mean, 6 * ratio)
    assert torch.allclose(layer.var, 9 * ratio**2)


def test_one_shot_prunes_before_the_first_step() -> None:
    run = trainer(1, sparse="magnitude", admm={})
    assert [int(s.mask.sum()) for s in run.network.synapses()] == [14, 307, 24]
    run.one_epoch(lambda *_: None)
    assert run.history[0]["density"] == 345 / 1728
    assert run.best.epoch == 0  # statistics are not frozen yet


@pytest.mark.parametrize(
    ("place", "keys", "message"),
    [
        (1, {"quantize": "admm", "weights": "quantized"}, "must be in a stage after that"),
        (1, {"epochs": 1}, r"training\.epochs is 1, must be at least 2"),
        (1, {"admm": {"share": 0.9}}, r"admm\.share is 0\.9, must be at most training\.freeze"),
        (
            2,
            {"admm": {"share": 1}},
            r"stages\[2\]: admm\.share is 1.*, must be below 1 in the last",
        ),
        (1, {"admm": {"updates": 0}}, r"admm\.updates is 0, must be a whole number within 1"),
        (1, {"admm": {"rho": -1}}, r"stages\[1\]\.admm\.rho is -1, must be a number within 0"),
        (1, {"pruning": {"structure": "bank", "banks": 1}}, r"structure is 'bank', must be 'none'"),
        (1, {"quantize": "admm", "sparse": "none"}, "weights is 'float', must be 'quantized' with"),
    ],
)
def test_mistakes(place: int, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        trainer(place, **keys)


def test_levels_of_residual_blocks_are_refused() -> None:
    content = {**JOINT, "layers": ["4C3", "4R3", "10"]}
    with pytest.raises(BadInput, match=r"quantize is 'admm', must be 'none' with residual blocks"):
        recipe.from_dict(content)
    content["stages"] = [*JOINT["stages"][:2], {"kind": "snn"}]
    assert len(recipe.from_dict(content).plan()) == 3


def test_exact_export_on_every_image(whole: Path) -> None:
    staged, digits = recipe.from_dict(JOINT), data.load("digits")
    state = checkpoint.load(whole, staged)
    assert state is not None
    model, network = trained(staged, state).eval(), file.load(whole / NETWORK_NAME)
    logits = model(torch.from_numpy(digits.test_x.astype(np.float32))).detach().numpy()
    golden = engine.logits(network, digits.test_x)
    assert (logits == golden).all()
    summary = json.loads((whole / HISTORY_NAME).read_text())["summary"]
    accuracy = float((golden.argmax(axis=1) == digits.test_y).mean())
    assert accuracy == summary["test_accuracy"]
    assert accuracy > 0.4
    assert 0.1 < network.density <= 0.2
    kept = sum(int(s.mask.sum()) for s in model.synapses())
    assert kept == 14 + 307 + 24
    assert summary["storage_ratio"] == pytest.approx(network.density * 3 / 32)
    rates = [line["spikes_per_neuron"] for line in summary["stages"]]
    measured = spikes_per_neuron(
        summary["spike_rate"], [layer.layer for layer in model.layers], network.timesteps
    )
    assert summary["operations_ratio"] == pytest.approx(
        summary["storage_ratio"] * measured / rates[0]
    )


class Stopped(KeyboardInterrupt):
    """Raised by the progress callback."""


@pytest.mark.parametrize("step", [31, 45, 61, 75, 91, 105])
def test_resumed(whole: Path, tmp_path: Path, step: int) -> None:
    def stop(at: Progress) -> None:
        if at.step >= step:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe.from_dict(JOINT), tmp_path, progress=stop)
    train(recipe.from_dict(JOINT), tmp_path)
    for name in (NETWORK_NAME, HISTORY_NAME):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_ratios_by_hand(whole: Path) -> None:
    network = file.load(whole / NETWORK_NAME)
    found = ratios(network, 0.25, 1.0)
    assert found.storage == storage(network) == pytest.approx(network.density * 3 / 32)
    assert found.operations == pytest.approx(found.storage / 4)
    assert ratios(network, 0.25, None).operations is None
    layers = recipe.from_dict(JOINT).architecture()
    rates = {"conv1": 0.5, "fc2": 0.25}
    assert spikes_per_neuron(rates, layers, 2) == pytest.approx(2 * (512 * 0.5 + 12 * 0.25) / 524)
    assert spikes_per_neuron({}, layers, 2) == 0


def test_spike_penalty_by_layer_and_by_neuron() -> None:
    nothing = torch.zeros(0)
    wide, narrow = torch.zeros(2, 3, 2, 2), torch.ones(2, 4)
    wide[0] = 1
    batch = Batch(0, nothing, nothing, nothing, [wide, narrow])
    by_layer, by_neuron = SpikePenalty(0.5).loss(batch), SpikePenalty(0.5, "neuron").loss(batch)
    assert by_layer is not None
    assert by_neuron is not None
    assert float(by_layer) == pytest.approx(0.5 * (0.5 + 1))
    assert float(by_neuron) == pytest.approx(0.5 * (12 + 8) / 32)
    assert SpikePenalty(0.5).loss(Batch(0, nothing, nothing, nothing, [])) is None


def test_fewer_spikes_with_a_penalty() -> None:
    def rate(penalty: float) -> float:
        run = trainer(0, training={"spike_penalty": penalty, "spike_mean": "neuron"})
        for _ in range(3):
            run.one_epoch(lambda *_: None)
        return spikes_per_neuron(run.history[-1]["spike_rate"], run.layers, 2)

    assert rate(2.0) < 0.5 * rate(0.0)
