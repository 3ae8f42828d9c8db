"""Ctrl-C and kill -9 in training: the same command goes on, and ends in the same bytes."""

# Through these also __main__.

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEADLINE_S = 600


def start(
    recipe: Path, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "spikewright", "train", str(recipe), "--out", str(folder)]
    # Whoever runs the tests in the background may ignore interrupts: the training must not.
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def whole(tiny_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(tiny_recipe, folder)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    return folder


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_training_goes_on(
    tiny_recipe: Path, whole: Path, tmp_path: Path, standing_still: dict[str, str],
    blow: signal.Signals,
) -> None:  # fmt: skip
    broken = tmp_path / "broken"
    process = start(tiny_recipe, broken, standing_still)
    wait_for(broken / "checkpoint.pt", process)
    process.send_signal(blow)
    out, errors = process.communicate(timeout=DEADLINE_S)
    assert not (broken / "network.safetensors").exists()
    if blow == signal.SIGINT:
        assert process.returncode == 130
        assert out == ""
        assert "Traceback" not in errors
        assert errors.splitlines()[-1] == (
            "spikewright: interrupted; the same command resumes where it stopped"
        )
        assert [path for path in broken.iterdir() if path.name.endswith(".part")] == []

    again = start(tiny_recipe, broken)
    _, errors = again.communicate(timeout=DEADLINE_S)
    assert again.returncode == 0, errors
    for name in ("network.safetensors", "history.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_an_interrupt_that_a_library_swallowed_is_not_lost(
    command, small_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import may swallow KeyboardInterrupt; here the engine plays that part."""
    from spikewright.golden.models import engine
    from spikewright.interrupts import Interrupts

    true_logits = engine.logits

    def swallow(network, inputs):
        try:
            Interrupts._note(signal.SIGINT, None)
        except KeyboardInterrupt:
            pass
        return true_logits(network, inputs)

    monkeypatch.setattr(Interrupts, "came", 0)
    monkeypatch.setattr(engine, "logits", swallow)
    outcome = command("run", small_file)
    assert outcome.code == 130
    assert outcome.err.splitlines()[-1].startswith("spikewright: interrupted")
