"""`torchrun ... -m spikewright train`: one answer, one set of files, interrupts and resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from spikewright.golden.network import file

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 600
FILES = ("network.safetensors", "history.json")


def start(
    recipe: Path, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "spikewright", "train", str(recipe),
               "--out", str(folder), "--json"]  # fmt: skip
    environment = environment or {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {"PYTHONFAULTHANDLER": "1"}  # an abort in a library says where it was
    return subprocess.Popen(
        command, cwd=folder.parent, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    return out, errors


def test_two_processes_train_one_network(
    tiny_recipe: Path, tmp_path: Path, standing_still: dict[str, str]
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    out, errors = finished(start(tiny_recipe, whole))
    result = json.loads(out)  # one object: only the first process prints
    assert result["fingerprint"] == file.fingerprint(file.load(whole / FILES[0]))
    assert result["accuracy"] > 0.3
    assert errors.count("train ....") == 1

    process, end = start(tiny_recipe, broken, standing_still), time.monotonic() + DEADLINE_S
    while not (broken / "checkpoint.pt").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    out, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode != 0
    assert out.count("network") == 0
    assert not (broken / FILES[0]).exists()

    out, errors = finished(start(tiny_recipe, broken))
    assert json.loads(out)["fingerprint"] == result["fingerprint"]
    for name in FILES:
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_device_that_is_not_there(command, tiny_recipe: Path, tmp_path: Path) -> None:
    number = torch.cuda.device_count()
    outcome = command("train", tiny_recipe, "--out", tmp_path / "out", "--device", f"cuda:{number}")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.splitlines()[-1].startswith(
        f"spikewright: training: device is 'cuda:{number}'"
    )
    assert not list((tmp_path / "out").rglob("*.safetensors"))
