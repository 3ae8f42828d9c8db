"""Stages: what each inherits, what it may change, mistakes in one line, exact resume and export."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine
from spikewright.golden.network import file
from spikewright.model import data
from spikewright.model.compression.conversion import Spikes
from spikewright.model.layers.ann import AnnNetwork
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.methods.base import Batch, Context, Method
from spikewright.model.methods.freeze import other_parameters
from spikewright.model.recipes import recipe
from spikewright.model.recipes.sections import Training
from spikewright.model.recipes.stages import Stage, named, source, teacher
from spikewright.model.training import checkpoint, stage_network, transfer
from spikewright.model.training.evaluate import evaluate
from spikewright.model.training.run import Run, trained
from spikewright.model.training.train import HISTORY_NAME, NETWORK_NAME, Progress, train
from spikewright.model.training.trainer import Inheritance, Trainer

STAGED: dict[str, Any] = {
    "name": "staged",
    "data": "digits",
    "timesteps": 3,
    "layers": ["4C3", "P2", "12", "10"],
    "training": {"epochs": 2, "batch_size": 128, "learning_rate": 0.02, "shift": 1, "threads": 1},
    "stages": [
        {"kind": "ann", "name": "dense", "epochs": 3},
        {"kind": "snn", "sparse": "gradual", "pruning": {"density": 0.5}},
        {"kind": "snn", "name": "last", "timesteps": 2, "train": "weights", "learning_rate": 0.001},
    ],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of all stages, never stopped."""
    folder = tmp_path_factory.mktemp("staged")
    train(recipe.from_dict(STAGED), folder)
    return folder


def changed(**keys: Any) -> dict[str, Any]:
    return {**STAGED, **keys}


def test_without_stages_a_recipe_is_one_spiking_stage() -> None:
    plain = recipe.from_dict({key: value for key, value in STAGED.items() if key != "stages"})
    assert "stages" not in plain.as_dict()
    (only,) = plain.plan()
    assert (only.kind, only.sparse, only.rounded) == ("snn", "gradual", True)
    assert plain.of_stage(only) == plain


def test_a_stage_changes_tables_for_itself_alone() -> None:
    staged = recipe.from_dict(STAGED)
    assert recipe.from_dict(json.loads(json.dumps(staged.as_dict()))) == staged
    plan = staged.plan()
    assert [stage.name for stage in plan] == ["dense", "snn2", "last"]
    parts = [staged.of_stage(stage) for stage in plan]
    assert [part.training.epochs for part in parts] == [3, 2, 2]
    assert [part.training.learning_rate for part in parts] == [0.02, 0.02, 0.001]
    assert [part.training.batch_size for part in parts] == [128] * 3
    assert [part.pruning.density for part in parts] == [1, 0.5, 1]
    assert [part.timesteps for part in parts] == [3, 3, 2]
    assert not any(part.stages for part in parts)
    wide = staged.of_stage(
        plan[1], {"layers": ["6C3", "P2", "12", "10"], "pruning": {"density": 1}}
    )
    assert wide.architecture()[0].shape[0] == 6
    assert wide.pruning.density == 0.5  # the stage's own word is the last


