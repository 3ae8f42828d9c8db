"""Corners that a network has, those that a run visits, and inputs that visit the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden import equality_chain
from spikewright.golden.equality_chain import follow, reference_program
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.testing import corners
from spikewright.golden.testing.random_chain import random_inputs, random_network
from spikewright.golden.testing.random_graph import random_graph

SEEDS = range(60)


def networks() -> list[Network]:
    return [make(seed) for make in (random_network, random_graph) for seed in SEEDS]


def test_what_a_run_visits_is_possible() -> None:
    found, had = set(), set()
    for seed, network in enumerate(networks()):
        possible = corners.possible(network)
        inputs = network.check_inputs(random_inputs(network, 6, seed))
        counts = corners.coverage(network, reference.run(network, inputs), inputs)
        assert tuple(counts) == corners.CORNERS
        visited = {corner for corner, times in counts.items() if times}
        assert visited <= set(possible), (network.meta, visited - set(possible))
        found |= visited
        had |= set(corners.CORNERS) - set(possible)
    assert found == set(corners.CORNERS)
    # All but what every network has.
    assert had == set(corners.CORNERS) - {
        "silent inference", "input at its highest", "one below the threshold",
        "equal to the threshold", "above the threshold", "spike in the last step",
        "step without a spike", "step with a spike",
    }  # fmt: skip


def one_neuron(threshold: int = 6, bits: int = 5, reset: str = "subtract") -> Network:
    """Its drive is thrice a 2-bit pixel, its membranes lie in -16..15."""
    matrix, ones = np.array([[3]]), np.ones((2, 1), int)
    return Network(
        2,
        (Input("x", (1,), "direct", 2), LIF("n", (1,), [threshold], [0], 0, 0, reset, bits),
         Readout("out", (2,), [0, 0])),
        (Edge("x", "n", (Linear(matrix, 4),)), Edge("n", "out", (Linear(ones, 2),))),
    )  # fmt: skip


def test_a_clamp_that_widths_rule_out_is_no_corner() -> None:
    high, low = "clamped at the high end", "clamped at the low end"
    assert not {high, low} & set(corners.possible(one_neuron(bits=6)))  # at most 18
    assert high in corners.possible(one_neuron())
    assert high not in corners.possible(one_neuron(reset="zero"))
    assert low not in corners.possible(one_neuron())


def test_batches_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_graph(3)
    inputs = network.check_inputs(random_inputs(network, 7, 3))
    monkeypatch.setattr(equality_chain, "BATCH", 3)
    visits = corners.Visits(network, inputs, "reference")
    program = reference_program(network, inputs)
    follow((program, replace(program, name="again")), len(inputs), visits)
    whole = corners.coverage(network, reference.run(network, inputs), inputs)
    assert visits.counts == {corner: whole[corner] for corner in corners.possible(network)}
    assert sum(visits.counts.values())


def test_inputs_are_found_for_what_is_missed() -> None:
    added = 0
    for network in networks()[::12]:
        silent = 0 * network.check_inputs(random_inputs(network, 1, 0))
        counts = corners.coverage(network, reference.run(network, silent), silent)
        missed = {c for c in corners.possible(network) if not counts[c]}
        inputs = corners.corner_inputs(network, missed)
        assert len(inputs) <= len(missed)
        counts = corners.coverage(network, reference.run(network, inputs), inputs)
        left = {corner for corner in missed if not counts[corner]}
        assert left < missed
        assert (corners.corner_inputs(network, missed) == inputs).all()
        added += len(inputs)
    assert added > 15


def test_ties_are_met_by_hand() -> None:
    network = one_neuron()
    inputs = corners.corner_inputs(network, ["equal to the threshold"])
    trace = reference.run(network, inputs)
    assert len(inputs) == 1
    assert int(inputs[0, 0]) in (1, 2)  # 3 + 3 in the second step, or 6
    assert trace.spikes["n"].any()
    assert corners.corner_inputs(network, []).shape == (0, 1)
    assert corners.corner_inputs(one_neuron(threshold=7), ["equal to the threshold"]).size == 0


def test_what_was_never_visited_comes_in_the_order_of_the_contract() -> None:
    visits = dict(sorted(dict.fromkeys(corners.CORNERS, 0).items()))  # as JSON has them
    assert corners.never_visited(visits) == corners.CORNERS
    visits |= {"silent inference": 3, "drive of a delayed edge": 1}
    assert set(corners.CORNERS) - set(corners.never_visited(visits)) == {
        "silent inference", "drive of a delayed edge",
    }  # fmt: skip
    assert corners.never_visited({"above the threshold": 0}) == ("above the threshold",)
