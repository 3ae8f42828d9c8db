"""A layer that is silent, or fires all the time, is said by every command that runs the network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import spikewright
from spikewright.cli import text
from spikewright.results.models import TrainResult
from spikewright.results.stuck import ALWAYS, StuckLayer, stuck_layers, trained_rates

SILENT, BUSY = StuckLayer("quiet", "silent", 0.0), StuckLayer("busy", "always", 1.0)


@pytest.fixture(scope="module")
def network() -> spikewright.Network:
    """Node "busy" fires by its bias alone, "quiet" can't, "some" follows the input."""
    eye = np.eye(2, dtype=int)
    nodes = [
        spikewright.LIF(name, (2,), [threshold] * 2, [bias] * 2, 0, 0, "zero", 8)
        for name, threshold, bias in (("busy", 3, 3), ("some", 5, 0), ("quiet", 60, 0))
    ]
    names = ("pixels", *(node.name for node in nodes), "out")
    gains = (np.zeros((2, 2), int), 5 * eye, eye, eye)
    edges = [
        spikewright.Edge(source, target, (spikewright.Linear(gain, 4),))
        for source, target, gain in zip(names, names[1:], gains, strict=False)
    ]
    fed = spikewright.Edge("pixels", "some", (spikewright.Linear(-eye, 4),))
    return spikewright.Network(
        2,
        (spikewright.Input("pixels", (2,), "direct", 4), *nodes,
         spikewright.Readout("out", (2,), [0, 0])),
        (*edges, fed),
        {"name": "stuck"},
    )  # fmt: skip


def warnings(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith("warning ")]


def test_the_limits() -> None:
    rates = {"a": 0.0, "b": 1e-9, "c": ALWAYS - 1e-9, "d": ALWAYS, "e": 1.0}
    assert [(one.node, one.state) for one in stuck_layers(rates)] == [
        ("a", "silent"), ("d", "always"), ("e", "always"),
    ]  # fmt: skip


def test_run_build_and_verify_name_layer_and_figure(
    command, network: spikewright.Network, tmp_path: Path
) -> None:
    counts = {"busy": np.array([20, 20]), "some": np.array([7, 0]), "quiet": np.array([0, 0])}
    trained = replace(network, activity=counts, meta={"activity_inferences": "10"})
    file, out = tmp_path / "net.safetensors", tmp_path / "out"
    spikewright.save_network(trained, file)
    np.save(tmp_path / "x.npy", np.array([[0, 1], [3, 0], [0, 0]]))
    places = {
        ("run", file): "3 images",
        ("build", file, "--out", out): "the images on which training counted its spikes",
        ("verify", out): "3 images",
        ("run", out): "3 images",
    }
    for words, where in places.items():
        given = ["--inputs", tmp_path / "x.npy"] if words[1] == file else []
        shown = command(*words, *given)
        assert shown.code == 0, shown.err
        rate = f"spikes per neuron and step on {where}"
        assert warnings(shown.out) == [
            f"warning     layer 'busy' fires all the time: 1.0000 {rate}",
            f"warning     layer 'quiet' is silent: 0.0000 {rate}",
        ]
        found = command(*words, *given, "--json").json["stuck_layers"]
        assert found == [BUSY.as_dict(), SILENT.as_dict()]
    assert spikewright.evaluate(out).stuck_layers == (BUSY, SILENT)


def test_a_build_says_what_training_knew(network: spikewright.Network) -> None:
    counts = {"busy": np.array([20, 20]), "quiet": np.array([0, 0])}
    known = replace(network, activity=counts, meta={"activity_inferences": "10"})
    assert trained_rates(known) == {"busy": 1.0, "quiet": 0.0}
    assert trained_rates(replace(known, meta={})) == {"quiet": 0.0}  # of how many images?
    assert trained_rates(network) == {}


def test_training_says_it(demo_folder: Path) -> None:
    summary = json.loads((demo_folder / "train" / "history.json").read_text())["summary"]
    network = spikewright.load_network(demo_folder / "network.safetensors")

    def result(rates: dict[str, float]) -> TrainResult:
        return TrainResult.of("tiny", network, demo_folder, {**summary, "spike_rate": rates})

    assert result(summary["spike_rate"]).stuck_layers == ()
    assert list(summary["spike_rate"]) == [node.name for node in network.hidden]
    stuck = result({"conv1": 0.0}).as_dict()
    assert warnings("\n".join(text.of_training(stuck))) == [
        "warning     layer 'conv1' is silent: 0.0000 spikes per neuron and step on 360 test images"
    ]