def test_where_a_stage_starts_and_who_teaches_it() -> None:
    plan = named(
        [Stage("ann"), Stage("ann", start="fresh"), Stage("snn"), Stage("snn", start="ann1")]
    )
    assert [source(plan, place) for place in range(4)] == [None, None, plan[1], plan[0]]
    assert teacher(plan, 2) is None


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("ann", r"stages is 'ann', must be tables \[\[stages\]\]"),
        ([{}], r"key 'stages\[0\]\.kind' is missing, must be one of snn, ann"),
        ([{"kind": "dnn"}], r"stages\[0\]\.kind is 'dnn', must be one of snn, ann"),
        ([{"kind": "ann"}], r"stages\[0\]: kind is 'ann', must be 'snn', which is exported"),
        ([{"kind": "snn", "weights": "float"}], r"stages\[0\]: weights is 'float', must be 'quant"),
        ([{"kind": "snn", "epoch": 1}], r"key 'stages\[0\]\.epoch', .*did you mean 'epochs'"),
        ([{"kind": "snn", "epochs": 0}], r"stages\[0\]\.epochs is 0, must be a whole number"),
        ([{"kind": "snn", "start": "dense"}], r"start is 'dense', must be one of previous, fresh"),
        ([{"kind": "snn"}, {"kind": "ann"}, {"kind": "snn"}],
         r"stages\[1\]: start is 'previous', must be a stage of kind ann, or fresh"),
        ([{"kind": "ann", "name": "a"}, {"kind": "snn", "name": "a"}], "name is 'a', must be"),
        ([{"kind": "snn", "pruning": {"density": 2}}], r"stage 'snn1': pruning\.density is 2"),
        ([{"kind": "snn", "pruning": 1}], r"stages\[0\]\.pruning is 1, must be a table"),
        ([{"kind": "snn", "sparse": "some"}], r"stages\[0\]\.sparse is 'some', must be one of"),
        ([{"kind": "snn", "teacher": "a"}], r"teacher is 'a', must be one of the earlier stages"),
    ],
)  # fmt: skip
def test_mistakes(stages: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        recipe.from_dict(changed(stages=stages))
    assert "\n" not in str(caught.value)


def test_one_run_of_all_stages(whole: Path) -> None:
    record = json.loads((whole / HISTORY_NAME).read_text())
    assert [entry["stage"] for entry in record["epochs"]] == ["dense"] * 3 + ["snn2"] * 2 + [
        "last"
    ] * 2
    assert "mean_activation" in record["epochs"][0]
    assert "spike_rate" in record["epochs"][3]
    lines = record["summary"]["stages"]
    assert [line["kind"] for line in lines] == ["ann", "snn", "snn"]
    assert lines[0]["validation_accuracy"] > 0.5
    network = file.load(whole / NETWORK_NAME)
    assert network.timesteps == 2
    assert 0.4 < network.density <= 0.5  # the mask of the second stage holds in the third


def test_torch_equals_golden_on_every_image(whole: Path) -> None:
    network, digits = file.load(whole / NETWORK_NAME), data.load("digits")
    state = checkpoint.load(whole, recipe.from_dict(STAGED))
    assert state is not None
    model = trained(recipe.from_dict(STAGED), state).eval()
    logits = model(torch.from_numpy(digits.test_x.astype(np.float32))).detach().numpy()
    golden = engine.logits(network, digits.test_x)
    assert (logits == golden).all()
    accuracy = float((golden.argmax(axis=1) == digits.test_y).mean())
    assert accuracy == evaluate(model, digits.test_x, digits.test_y).accuracy
    assert accuracy > 0.5


class Stopped(KeyboardInterrupt):
    """Raised by the progress callback."""


@pytest.mark.parametrize("step", [1, 21, 30, 31, 45, 51, 70])
def test_resumed_in_any_stage(whole: Path, tmp_path: Path, step: int) -> None:
    def stop(at: Progress) -> None:
        assert (at.epochs, at.steps) == (7, 70)
        if at.step >= step:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe.from_dict(STAGED), tmp_path, progress=stop)
    assert not (tmp_path / NETWORK_NAME).exists()
    train(recipe.from_dict(STAGED), tmp_path)
    for name in (NETWORK_NAME, HISTORY_NAME):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_only_weights_learn() -> None:
    staged = recipe.from_dict(STAGED)
    stage = staged.plan()[2]
    trainer = Trainer(staged.of_stage(stage), data.load("digits"), stage)
    frozen = [parameter.clone() for parameter in other_parameters(trainer.network)]
    statistics = [layer.mean.clone() for layer in trainer.network.layers]
    weights = [synapse.weight.clone() for synapse in trainer.network.synapses()]
    trainer.one_epoch(lambda *_: None)
    assert len(frozen) >= 7
    for before, after in zip(frozen, other_parameters(trainer.network), strict=True):
        assert torch.equal(before, after)
    for before, layer in zip(statistics, trainer.network.layers, strict=True):
        assert torch.equal(before, layer.mean)
    for before, synapse in zip(weights, trainer.network.synapses(), strict=True):
        assert not torch.equal(before, synapse.weight)


def test_other_layers_are_refused() -> None:
    staged = recipe.from_dict(STAGED)
    stage, other = staged.plan()[1], recipe.from_dict(changed(layers=["5C3", "P2", "12", "10"]))
    with pytest.raises(BadInput, match=r"'snn2' has other layers .* start = \"fresh\""):
        Trainer(staged.of_stage(stage), data.load("digits"), stage, Inheritance(AnnNetwork(other)))


