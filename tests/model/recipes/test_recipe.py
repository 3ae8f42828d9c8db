"""Recipes: the built-in ones are right; a mistake gets one line: file, key, value, remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from spikewright.golden.errors import BadInput
from spikewright.model import data
from spikewright.model.ops import surrogate
from spikewright.model.recipes import recipe, sections
from spikewright.model.recipes.fields import keys, read_table

GOOD = """
name = "mine"
data = "digits"
timesteps = 2
layers = ["4C3", "P2", "10"]
[training]
epochs = 1
"""


def test_built_in_recipes() -> None:
    assert {"digits", "mnist-fc", "mnist-conv"} <= set(recipe.names())
    for name in recipe.names():
        loaded = recipe.load(name)
        assert loaded.name == name
        assert recipe.from_dict(loaded.as_dict()) == loaded
    assert [layer.shape for layer in recipe.load("mnist-conv").architecture()] == [
        (16, 28, 28),
        (32, 14, 14),
        (10,),
    ]
    assert [layer.weight_shape for layer in recipe.load("mnist-fc").architecture()] == [
        (128, 784),
        (10, 128),
    ]
    assert recipe.load("digits").architecture()[-1].weight_shape[1] % 16 == 0


def test_overrides_are_checked_like_the_file() -> None:
    assert recipe.load("digits", {"training.seed": 7, "timesteps": 1}).training.seed == 7
    with pytest.raises(BadInput, match=r"training\.seed is 'x', must be a whole number"):
        recipe.load("digits", {"training.seed": "x"})
    with pytest.raises(BadInput, match="timesteps is 4, must be a table"):
        recipe.load("digits", {"timesteps.seed": 1})
    shorter = recipe.load("fashion-pca", {"stages.1.epochs": 2, "stages.0.neuron.leak": 0.5})
    assert [stage.epochs for stage in shorter.plan()][1] == 2
    assert shorter.plan()[0].neuron == {"leak": 0.5}
    with pytest.raises(BadInput, match=r"stages is '9', must be a place within 0\.\.4"):
        recipe.load("fashion-pca", {"stages.9.epochs": 2})
    with pytest.raises(BadInput, match=r"stages\.0 is 1, must be the key of a table"):
        recipe.load("fashion-pca", {"stages.0": 1})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "timesteps = 2",
            "timestep = 2",
            r"unknown key 'timestep', must be one of .*did you mean 'timesteps'\?",
        ),
        ("timesteps = 2", "", "key 'timesteps' is missing, must be a whole number within 1..256"),
        ("timesteps = 2", "timesteps = 0", "timesteps is 0, must be a whole number within 1..256"),
        ("timesteps = 2", "timesteps = true", "timesteps is True, must be a whole number"),
        ("timesteps = 2", "timesteps = 2.0", "timesteps is 2.0, must be a whole number"),
        ("timesteps = 2", "timesteps = '2'", "timesteps is '2', must be a whole number"),
        ('"digits"', '"imagenet"', "data is 'imagenet', must be one of digits, mnist"),
        ('"digits"', "['digits']", r"data is \['digits'\], must be one of"),
        ('"mine"', '"../mine"', r"name is '\.\./mine', must be a name of lower-case letters"),
        ('["4C3", "P2", "10"]', '"10"', "layers is '10', must be a list of words"),
        ('["4C3", "P2", "10"]', "[]", r"layers is \[\], must be a list of words, unless topology"),
        ('"4C3"', '"4X3"', r"layers\[0\] is '4X3', must be a layer such as"),
        ('"4C3"', '"4C4"', r"layers\[0\] is '4C4', must say its padding, as in '4C4p0'"),
        ('"4C3"', '"4C9p0"', r"layers\[0\] is '4C9p0', must have a kernel no larger"),
        ('"4C3"', '"0C3"', r"layers\[0\] is '0C3', must have 1..65536 channels"),
        ('"P2"', '"P9"', r"layers\[1\] is 'P9', must not be larger than what it pools"),
        ('"P2"', '"P1"', r"layers\[1\] is 'P1', must pool over 2..16"),
        ('"P2", "10"', '"P2", "P2", "10"', r"layers\[2\] is 'P2', must not follow another pool"),
        ('"P2", "10"', '"12", "P2", "10"', r"layers\[2\] is 'P2', must not be larger"),
        (
            '"P2", "10"',
            '"12", "3C3", "10"',
            r"layers\[2\] is '3C3', must not follow a fully connected",
        ),
        ('"P2", "10"', '"P2"', "must end with the number of classes"),
        ('"P2", "10"', '"10C3"', "must end with the number of classes"),
        (
            "epochs = 1",
            "epochs = 0",
            r"training\.epochs is 0, must be a whole number within 1..10000",
        ),
        ("epochs = 1", "epochs = 1\nseed = -1", r"training\.seed is -1, must be"),
        ("epochs = 1", "epochs = 1\nlr = 1", r"unknown key 'training\.lr', must be one of epochs"),
        (
            "[training]",
            "[neuron]\nleak = 2\n[training]",
            r"neuron\.leak is 2, must be 'none', 'learned' or a number",
        ),
        ("[training]", "[neuron]\nleak = 'big'\n[training]", r"neuron\.leak is 'big', must be"),
        (
            "[training]",
            "[neuron]\nreset = 'no'\n[training]",
            r"neuron\.reset is 'no', must be one of subtract, zero",
        ),
        (
            "[training]",
            "[neuron]\nsurrogate = 'relu'\n[training]",
            r"neuron\.surrogate is 'relu', must be one of tri",
        ),
        (
            "[training]",
            "[quantization]\nweight_bits = 9\n[training]",
            r"quantization\.weight_bits is 9, must be .* 2..8",
        ),
        (
            "[training]",
            "[quantization]\nweight_bits = [4, 1]\n[training]",
            r"weight_bits is \[4, 1\], must be",
        ),
        (
            "[training]",
            "[quantization]\nweight_bits = [4,4,4]\n[training]",
            "weight_bits has 3 entries, must be .* 2 layers",
        ),
        (
            "[training]",
            "[pruning]\ndensity = 0\n[training]",
            r"pruning\.density is 0, must be a number within 0.001..1",
        ),
        (
            "[training]",
            "[pruning]\nbegin = 0.7\n[training]",
            r"pruning\.begin is 0\.7, must be at most end = 0\.6",
        ),
        (
            "[training]",
            "[pruning]\ndensity=0.5\nend = 0.8\n[training]",
            r"pruning\.end is 0\.8, must be at most 0\.7",
        ),
        ("epochs = 1", "epochs = 1\nfreeze = 1.0", r"training\.freeze is 1\.0, must be below 1"),
        ("[training]", "[training", "is no TOML"),
        ("[training]\nepochs = 1", "training = 3", r"training is 3, must be a table \[training\]"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(BadInput, match=message) as caught:
        recipe.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_recipe_without_mistakes_loads(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    assert recipe.load(tmp_path / "mine.toml").training.epochs == 1


def test_unknown_recipe() -> None:
    with pytest.raises(
        BadInput,
        match=r"recipe: name is 'vgg', must be a \.toml file that exists, or one of .*digits",
    ):
        recipe.load("vgg")
    with pytest.raises(BadInput, match=r"nowhere\.toml: is missing, must be a \.toml file"):
        recipe.load("nowhere.toml")


def test_tables_agree_with_what_they_describe() -> None:
    assert set(recipe.DATA) == set(data.NAMES)
    assert sections.SURROGATES == surrogate.NAMES
    digits = data.load("digits")
    assert recipe.DATA["digits"] == (digits.shape, digits.bits, digits.coding)


def test_every_key_has_a_rule() -> None:
    def check(kind: Any) -> int:
        count = 0
        for entry in keys(kind).values():
            nested = entry.metadata.get("table")
            count += check(nested) if nested else 1
            assert nested or entry.metadata["rule"].expected
        return count

    assert check(recipe.Recipe) > 20
    with pytest.raises(BadInput, match=re.escape("here: unknown key 'x'")):
        read_table(sections.Pruning, {"x": 1}, "here")
