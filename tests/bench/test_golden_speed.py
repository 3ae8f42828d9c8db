"""The speed benchmark runs and compares logits; how fast it is, is not a test's business."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

PLACE = Path(__file__).parents[2] / "bench" / "golden_speed.py"


def test_benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("golden_speed", PLACE)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "golden_speed", bench)
    monkeypatch.syspath_prepend(PLACE.parent)  # as Python does for a script
    spec.loader.exec_module(bench)
    monkeypatch.setattr(bench, "IMAGES", 4)
    monkeypatch.setattr("sys.argv", ["golden_speed.py", "--json", "--repeats", "1"])
    threads = torch.get_num_threads()
    try:
        assert bench.main() in (0, 1)
    finally:
        torch.set_num_threads(threads)
    out = json.loads(capsys.readouterr().out)
    assert out["schema"] == 1
    assert len(out["rows"]) == 4
    for row in out["rows"]:
        assert row["engine_images_per_second"] > 0
        assert row["torch_images_per_second"] > 0
        assert min(row["spike_rates"].values()) > 0.05
