"""Recipes that cannot work are refused before training: one line, which key, what is right."""

# Through these also model.recipes.check_dataset, model.recipes.check_sparsity,
# model.recipes.check_starts, model.recipes.unused_keys.

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.model import data
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.methods.prune import prune_to
from spikewright.model.recipes import recipe
from spikewright.model.training.stage_network import build, inherit
from spikewright.model.training.train import train

GOOD: dict[str, Any] = {
    "name": "good",
    "data": "digits",
    "timesteps": 2,
    "layers": ["4C3", "P2", "12", "10"],
    "training": {"epochs": 2, "batch_size": 128, "threads": 1},
}
ANN = {"kind": "ann", "name": "dense"}
SNN = {"kind": "snn", "name": "last"}
SMALL = "layer 'conv1' would keep none of its 36 weights"  # 4 x 1 x 3 x 3


def sparse(sparse: str, density: float, allocation: str, **more: Any) -> dict[str, Any]:
    pruning = {"density": density, "allocation": allocation, **more}
    return {"pruning": pruning, "stages": [{**SNN, "sparse": sparse}]}


def staged(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"stages": list(stages), **more}


def last(**keys: Any) -> dict[str, Any]:
    return staged(ANN, {**SNN, **keys})


CASES: dict[str, tuple[dict[str, Any], str]] = {
    # a density that leaves a layer empty
    **{
        f"{way}, uniform": (
            sparse(way, 0.004, "uniform"),
            f"pruning.density is 0.004, must be at least 0.028: {SMALL}",
        )
        for way in ("gradual", "magnitude", "admm")
    },
    **{
        f"{way}, erk": (
            {**sparse(way, 0.001, "erk"), "layers": ["1C3", "P8", "64", "64", "10"]},
            "density is 0.001, must be at least 0.008: layer 'conv1' would keep none of its 9",
        )
        for way in ("gradual", "magnitude", "admm")
    },
    **{
        f"{way}, {share}": (
            {**sparse(way, 0.01, share), "layers": ["P8", "4", "4", "10"]},
            "pruning.density is 0.01, must be at least 0.05: of 3 layers 0 would keep a weight",
        )
        for way in ("gradual", "magnitude", "admm")
        for share in ("lamp", "global")
    },
    **{
        f"{way}, {share}": (
            {**sparse(way, 0.01, share), "layers": ["P8", "4", "4", "10"]},
            "pruning.density is 0.01, must be at least 0.05, which leaves every layer a channel",
        )
        for way in ("random", "momentum")
        for share in ("uniform", "erk")
    },
    "banks": (
        sparse("gradual", 0.01, "lamp", structure="bank", banks=4),
        "density is 0.01, must be at least",
    ),
    "without stages": (
        {"pruning": {"density": 0.004, "allocation": "uniform"}},
        f"pruning.density is 0.004, must be at least 0.028: {SMALL}",
    ),
    "density 0": (sparse("gradual", 0, "lamp"), "pruning.density is 0, must be a number within"),
    # time
    "T of 0": ({"timesteps": 0}, "timesteps is 0, must be a whole number within 1..256"),
    "T of 0 in a stage": (
        last(timesteps=0), "stages[1].timesteps is 0, must be a whole number within 1..256"
    ),
    # channels
    "channels by magnitude": (
        sparse("gradual", 0.5, "lamp", structure="channel"),
        "pruning.structure is 'channel', must be 'none' or 'bank' with sparse = 'gradual'",
    ),
    "channels of a block in one stage": (
        staged({**SNN, "sparse": "momentum", "pruning": {"structure": "channel"}},
               layers=["4C3", "4R3", "10"], pruning={"density": 0.5, "allocation": "erk"}),
        "pruning.structure is 'channel', must be 'none' as in the recipe's [pruning]: in residual",
    ),
    # shapes
    "a pool larger than the map": (
        {"layers": ["4C3", "P4", "4C3", "P4", "10"]},
        "layers[3] is 'P4', must not be larger than what it pools, which has shape (4, 2, 2)",
    ),
    "a kernel larger than the map": (
        {"layers": ["4C3", "P4", "4C3p0", "10"]},
        "layers[2] is '4C3p0', must have a kernel no larger than its padded input",
    ),
    "a stage of other widths": (
        staged({**SNN, "name": "first"}, {**SNN, "name": "wide", "narrow": 0.9},
               {**SNN, "name": "slim", "start": "fresh"}, {**SNN, "start": "first"}),
        "stages[3]: start is 'first', must be 'fresh' after a stage with narrow, as layers are",
    ),
    "a stage with another batch norm": (
        last(neuron={"batch_norm": False}),
        "stages[1]: neuron.batch_norm is False, must be True as in stage 'dense'",
    ),
    "fewer outputs than classes": (
        {"layers": ["4C3", "P2", "7"]},
        "the last of layers is 7, must be at least 10, the classes of digits",
    ),
    "events coded again": (
        {"data": "n-mnist", "coding": "poisson"},
        "coding is 'poisson', must be 'values' for the events of n-mnist",
    ),
    # ADMM
    "ADMM of one epoch": (
        staged({**SNN, "sparse": "admm", "epochs": 1}),
        "training.epochs is 1, must be at least 2: ADMM, then retraining",
    ),
    "ADMM up to the end": (
        staged({**SNN, "sparse": "admm", "admm": {"share": 0.9}}),
        "admm.share is 0.9, must be at most training.freeze = 0.7",
    ),
    "ADMM in rows of banks": (
        sparse("admm", 0.5, "lamp", structure="bank", banks=2),
        "pruning.structure is 'bank', must be 'none' with sparse = 'admm'",
    ),
    "ADMM's levels in floats": (
        staged({**ANN, "quantize": "admm", "weights": "float"}, SNN),
        "stages[0]: weights is 'float', must be 'quantized' with quantize = 'admm'",
    ),
    "ADMM's levels in an ANN as it is": (
        staged({**ANN, "quantize": "admm"}, SNN),
        "stages[0]: weights is None, must be 'quantized' with quantize = 'admm'",
    ),
    "ADMM twice at once": (
        staged({**SNN, "quantize": "admm", "sparse": "admm"}),
        "stages[0]: quantize is 'admm', must be in a stage after that of sparse = 'admm'",
    ),
    "ADMM's levels, and only weights learn": (
        staged({**SNN, "quantize": "admm", "train": "weights"}),
        "stages[0]: train is 'weights', must be 'all' with quantize = 'admm'",
    ),
    # keys without effect
    "convert, fresh": (
        last(convert="scaled", start="fresh"),
        "stages[1]: convert is 'scaled', must be left out unless a spiking stage starts from an",
    ),
    "convert, from a spiking stage": (
        staged({**SNN, "name": "first"}, {**SNN, "convert": "clip"}),
        "stages[1]: convert is 'clip', must be left out unless a spiking stage starts from an ANN",
    ),
    "convert, in an ANN": (
        staged({**ANN, "convert": "shift"}, SNN),
        "stages[0]: convert is 'shift', must be left out unless a spiking stage starts from an ANN",
    ),
    "threshold_scale, fresh": (
        staged({**SNN, "threshold_scale": 0.5}),
        "stages[0]: threshold_scale is 0.5, must be left out unless a spiking stage starts from",
    ),
    "threshold_scale, in an ANN": (
        staged(ANN, {"kind": "ann", "threshold_scale": 2}, SNN),
        "stages[1]: threshold_scale is 2.0, must be left out unless a spiking stage starts from",
    ),
    "activation of spikes": (
        last(activation="clip"),
        "stages[1]: activation is 'clip', must be left out of a stage of kind snn",
    ),
    "narrow in the last stage": (
        last(narrow=0.9), "stages[1]: narrow is 0.9, must be left out of the last stage"
    ),
    "distill without a teacher": (
        staged({**SNN, "distill": "both"}),
        "stages[0]: distill is 'both', must be after a stage of kind ann",
    ),
    "a teacher without distill": (
        last(teacher="dense"), "stages[1]: teacher is 'dense', must be left out without distill"
    ),
    "attention without maps": (
        {**last(distill="attention"), "layers": ["12", "10"]},
        "stage 'last': distill is 'attention', must be 'logits' where no layer is a convolution",
    ),
    "attention_weight": (
        last(distill="logits", attention_weight=2),
        "attention_weight is 2.0, must be left out unless distill is 'attention' or 'both'",
    ),
    "logits_weight": (
        last(distill="attention", logits_weight=2),
        "logits_weight is 2.0, must be left out unless distill is 'logits' or 'both'",
    ),
    "temperature": (
        last(temperature=2),
        "temperature is 2.0, must be left out unless distill is 'logits' or 'both'",
    ),
    "admm without ADMM": (
        last(admm={"rho": 1}),
        "admm is {'rho': 1.0, 'share': 0.5}, must be left out unless sparse or quantize is 'admm'"
    ),
    "density of a stage that does not prune": (
        last(pruning={"density": 0.5}),
        "stage 'last': pruning.density is 0.5, must be left out unless sparse is 'gradual' or",
    ),
    "begin of pruning at once": (
        last(sparse="magnitude", pruning={"begin": 0.2}),
        "stage 'last': pruning.begin is 0.2, must be left out unless sparse is 'gradual'",
    ),
    "drop of gradual pruning": (
        last(sparse="gradual", pruning={"drop": 0.2}),
        "stage 'last': pruning.drop is 0.2, must be left out unless sparse is 'momentum'",
    ),
    "banks without banks": (
        last(pruning={"banks": 4}),
        "pruning.banks is [4], must be left out unless pruning.structure is 'bank'",
    ),
    "images of one stage": (
        last(training={"images": 500}),
        "stage 'last': training.images is 500, must be that of the recipe, 0, which all stages",
    ),
    "a split of one stage": (
        last(training={"validation": 0.2}),
        "stage 'last': training.validation is 0.2, must be that of the recipe, 0.1, which all",
    ),
    "width without a topology": (
        {"width": 0.5}, "width is 0.5, must be left out unless topology is named"
    ),
    "pooling without a topology": (
        {"pooling": "max"}, "pooling is 'max', must be left out unless topology is named"
    ),
    # values
    "weight_bits of the wrong length": (
        {"quantization": {"weight_bits": [4, 4]}},
        "weight_bits has 2 entries, must be 1 number or one for each of the 3 layers with weights",
    ),
    "no epochs": ({"training": {"epochs": 0}}, "training.epochs is 0, must be a whole number"),
    "no learning_rate": (
        {"training": {"epochs": 1, "learning_rate": 0}},
        "training.learning_rate is 0, must be a number within 1e-06..1",
    ),
    "learning_rate nan": (
        {"training": {"epochs": 1, "learning_rate": float("nan")}},
        "training.learning_rate is nan, must be a number within 1e-06..1",
    ),
    "an unknown key": (
        {"training": {"epochs": 1, "epoch": 1}},
        "unknown key 'training.epoch', must be one of epochs",
    ),
    "an unknown key of a stage": (
        last(sparce="gradual"), "unknown key 'stages[1].sparce', must be one of kind"
    ),
    "a wrong type": ({"layers": "10"}, "layers is '10', must be a list of words"),
    "a wrong type of a table": ({"neuron": 3}, "neuron is 3, must be a table [neuron]"),
    # images
    "more images than there are": (
        {"training": {**GOOD["training"], "images": 1438}},
        "recipe 'good': training.images is 1438, must be at most 1437, or 0 for all of digits",
    ),
    "less than a batch": (
        {"training": {**GOOD["training"], "images": 100}},
        "stage 'snn1': training.batch_size is 128, must be at most 90, the images that are trained",
    ),
    "less than a batch in a later stage": (
        last(training={"batch_size": 2000}),
        "stage 'last': training.batch_size is 2000, must be at most 1293, the images that are",
    ),
    "validation takes all": (
        {"training": {**GOOD["training"], "images": 1}},
        "training.batch_size is 128, must be at most 0, the images that are trained on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused(tmp_path: Path, case: str) -> None:
    changes, message = CASES[case]
    with pytest.raises(BadInput) as caught:
        train(recipe.from_dict({**GOOD, **changes}), tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_recipe_that_they_change_is_right() -> None:
    assert recipe.from_dict(GOOD).name == "good"
    assert len(recipe.from_dict({**GOOD, **last(convert="scaled", distill="both")}).stages) == 2


@pytest.mark.parametrize("allocation", ["uniform", "erk", "lamp", "global"])
def test_the_density_that_the_message_names_is_enough(allocation: str) -> None:
    content = {**GOOD, "layers": ["P8", "4", "4", "10"]}
    for step in range(1, 400):
        try:
            recipe.from_dict(
                {**content, "pruning": {"density": step / 1000, "allocation": allocation}}
            )
        except BadInput as error:
            least = float(str(error).split("at least ")[1].split(":")[0])
            assert least > step / 1000
            recipe.from_dict({**content, "pruning": {"density": least, "allocation": allocation}})
        else:
            break
    assert step > 10


@pytest.mark.parametrize("field", ["shape", "bits", "coding", "classes"])
def test_another_data_set(field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = data.load("digits")
    wide = {name: getattr(digits, name).repeat(2, axis=-1) for name in ("train_x", "test_x")}
    changes = {"shape": wide, "bits": {"bits": 8}, "coding": {"coding": "events"},
               "classes": {"classes": 11}}  # fmt: skip
    other = dataclasses.replace(digits, **changes[field])
    monkeypatch.setattr(data, "load", lambda *_: other)
    with pytest.raises(BadInput) as caught:
        train(recipe.from_dict(GOOD), tmp_path)
    assert {
        "shape": "data 'digits': shape is (1, 8, 16), must be (1, 8, 8), for which the layers",
        "bits": "data 'digits': bits is 8, must be 5, for which",
        "coding": "data 'digits': coding is events, must be direct, for which",
        "classes": "the last of layers is 10, must be at least 11, the classes of digits",
    }[field] in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_ranking_that_empties_a_layer_stops() -> None:
    network = SpikingNetwork(recipe.from_dict(GOOD))
    first, *_ = network.synapses()
    first.weight.data.mul_(1e-3)
    with pytest.raises(CheckFailed, match=r"density 0\.1 by 'global' leaves layer 'conv1' without"):
        prune_to(network, 0.1, "global")
    assert all(bool(synapse.mask.all()) for synapse in network.synapses())
    prune_to(network, 0.1, "lamp")
    assert bool(first.mask.any())


def test_a_leak_that_is_not_learned_is_that_of_the_stage() -> None:
    stages = staged({**SNN, "name": "first"}, {**SNN, "neuron": {"leak": 0.25}})
    content = recipe.from_dict({**GOOD, **stages, "neuron": {"leak": "none"}})
    old, new = (build(stage, content.of_stage(stage)) for stage in content.plan())
    inherit(new, old, content.plan()[1], data.load("digits").train_x)
    assert [float(layer.leak) for layer in new.layers] == [0.25, 0.25]
