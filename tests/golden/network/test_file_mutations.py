"""Files damaged at random: refused with one line, or the same network; never another error."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.network import file
from spikewright.golden.network.graph import Network
from spikewright.golden.testing import random_chain, random_graph


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """One fault: a flipped bit, a cut, a byte more or less, parts exchanged, a part repeated."""
    kind = rng.integers(7)
    one, two = sorted(int(place) for place in rng.integers(0, len(data), 2))
    if kind <= 1:
        changed = bytearray(data)
        changed[one if kind else one % 600] ^= 1 << int(rng.integers(8))
        return bytes(changed)
    return [
        data[:one],
        data[:one] + bytes([int(rng.integers(256))]) + data[one:],
        data[:one] + data[one + 1 :],
        data[:one] + data[two:] + data[one:two],
        data[:two] + data[one:],
    ][kind - 2]


SMALL = random_chain.Limits(side=4, channels=3, units=8)


def active_graph(seed: int) -> Network:
    """A graph that says how busy its input was."""
    network = random_graph.random_graph(seed, SMALL)
    return replace(network, activity={"input": np.full(network.input.shape, seed)})


@pytest.mark.parametrize("draw", [lambda seed: random_chain.random_network(seed, SMALL),
                                  active_graph],
                         ids=["chain", "graph"])  # fmt: skip
@pytest.mark.parametrize("seed", range(20))
def test_mutations(seed: int, draw: Callable[[int], Network], tmp_path: Path) -> None:
    """Refused, or (a blank moved in the header, say) the same network; never anything else."""
    rng = np.random.default_rng(seed)
    good = file.encode(draw(seed))
    refused = 0
    lines: list[str] = []
    for _ in range(60):
        data = mutated(rng, good)
        path = tmp_path / "bad.safetensors"
        path.write_bytes(data)
        try:
            assert file.encode(file.load(path)) == good
        except BadInput as error:
            refused += 1
            lines.append(str(error))
        assert os.listdir(tmp_path) == ["bad.safetensors"]
    assert refused >= 50
    assert not any("\n" in line for line in lines)


def test_every_flipped_bit_is_noticed() -> None:
    """Each bit of a whole small file; only in the header's padding may one pass unseen."""
    tiny = random_chain.Limits(side=2, channels=1, units=3, layers=1)
    chain, graph = random_chain.random_network(13, tiny), random_graph.random_graph(15, tiny)
    assert max(edge.delay for edge in graph.edges) == 1
    for good in (file.encode(chain), file.encode(graph)):
        _flip_every_byte(good)


def _flip_every_byte(good: bytes) -> None:
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1 << (place % 8)
        try:
            assert file.encode(file.decode(bytes(changed))) == good
        except BadInput:
            continue
        pytest.fail(f"byte {place}")
