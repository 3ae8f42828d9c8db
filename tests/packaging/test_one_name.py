"""One name to import: `spikewright`. A user's own `model.py` and the kit do not meet."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("golden", "hw", "model", "sim")
SCRIPT = """
import sys
import numpy as np
import spikewright as sw

recipe = sw.load_recipe("digits", {"training.epochs": 1, "training.images": 100})
sw.train(recipe, "train")
"""
NETWORK = """
network = sw.Network(
    timesteps=2,
    nodes=(
        sw.Input("pixels", (3,), "direct", bits=4),
        sw.LIF("hidden", (2,), threshold=[5, 9], bias=[0, 0], leak_mul=0, leak_shift=0,
               reset="subtract", membrane_bits=8),
        sw.Readout("out", (2,), bias=[0, 0]),
    ),
    edges=(
        sw.Edge("pixels", "hidden", (sw.Linear(np.array([[1, 0, 2], [0, 2, 1]]), 4),)),
        sw.Edge("hidden", "out", (sw.Linear(np.array([[1, -1], [0, 3]]), 4),)),
    ),
)
sw.build(network, "built", stimulus=sw.Stimulus(np.arange(12).reshape(4, 3)))
assert sw.verify("built").mismatches == 0
mine = {"model", "hw", "sim", "golden"} & set(sys.modules)
assert not mine, mine
print("done")
"""


@pytest.mark.parametrize("part", PARTS)
def test_a_bare_import_names_the_right_one(part):
    done = subprocess.run(
        [sys.executable, "-c", f"import {part}"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip().endswith(
        f"ImportError: {part!r} is no package of its own: import spikewright.{part}"
    )


def test_a_folder_with_files_of_these_names_trains_builds_and_verifies(tmp_path):
    for part in PARTS:
        (tmp_path / f"{part}.py").write_text("raise RuntimeError('imported by the kit')\n")
    (tmp_path / "script.py").write_text(SCRIPT + NETWORK)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip().endswith("done"), done.stderr
    assert (tmp_path / "train" / "network.safetensors").is_file()


def test_the_links_lead_to_the_four_folders():
    for part in PARTS:
        link = ROOT / "spikewright" / part
        assert link.is_symlink()
        assert link.resolve() == ROOT / part
