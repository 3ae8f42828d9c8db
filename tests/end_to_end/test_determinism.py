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


def test_another_folder_another_hash_seed_same_bytes(
    demo_folder: Path, tiny_recipe: Path, tmp_path: Path
) -> None:
    """The demo's network and build are made once more, by two processes of their own."""
    assert os.environ.get("PYTHONHASHSEED") != "2718"
    environment = os.environ | {"PYTHONHASHSEED": "2718"}
    again = tmp_path / "deep" / "down"
    network = again / "train" / "network.safetensors"
    for arguments in (
        ["train", tiny_recipe, "--out", again / "train"],
        ["build", network, "--out", again, "--images", "20"],
    ):
        program = [sys.executable, "-m", "spikewright"]
        command = [*program, *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    first, second = files_of(demo_folder), files_of(again)
    assert {"network.safetensors", "manifest.json", "stimulus.safetensors"} <= set(second)
    assert {"rtl/accelerator.v", "rtl/top.v", "train/network.safetensors"} <= set(second)
    for name, content in second.items():
        if name != "train/checkpoint.pt":
            assert first[name] == content, name


def test_no_place_of_this_machine_is_in_a_build(tiny_recipe: Path, demo_folder: Path) -> None:
    for name in ("manifest.json", "rtl/accelerator.v", "rtl/top.v", "network.safetensors"):
        content = (demo_folder / name).read_bytes()
        assert str(demo_folder).encode() not in content, name
        assert str(Path.cwd()).encode() not in content, name


def test_another_recipe_in_a_finished_folder_trains_anew(
    command, tiny_recipe: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = command("train", tiny_recipe, "--out", out, "--json")
    assert first.code == 0, first.err
    assert "kept" in command("train", tiny_recipe, "--out", out).err
    second = command("train", tiny_recipe, "--out", out, "--seed", 7, "--json")
    assert second.code == 0, second.err
    assert second.json["fingerprint"] != first.json["fingerprint"]
