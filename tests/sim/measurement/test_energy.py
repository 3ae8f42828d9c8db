"""Op-count energy against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from spikewright.golden.models import reference
from spikewright.golden.network import operations
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.sim.measurement.energy import PRICES, op_count_energy


def _network(coding: str, bits: int) -> Network:
    # 3 -> 2 -> 2; of 6 weights 4 are kept in the first edge, of 4 weights 3 in the second.
    first = np.array([[2, 0, 1], [1, 3, 0]])
    second = np.array([[1, 1], [0, 1]])
    zero = np.zeros(2, int)
    return Network(
        2,
        (Input("input", (3,), coding, bits), LIF("lif", (2,), zero + 5, zero, 0, 0, "subtract", 8),
         Readout("readout", (2,), zero)),
        (Edge("input", "lif", (Linear(first, 3),)), Edge("lif", "readout", (Linear(second, 2),))),
    )  # fmt: skip


def _energy(network: Network, inputs: np.ndarray):
    return op_count_energy(
        network, operations.count(network, inputs, reference.run(network, inputs))
    )


def test_direct_first_layer_multiplies_once_per_inference():
    # Events at 0 and 1 meet the weights 2, 1 and 3: 3 synops. Drive per step: 2, 4 of threshold 5;
    # after two steps v = 4 and 8, so neuron 1 fires once and meets its 2 kept weights.
    energy = _energy(_network("direct", 2), np.array([[1, 1, 0]]))
    first, second = energy.layers
    assert (first.synops, first.multiplies, first.dense_macs) == (3, True, 6)
    assert (second.synops, second.multiplies, second.dense_macs) == (2, False, 4)
    assert first.snn_int8_pj == pytest.approx(3 * 0.23)
    assert second.snn_int8_pj == pytest.approx(2 * 0.03)
    assert energy.total_pj("snn_fp32") == pytest.approx(3 * 4.6 + 2 * 0.9)
    assert energy.total_pj("snn_int32") == pytest.approx(3 * 3.2 + 2 * 0.1)
    assert energy.total_pj("dense_fp32") == pytest.approx(10 * 4.6)
    assert energy.total_pj("dense_int8") == pytest.approx(10 * 0.23)
    assert energy.total_pj("pruned_int8") == pytest.approx((4 + 3) * 0.23)
    assert energy.ratios["dense_int8_over_snn_int8"] == pytest.approx(2.3 / 0.75)


def test_spikes_at_the_input_only_add():
    inputs = np.array([[[1, 1, 0], [0, 0, 0]]])
    first = _energy(_network("events", 1), inputs).layers[0]
    assert not first.multiplies
    assert first.snn_int8_pj == pytest.approx(3 * 0.03)


def test_figures_are_means_over_images():
    inputs = np.array([[1, 1, 0], [0, 0, 0]])
    assert _energy(_network("direct", 2), inputs).layers[0].synops == 1.5


def test_silence_costs_nothing_and_its_ratio_is_not_a_number_in_json():
    energy = _energy(_network("direct", 2), np.array([[0, 0, 0]]))
    assert energy.total_pj("snn_fp32") == 0
    assert energy.as_dict()["ratios"]["dense_fp32_over_snn_fp32"] is None


def test_every_price_names_its_source_and_every_report_its_assumptions():
    values = _energy(_network("direct", 2), np.array([[1, 1, 0]])).as_dict()
    assert all("Horowitz" in price.source for price in PRICES.values())
    assert {name: (p.add_pj, p.multiply_pj) for name, p in PRICES.items()} == {
        "fp32": (0.9, 3.7), "int32": (0.1, 3.1), "int8": (0.03, 0.2),
    }  # fmt: skip
    assert any("memory" in line for line in values["assumptions"])
    assert values["schema"] == 1