@pytest.mark.parametrize("batch_norm", [True, False])
@torch.no_grad()
def test_a_spike_is_worth_the_threshold(batch_norm: bool) -> None:
    """Over many steps the rates times the thresholds are the ANN's clipped activations."""
    steps = 64
    options = changed(neuron={"batch_norm": batch_norm, "membrane_bits": 24}, timesteps=steps)
    options["quantization"] = {"weight_bits": 6}
    staged, digits = recipe.from_dict(options), data.load("digits")
    stage = staged.plan()[0]
    trainer = Trainer(staged.of_stage(stage), digits, stage)
    with torch.enable_grad():
        for _ in range(2):
            trainer.one_epoch(lambda *_: None)
    ann, spiking = trainer.network, SpikingNetwork(staged)
    assert isinstance(ann, AnnNetwork)
    spiking.load_state_dict(ann.state_dict())
    ann.eval()
    for synapse in ann.synapses():
        synapse.rounded = True  # the same integers: what is left is time
    found = [np.percentile(d[d > 0], 99.7) for d in transfer.drives(ann, digits.train_x)]
    transfer.adopt(spiking, [Spikes(float(top), float(top)) for top in found])
    images = torch.from_numpy(digits.test_x[:64].astype(np.float32))
    rates, activations = [], []
    logits, factor = spiking.eval().logits_and_scale(images, rates)
    truth, scale = ann.logits_and_scale(images, activations)
    for rate, activation, threshold in zip(rates, activations, found, strict=True):
        mean = rate.reshape(steps, 64, *rate.shape[1:]).mean(dim=0) * threshold
        error = (mean - activation.clamp(max=threshold)).abs() / threshold
        assert float(activation.mean()) > 0.05 * threshold
        assert float(error.mean()) < 1.5 / steps
    logits, truth = (logits * factor).flatten(), (truth * scale).flatten()
    assert float((logits - truth).abs().mean()) < 0.1 * float(truth.std())


def test_float_weights_are_not_rounded() -> None:
    staged = recipe.from_dict(STAGED)
    stage = staged.plan()[0]
    synapse = next(stage_network.build(stage, staged).synapses())
    values, scale = synapse.integers()
    assert torch.allclose(values * scale.reshape(-1, 1, 1, 1), synapse.weight)
    assert not torch.equal(values, values.round())
    quantised = next(stage_network.build(Stage("ann", weights="quantized"), staged).synapses())
    assert torch.equal(quantised.integers()[0], values.round())


def test_methods_are_called_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Recorder(Method):
        records = True

        def begin(self, context: Context) -> None:
            assert (context.steps, context.per_epoch) == (20, 10)

        def before_step(self, step: int) -> None:
            calls.append(f"before {step}")

        def loss(self, batch: Batch) -> None:
            calls.append(f"loss {batch.step} {len(batch.sent)}")

        def after_step(self, step: int) -> None:
            calls.append(f"after {step}")

        def end_epoch(self, epoch: int) -> None:
            calls.append(f"epoch {epoch}")

        def log(self) -> dict[str, Any]:
            return {"seen": len(calls)}

        def changes(self) -> dict[str, Any]:
            return {"timesteps": 5}

    monkeypatch.setattr(
        "spikewright.model.recipes.methods.of_stage", lambda stage, recipe: [Recorder()]
    )
    run = Run(recipe.from_dict(changed(stages=[{"kind": "snn"}, {"kind": "snn"}])))
    run.one_epoch(lambda *_: None)
    assert calls[:3] == ["before 0", "loss 0 2", "after 0"]
    assert calls[-4:] == ["before 9", "loss 9 2", "after 9", "epoch 0"]
    assert run.trainer.history[0]["seen"] == 31
    run.one_epoch(lambda *_: None)
    run.one_epoch(lambda *_: None)
    assert run.trainer.recipe.timesteps == 5


def test_a_key_that_no_method_has_is_named_with_those_nearly_spelt_so():
    """Also where a program asks for it; a copy and a pickle ask for names of their own."""
    stage = Stage("ann", options={"sparse": "admm"})
    assert (stage.sparse, stage.quantize) == ("admm", "none")
    assert copy.deepcopy(stage) == pickle.loads(pickle.dumps(stage)) == stage
    with pytest.raises(AttributeError, match=r"^Stage has no key 'spars'; it has 'sparse'"):
        stage.spars  # noqa: B018 (asking is what is tested)
    with pytest.raises(AttributeError, match=r"^Training has no key 'dropuot'; it has 'dropout'$"):
        Training(epochs=1).dropuot  # noqa: B018
    with pytest.raises(AttributeError, match=r"^Stage has no key 'zebra'$"):
        stage.zebra  # noqa: B018
