"""torch in eval mode == golden reference == engine, after training, export, save and reload."""

# Through these also model.layers.neuron and model.layers.readout.

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from spikewright.golden.models import engine, reference
from spikewright.golden.network import file
from spikewright.golden.network.trace import compare
from spikewright.model.export import dead_channels, export
from spikewright.model.layers.spiking import SpikingNetwork
from spikewright.model.methods.prune import prune_to
from spikewright.model.recipes import recipe
from spikewright.model.recipes.sections import SURROGATES

LAYERS = {
    "digits": [["4C3", "P2", "6C2p0", "12", "10"], ["P2", "5C3", "7"], ["9", "10"], ["10"]],
    "n-mnist": [["P2", "3C4p1", "P4", "5C3", "P2", "10"], ["P8", "11", "10"]],
}


def build(seed: int) -> SpikingNetwork:
    """A network with random options, gammas of both signs, and three steps of training."""
    rng = np.random.default_rng(seed)
    data = "digits" if seed % 3 else "n-mnist"
    layers = LAYERS[data][seed % len(LAYERS[data])]
    weighted = sum(word[0] != "P" for word in layers)
    options: dict[str, Any] = {
        "name": "random",
        "data": data,
        "timesteps": int(rng.integers(1, 5)),
        "layers": layers,
        "neuron": {
            "leak": ["none", "learned", 0.3, 1.0][seed % 4],
            "leak_shift": int(rng.integers(1, 9)),
            "reset": ["subtract", "zero"][seed // 2 % 2],
            "membrane_bits": [5, 8, 14, 22][seed // 3 % 4],
            "batch_norm": seed % 5 != 0,
            "surrogate": SURROGATES[seed % 5],
        },
        "quantization": {"weight_bits": [int(b) for b in rng.integers(2, 9, weighted)]},
        "training": {"epochs": 1, "seed": seed},
    }
    network = SpikingNetwork(recipe.from_dict(options))
    for layer in network.spiking_layers:
        with torch.no_grad():
            layer.beta.copy_(torch.from_numpy(rng.normal(0, 0.5, layer.beta.shape)))
            if layer.neuron.batch_norm:
                layer.gamma.copy_(torch.from_numpy(rng.normal(0, 1, layer.gamma.shape)))
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for step in range(3):
        network.freeze(step == 2)
        logits, factor = network.logits_and_scale(
            torch.from_numpy(inputs(network, 16, step).astype(np.float32))
        )
        functional.cross_entropy(logits * factor, torch.arange(16) % logits.shape[1]).backward()
        optimizer.step()
        prune_to(network, 0.7, "lamp")
    return network


def inputs(network: SpikingNetwork, batch: int, seed: int) -> np.ndarray:
    """Random integers that fit the input node."""
    rng = np.random.default_rng([seed, batch])
    shape = (1, 8, 8) if network.coding == "direct" else (network.timesteps, 2, 34, 34)
    values = rng.integers(0, 2**network.input_bits, (batch, *shape))
    return values if network.coding == "direct" else values * (rng.random(values.shape) < 0.2)


@pytest.mark.parametrize("seed", range(24))
def test_torch_equals_golden(seed: int, tmp_path: Path) -> None:
    network = build(seed)
    file.save(export(network), tmp_path / "network.safetensors")
    loaded = file.load(tmp_path / "network.safetensors")
    images = inputs(network, 6, 99)
    actual = network.trace(images)
    for run in (reference.run, engine.run):
        result = compare(run(loaded, images), actual)
        assert result.first is None
        assert result.mismatches == 0
        assert result.membranes >= 6 * loaded.timesteps
    network.eval()
    logits = network(torch.from_numpy(images.astype(np.float32)))
    assert (logits.detach().numpy() == actual.logits).all()
    assert loaded.density <= 0.7


def test_the_random_networks_cover_the_options() -> None:
    networks = [build(seed) for seed in range(24)]
    layers = list(itertools.chain.from_iterable(n.spiking_layers for n in networks))
    assert any(bool((layer.gamma < 0).any()) for layer in layers if layer.neuron.batch_norm)
    assert {layer.neuron.reset for layer in layers} == {"subtract", "zero"}
    assert {layer.neuron.leak for layer in layers} == {"none", "learned", 0.3, 1.0}
    assert {s.layer.weight_bits for n in networks for s in n.synapses()} == set(range(2, 9))
    assert {layer.dtype for layer in layers} == {torch.float32, torch.float64}
    rates = [float(s.mean()) for n in networks for s in n.trace(inputs(n, 4, 1)).spikes.values()]
    assert sum(0.02 < rate < 0.9 for rate in rates) > len(rates) / 2
    clamped = 0
    for network in networks:
        trace = network.trace(inputs(network, 4, 1))
        for layer in network.spiking_layers:
            clamped += int((trace.membranes[layer.layer.name] == layer.rule.lowest).any())
    assert clamped > 0


def test_frozen_training_computes_the_exported_integers() -> None:
    network = build(4)
    images = torch.from_numpy(inputs(network, 6, 5).astype(np.float32))
    network.train()
    network.freeze()
    training = network(images)
    network.eval()
    assert torch.equal(training, network(images))
    network.train()
    network.freeze(False)
    assert not torch.equal(training, network(images))  # batch statistics are another function


def test_batch_norm_folds_as_the_design_says() -> None:
    network = build(1)
    layer = network.spiking_layers[0]
    assert layer.neuron.batch_norm
    node = export(network).hidden[0]
    gamma, sigma = layer.gamma.double(), torch.sqrt(layer.var.double() + 1e-3)
    top = 2 ** (layer.neuron.membrane_bits - 1) - 1
    threshold = torch.floor(layer.theta.double() * sigma / gamma.abs() + 0.5).clamp(1, top)
    flipped_mean = layer.mean.double() * gamma.sign()
    bias = torch.floor(layer.beta.double() * sigma / gamma.abs() - flipped_mean + 0.5)
    assert np.abs(node.threshold - threshold.detach().numpy()).max() <= 1  # float32 against float64
    assert np.abs(node.bias - bias.detach().numpy()).max() <= 1


def test_wide_sums_are_computed_in_float64() -> None:
    options = {
        "name": "wide",
        "data": "mnist",
        "timesteps": 1,
        "layers": ["8", "10"],
        "training": {"epochs": 1},
    }
    narrow = SpikingNetwork(recipe.from_dict({**options, "quantization": {"weight_bits": 4}}))
    wide = SpikingNetwork(recipe.from_dict({**options, "quantization": {"weight_bits": 8}}))
    assert narrow.spiking_layers[0].dtype == torch.float32
    assert wide.spiking_layers[0].dtype == torch.float64


def test_dead_channels_are_counted() -> None:
    network = build(2)
    layer = network.spiking_layers[0]
    with torch.no_grad():
        layer.synapse.mask[0] = 0
        layer.beta[0] = -1.0
        if layer.neuron.batch_norm:
            layer.mean[0] = 0.0
    network.project()
    assert dead_channels(export(network))[layer.layer.name] >= 1
