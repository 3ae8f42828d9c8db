"""The engine against the reference: every spike and membrane of random networks."""

# Through these also golden.models.kernels, golden.arrays.

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest

from spikewright.golden import jit
from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine, engine_tables, reference
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import Input, Readout
from spikewright.golden.network.trace import compare
from spikewright.golden.network.widths import node_widths
from spikewright.golden.testing import random_chain, random_graph

BLOCK = 20


@pytest.mark.parametrize("first", range(0, 300, BLOCK))
def test_random_networks(first: int) -> None:
    for seed in range(first, first + BLOCK):
        network = random_chain.random_network(seed)
        inputs = random_chain.random_inputs(network, 4, seed)
        expected = reference.run(network, inputs)
        result = compare(expected, engine.run(network, inputs))
        assert result.mismatches == 0, f"seed {seed}: {result.first}"
        assert result.spikes > 0
        assert np.array_equal(engine.logits(network, inputs), expected.logits)


def _drive_bytes(network: Network) -> set[int]:
    return {r.drive.itemsize for layer in engine_tables.compiled(network) for r in layer.routes}


@pytest.mark.parametrize("first", range(0, 500, 50))
def test_random_graphs(first: int) -> None:
    for seed in range(first, first + 50):
        network = random_graph.random_graph(seed)
        inputs = random_chain.random_inputs(network, 4, seed)
        expected = reference.run(network, inputs)
        result = compare(expected, engine.run(network, inputs))
        assert result.mismatches == 0, f"seed {seed}: {result.first}"
        assert np.array_equal(engine.logits(network, inputs), expected.logits)


def test_random_graphs_with_different_windows_out_of_a_node() -> None:
    for seed in range(150):
        network = random_graph.random_graph(seed, random_chain.Limits(buildable=False))
        inputs = random_chain.random_inputs(network, 4, seed)
        result = compare(reference.run(network, inputs), engine.run(network, inputs))
        assert result.mismatches == 0, f"seed {seed}: {result.first}"


def test_larger_networks() -> None:
    for seed in range(6):
        network = random_chain.random_network(
            seed, random_chain.Limits(side=20, channels=40, units=300, kernel=9)
        )
        inputs = random_chain.random_inputs(network, 3, seed)
        assert compare(reference.run(network, inputs), engine.run(network, inputs)).mismatches == 0


@pytest.mark.parametrize("bits", [32, 64])
def test_wide_drive(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same networks, with accumulators wider than they need."""

    def wider(network: Network) -> dict:
        return {k: replace(w, sum_bits=bits) for k, w in node_widths(network).items()}

    monkeypatch.setattr(engine_tables, "node_widths", wider)
    networks = [
        draw(n)
        for n in range(20)
        for draw in (random_chain.random_network, random_graph.random_graph)
    ]
    for seed, network in enumerate(networks):
        assert _drive_bytes(network) == {bits // 8}
        inputs = random_chain.random_inputs(network, 3, seed)
        assert compare(reference.run(network, inputs), engine.run(network, inputs)).mismatches == 0


@pytest.mark.parametrize(("last", "size"), [(1, 2), (2, 4)])
def test_drive_is_narrow_exactly_as_long_as_proven(last: int, size: int) -> None:
    """258 x 127 + 1 is 2^15 - 1, the most that int16 holds."""
    weight = np.full((1, 259), 127, np.int8)
    weight[0, -1] = last
    network = Network(
        2,
        (Input("input", (259,), "events", 1), Readout("readout", (1,), np.array([2**31 - 1]))),
        (Edge("input", "readout", (Linear(weight, 8),)),),
    )
    assert _drive_bytes(network) == {size}
    assert engine.logits(network, np.ones((1, 2, 259), np.uint8)).tolist() == [
        [2 * (2**31 - 1 + 258 * 127 + last)]
    ]


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [
        draw(n)
        for n in range(1, 9)
        for draw in (random_chain.random_network, random_graph.random_graph)
    ]
    for seed, network in enumerate(networks):
        inputs = random_chain.random_inputs(network, 7, seed)
        whole = engine.run(network, inputs)
        for images in (1, 3):
            monkeypatch.setattr(engine, "CHUNK_IMAGES", images)
            assert compare(whole, engine.run(network, inputs)).mismatches == 0
            assert np.array_equal(engine.logits(network, inputs), whole.logits)
        monkeypatch.undo()


def test_no_images() -> None:
    network = random_chain.random_network(5)
    inputs = random_chain.random_inputs(network, 0, 0)
    for run in (reference.run, engine.run):
        trace = run(network, inputs)
        assert trace.logits.shape == (0, *network.output.shape)
        assert compare(trace, engine.run(network, inputs)).mismatches == 0


def test_any_integer_array_will_do() -> None:
    network = next(n for n in map(random_chain.random_network, range(99)) if n.input.bits == 1)
    inputs = random_chain.random_inputs(network, 6, 0)
    expected = engine.logits(network, inputs)
    for array in (inputs.astype(bool), inputs.astype(np.uint64), np.asfortranarray(inputs)):
        assert np.array_equal(engine.logits(network, array), expected)
    assert np.array_equal(engine.logits(network, inputs[::2]), expected[::2])


def test_inputs_are_not_changed_and_traces_are_not_shared() -> None:
    network = random_chain.random_network(8)
    inputs = random_chain.random_inputs(network, 3, 8)
    before = inputs.copy()
    first, second = engine.run(network, inputs), engine.run(network, inputs)
    assert np.array_equal(inputs, before)
    first.logits[:] = 0
    for array in first.membranes.values():
        array[:] = 99
    assert compare(engine.run(network, inputs), second).mismatches == 0


@pytest.mark.parametrize("run", [reference.run, engine.run, engine.logits])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(float), "integer"),
        (lambda x: x[0], "shape"),
        (lambda x: x[..., :-1], "shape"),
        (lambda x: x * 0 + 2**9, "value is 512"),
        (lambda x: x * 0 - 2**9, "value is -512"),
        (lambda x: np.full(x.shape, 2**63, np.uint64), "value"),
    ],
    ids=["float", "one frame", "too narrow", "too high", "too low", "beyond int64"],
)
def test_wrong_inputs_are_refused(run, change, message: str) -> None:
    network = random_chain.random_network(3)
    inputs = random_chain.random_inputs(network, 2, 3)
    with pytest.raises(BadInput, match=message):
        run(network, change(inputs))


def test_wrong_number_of_steps_is_refused() -> None:
    networks = map(random_chain.random_network, range(99))
    network = next(n for n in networks if n.input.coding == "events" and n.timesteps > 1)
    for run in (reference.run, engine.run):
        with pytest.raises(BadInput, match="shape"):
            run(network, random_chain.random_inputs(network, 2, 0)[:, 1:])


def test_threads() -> None:
    """The compiled code holds no state and lets other threads run."""
    network = random_chain.random_network(11)
    parts = [random_chain.random_inputs(network, 16, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda part: engine.logits(network, part), parts))
    for part, logits in zip(parts, found, strict=True):
        assert np.array_equal(logits, reference.run(network, part).logits)


def test_compiles_also_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Any = numba.njit

    def without_folder(**options: bool):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", without_folder)
    assert jit.entry(lambda a: a + 1)(1) == 2
