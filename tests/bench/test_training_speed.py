"""The race against peers: ours runs without them; how fast it is, is not a test's business."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest
import torch

PLACE = Path(__file__).parents[2] / "bench"
NAMES = ("golden_speed", "training_peers", "training_worker", "training_speed")


@pytest.fixture
def bench(monkeypatch):
    """The bench's modules by name, as `python bench/training_speed.py` finds them."""
    monkeypatch.syspath_prepend(str(PLACE))
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    threads = torch.get_num_threads()
    yield {name: importlib.import_module(name) for name in NAMES}
    for name in NAMES:
        sys.modules.pop(name, None)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("missing", ["snntorch", "spikingjelly.activation_based.neuron"])
def test_without_peers_it_says_what_to_install(bench, monkeypatch, capsys, missing):
    for package in bench["training_speed"].PACKAGES:
        monkeypatch.setitem(sys.modules, package, None if package == missing else argparse)
        monkeypatch.setitem(sys.modules, package.split(".")[0], argparse)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr("sys.argv", ["training_speed.py"])
    assert bench["training_speed"].main() == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert missing in err
    assert "pip install --editable '.[bench]'" in err


@pytest.mark.parametrize("batch_norm", [True, False])
def test_ours_learns_its_batch_and_keeps_its_masks(bench, batch_norm):
    peers = bench["training_peers"]
    case = peers.Case("small", ("4C3", "P2", "16", "10"), 2, 8)
    program = peers.Spikewright(case, batch_norm, seed=0, density=0.1)
    program.trainer.steps = 100  # soon at the full learning rate
    losses = [program.step() for _ in range(30)]
    assert losses[-1] < losses[0]
    kept = total = 0
    for synapse in program.trainer.network.synapses():
        assert bool((synapse.weight[synapse.mask == 0] == 0).all())
        kept, total = kept + int(synapse.mask.sum()), total + synapse.mask.numel()
    assert 0.05 < kept / total <= 0.11


def test_the_recipe_of_a_race_is_plain(bench):
    for case in bench["training_peers"].CASES:
        recipe = case.recipe(True)
        assert recipe.quantization.weight_bits == (4,)
        assert recipe.pruning.density == 1
        assert recipe.training.spike_penalty == 0
        assert len(recipe.plan()) == 1


class Pipe:
    """Questions to answer, and the answers."""

    def __init__(self, questions):
        self.questions, self.answers = questions, []

    def recv(self):
        return self.questions.pop(0)

    def send(self, answer):
        self.answers.append(answer)


def test_a_worker_starts_and_runs_what_it_is_asked_to(bench, monkeypatch):
    worker, asked = bench["training_worker"], []
    monkeypatch.setattr(worker, "use_one_core", lambda: asked.append("core"))
    monkeypatch.setattr(worker, "keep_freed_memory", lambda: asked.append("memory"))
    case = bench["training_peers"].Case("small", ("16", "10"), 2, 8)
    ours = worker.Program(worker.OURS)
    pipe = Pipe([(ours, case, True, 0), (ours, 3), None])
    worker.serve(pipe, keep=True)
    ready, lap = pipe.answers
    assert asked == ["core", "memory"]
    assert ready is None
    assert lap.cpu > 0
    assert 1 < lap.loss < 4  # ten classes, hardly trained: about ln 10


def test_table_and_ratios(bench, monkeypatch):
    speed = bench["training_speed"]
    monkeypatch.setattr(speed, "setting", lambda options: "the setting")
    speeds = {"ours": [300.0, 100.0, 200.0], "ours, 10 %": [1.0, 2.0, 3.0]}
    for place, way in enumerate(speed.WAYS):
        speeds[f"snnTorch, {way}"] = [100.0, 100.0, 100.0 * (place + 1)]
        speeds[f"SpikingJelly, {way}"] = [50.0, 200.0, 50.0]
    row = {
        "network": "net", "timesteps": 8, "batch": 256, "batch_norm": False, "busy": 0.5,
        "images_per_second": {name: sorted(values)[1] for name, values in speeds.items()},
        "ratios": {way: speed.ratio(speeds, way) for way in speed.WAYS},
    }  # fmt: skip
    first, empty, _, rule, *lines = speed.as_table([row], argparse.Namespace()).splitlines()
    assert (first, empty) == ("the setting", "")
    assert {line.count("|") for line in (rule, *lines)} == {10}
    assert len(lines) == 3
    assert lines[0] == (
        "| net, T = 8, batch 256 | none | 200 | 2 | as in their examples | 100 | 50 "
        "| 2.00 (0.50..3.00) | 0.50 |"
    )
    assert "| 1.00 (0.50..3.00) |" in lines[1]
