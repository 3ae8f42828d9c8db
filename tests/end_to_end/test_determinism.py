"""The same recipe, seed and inputs give the same bytes: in another folder, in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that a build is made of, by its name in the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "log" not in path.relative_to(folder).parts
    }


def train_and_build(recipe: Path, folder: Path, hash_seed: str) -> None:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    program = [sys.executable, "-c", "from spikewright.cli import main; main()"]
    network = folder / "train" / "network.safetensors"
    for arguments in (
        ["train", recipe, "--out", folder / "train"],
        ["build", network, "--out", folder / "build"],
    ):
        command = [*program, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_two_folders_two_hash_seeds_same_bytes(tiny_recipe: Path, tmp_path: Path) -> None:
    train_and_build(tiny_recipe, tmp_path / "first", "1")
    train_and_build(tiny_recipe, tmp_path / "second" / "deeper", "2718")
    for part in ("train", "build"):
        first = files_of(tmp_path / "first" / part)
        second = files_of(tmp_path / "second" / "deeper" / part)
        first.pop("checkpoint.pt", None), second.pop("checkpoint.pt", None)
        assert list(first) == list(second)
        for name, content in first.items():
            assert second[name] == content, name
    built = files_of(tmp_path / "first" / "build")
    assert {"network.safetensors", "manifest.json", "stimulus.safetensors"} <= set(built)
    assert {"rtl/accelerator.v", "rtl/top.v"} <= set(built)


def test_no_place_of_this_machine_is_in_a_build(tiny_recipe: Path, demo_folder: Path) -> None:
    for name in ("manifest.json", "rtl/accelerator.v", "rtl/top.v", "network.safetensors"):
        content = (demo_folder / name).read_bytes()
        assert str(demo_folder).encode() not in content, name
        assert str(Path.cwd()).encode() not in content, name
