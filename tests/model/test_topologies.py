"""Max pooling, strides, residual blocks and named networks: their shapes, and exactness."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, reference
from spikewright.golden.network import file
from spikewright.golden.network.edges import Conv2d, Identity, MaxPool2d, SumPool2d
from spikewright.golden.network.trace import compare
from spikewright.model import architecture, topologies
from spikewright.model.export import export
from spikewright.model.layers import shortcut
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.methods.prune import prune_to
from spikewright.model.recipes import recipe

LAYERS = [
    ["4C3", "M2", "6C3s2", "10"],
    ["4C3s2", "4R3", "M2", "10"],
    ["4C3", "P2", "6R3s2", "6R3", "10"],
    ["3C3", "M2", "3R3", "5R3", "M2", "12", "10"],
    ["4C5p0s3", "4R1", "10"],
]


def build(words: list[str], seed: int, **tables: Any) -> SpikingNetwork:
    """A network on digits with random parameters, after three steps of training and pruning."""
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "name": "random",
        "data": "digits",
        "timesteps": 3,
        "layers": words,
        "neuron": {"batch_norm": seed % 2 == 0, "leak": ["none", 0.3][seed // 2 % 2]},
        "quantization": {"weight_bits": [2, 4, 8][seed % 3]},
        "training": {"epochs": 1, "seed": seed},
        **tables,
    }
    network = SpikingNetwork(recipe.from_dict(options))
    with torch.no_grad():
        for layer in network.spiking_layers:
            layer.beta.copy_(torch.from_numpy(rng.normal(0, 0.3, layer.beta.shape)))
            if layer.neuron.batch_norm:
                layer.gamma.copy_(torch.from_numpy(rng.normal(0, 1, layer.gamma.shape)))
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for step in range(3):
        network.freeze(step == 2)
        logits, factor = network.logits_and_scale(
            torch.from_numpy(frames(16, step).astype(np.float32))
        )
        functional.cross_entropy(logits * factor, torch.arange(16) % 10).backward()
        optimizer.step()
        prune_to(network, 0.8, "lamp")
    return network


def frames(batch: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 17, (batch, 1, 8, 8))


@pytest.mark.parametrize("seed", range(10))
def test_torch_equals_golden(seed: int, tmp_path: Path) -> None:
    network = build(LAYERS[seed % len(LAYERS)], seed)
    file.save(export(network), tmp_path / "network.safetensors")
    loaded = file.load(tmp_path / "network.safetensors")
    images = frames(6, 99)
    actual = network.trace(images)
    for run in (reference.run, engine.run):
        assert compare(run(loaded, images), actual).first is None
    rates = [float(fired.mean()) for fired in actual.spikes.values()]
    assert max(rates) > 0.01
    assert loaded.density <= 0.8


def test_edges_are_what_the_words_say() -> None:
    network = export(build(LAYERS[3], 0))
    into = {node.name: network.into(node.name) for node in network.neurons}
    assert [edge.source for edge in into["res3"]] == ["res2", "conv1"]
    assert [type(op) for op in into["res3"][1].operations] == [MaxPool2d, Identity]
    assert [type(op) for op in into["res5"][1].operations] == [Conv2d]  # 3 to 5 channels
    assert isinstance(into["fc6"][0].pool, MaxPool2d)
    strided = export(build(LAYERS[2], 0)).into("res3")[1]
    assert [type(op) for op in strided.operations] == [SumPool2d, Conv2d]
    assert strided.synapse is not None
    assert strided.synapse.stride == (2, 2)  # type: ignore[union-attr]


def test_both_paths_of_a_block_have_one_scale() -> None:
    path = {
        "name": "b",
        "origin": "a",
        "source": (2, 4, 4),
        "shape": (2, 4, 4),
        "highest": 1,
        "one": 1,
    }
    generator = torch.Generator().manual_seed(0)
    main = architecture.Layer(**path, kind="conv", kernel=1, weight_bits=4)
    first = shortcut.Synapse(main, 1.0, generator)
    second = shortcut.Gain(architecture.Path(**path, kind="identity", weight_bits=8))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0.7, -0.1], [0.014, 0.005]]).reshape(2, 2, 1, 1))
        second.weight.copy_(torch.tensor([1.0, -2.54]))
    weights, gains, scale = shortcut.integers(first, second)
    # channel 0: 0.7 / 7 is above 1 / 127; channel 1: 2.54 / 127 is above 0.014 / 7
    assert torch.allclose(scale, torch.tensor([0.1, 0.02]))
    assert weights.flatten().tolist() == [7, -1, 1, 0]
    assert gains.tolist() == [10, -127]
    (weights.sum() + 2 * gains.sum()).backward()
    assert torch.allclose(first.weight.grad.flatten(), torch.tensor([10.0, 10.0, 50.0, 50.0]))
    assert torch.allclose(second.weight.grad, torch.tensor([20.0, 100.0]))
    events = torch.ones(1, 2, 4, 4)
    assert second.drive(events, gains)[0, :, 0, 0].tolist() == [10, -127]


def test_a_shortcut_behind_a_sum_pool_starts_at_the_mean() -> None:
    layers = recipe.from_dict(
        {"name": "x", "data": "digits", "timesteps": 1, "layers": ["2C3", "P2", "2R3", "10"],
         "training": {"epochs": 1}}
    ).architecture()  # fmt: skip
    assert layers[2].shortcut is not None
    assert shortcut.Gain(layers[2].shortcut).weight.tolist() == [0.25, 0.25]
    pooled = architecture.Path(
        name="b", origin="a", kind="identity", source=(1, 2, 2), pool=2, maximum=True,
        shape=(1, 1, 1), weight_bits=8, highest=1, one=1,
    )  # fmt: skip
    assert shortcut.Gain(pooled).weight.tolist() == [1.0]


def test_balanced_rows_of_a_projection_stay_nonzero() -> None:
    tables = {"pruning": {"density": 0.5, "structure": "bank", "banks": 2, "allocation": "erk"}}
    network = build(["4C3", "6R3", "10"], 0, **tables)
    names = [path.name for path in architecture.weighted(network.recipe.architecture())]
    assert names == ["conv1", "res2", "res3", "res3.shortcut", "readout"]
    prune_to(network, 0.5, "erk", network.recipe.pruning.banks_of(5))
    exported = export(network)
    for synapse, operation in zip(network.synapses(), exported.weights, strict=True):
        assert np.count_nonzero(operation.weight) == int(synapse.mask.sum())
    assert 0.4 < exported.density <= 0.5


def test_macs_of_vgg16_on_cifar_100() -> None:
    """The figure that fits the network of Datta et al., their smallest stage without a pool."""
    words = topologies.spell("vgg16", 1, "max", (3, 32, 32), 100)
    layers = architecture.parse("here", words, (3, 32, 32), 255, 255, (4,))
    macs = [
        math.prod(layer.weight_shape) * math.prod(layer.shape[1:] if len(layer.shape) > 1 else (1,))
        for layer in layers
    ]
    assert round(sum(macs) / 1e6, 1) == 338.8
    assert macs[0] == 3 * 9 * 64 * 1024


@pytest.mark.parametrize(
    ("name", "convolutions", "linear"),
    [("vgg5", 3, 2), ("vgg9", 8, 1), ("vgg11", 8, 3), ("vgg16", 13, 3), ("resnet12", 11, 1),
     ("resnet20", 19, 1)],
)  # fmt: skip
@pytest.mark.parametrize("data", ["digits", "fashion-mnist", "cifar-10"])
def test_named_networks(name: str, convolutions: int, linear: int, data: str) -> None:
    options = {"name": "x", "data": data, "timesteps": 2, "topology": name, "width": 0.125,
               "pooling": "max", "training": {"epochs": 1}}  # fmt: skip
    layers = recipe.from_dict(options).architecture()
    assert sum(layer.kind == "conv" for layer in layers) == convolutions
    assert sum(layer.kind == "linear" for layer in layers) == linear
    assert layers[-1].shape == (10,)
    assert layers[0].shape[0] == 8
    joined = [layer.shortcut.kind for layer in layers if layer.shortcut]
    assert joined.count("conv") == (3 if "resnet" in name else 0)
    assert joined.count("identity") == {"resnet12": 1, "resnet20": 5}.get(name, 0)


@pytest.mark.parametrize("topology", ["vgg5", "vgg9", "vgg11", "vgg16", "resnet12", "resnet20"])
def test_named_networks_are_exact(topology: str) -> None:
    options = {"name": "x", "data": "digits", "timesteps": 2, "topology": topology,
               "width": 0.0625, "pooling": "max", "training": {"epochs": 1}}  # fmt: skip
    network = SpikingNetwork(recipe.from_dict(options))
    images = frames(8, 3)
    network(torch.from_numpy(images.astype(np.float32)))  # its batch moves the statistics
    actual = network.trace(images)
    assert compare(reference.run(export(network), images), actual).first is None
    assert actual.logits.any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["M2", "4C3", "10"], r"layers\[0\] is 'M2', must not pool the input"),
        (["4R3", "10"], r"layers\[0\] is '4R3', must follow a layer, whose spikes"),
        (["4C3", "4R2", "10"], r"layers\[1\] is '4R2', must have an odd kernel"),
        (["4C3", "4R3s17", "10"], r"must have a stride of 1\.\.16"),
        (["4C3s0", "10"], r"layers\[0\] is '4C3s0', must have a stride of 1\.\.16"),
        (["4C3", "12", "4R3", "10"], r"layers\[2\] is '4R3', must not follow a fully connected"),
        (["4C3", "4R3"], "must end with the number of classes"),
    ],
)
def test_mistakes(words: list[str], message: str) -> None:
    options = {"name": "x", "data": "digits", "timesteps": 1, "training": {"epochs": 1}}
    with pytest.raises(BadInput, match=message):
        recipe.from_dict({**options, "layers": words})


def test_layers_or_a_topology_but_not_both() -> None:
    options = {"name": "x", "data": "digits", "timesteps": 1, "training": {"epochs": 1}}
    with pytest.raises(BadInput, match="topology is 'vgg5', must be left out where layers"):
        recipe.from_dict({**options, "layers": ["10"], "topology": "vgg5"})
    with pytest.raises(BadInput, match="topology is 'vgg7', must be one of none, vgg5"):
        recipe.from_dict({**options, "topology": "vgg7"})
