"""The Verilog of the shipped networks is the recorded one: no change of it goes unnoticed.

Who means to change it writes the new hashes below, and says in the changelog what changes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spikewright.golden.network import file
from spikewright.hw.build import build

NETWORKS = Path(__file__).parents[2] / "examples" / "networks"
# Of the names and hashes of all Verilog files, and of all memory files, of a build by default.
RECORDED = {
    "cifar-attention": ("f6ba1950106b55a9", "a83c260b998a254c"),
    "digits": ("47bd690778769f92", "74f43d04175c98b8"),
    "fashion-stacked": ("64d81f1e53a18bcb", "1b2a2699d42c3ff5"),
    "mnist-conv": ("594ae83fd00ef616", "e5580a62c1df5af8"),
    "mnist-fc": ("bf203d29387e31d4", "67ab7c6160158e7b"),
    "mnist-sparse": ("34474956c4d23bc9", "d2c558fc640183b3"),
    "n-mnist": ("a4d8cf9fe42343d6", "5a1743e78cf8ebb5"),
}


def test_every_shipped_network_is_recorded() -> None:
    assert {path.stem for path in NETWORKS.glob("*.safetensors")} == set(RECORDED)


@pytest.mark.sample(name=("digits", "mnist-fc", "n-mnist"))
@pytest.mark.parametrize("name", RECORDED)
def test_the_bytes_are_the_recorded_ones(name: str, tmp_path: Path) -> None:
    build(file.load(NETWORKS / f"{name}.safetensors"), tmp_path)
    found = tuple(hash_of(tmp_path / "rtl", suffix) for suffix in (".v", ".mem"))
    assert found == RECORDED[name]


def hash_of(folder: Path, suffix: str) -> str:
    """The first 16 hexadecimal digits of a hash of all files of a kind."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob(f"*{suffix}")):
        whole.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:16]
