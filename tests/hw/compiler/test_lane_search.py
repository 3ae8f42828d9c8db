"""Plans: block RAMs by hand, expected cycles against chance, lanes within a budget."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.models import engine
from spikewright.golden.network.edges import Conv2d, Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.build import build
from spikewright.hw.compiler import build_plan
from spikewright.hw.compiler.build_plan import plan_and_compile, settle
from spikewright.hw.compiler.core_demand import slowest
from spikewright.hw.compiler.cost import LUTS, CoreShape, Need, need
from spikewright.hw.compiler.fpga import TARGETS, limited
from spikewright.hw.compiler.lane_search import GAIN
from spikewright.hw.compiler.network_demand import demands
from spikewright.hw.compiler.workload import INFERENCES, event_rates, walked
from spikewright.hw.options import BuildOptions


def network(hidden: int = 64, density: float = 0.3, inputs: int = 196, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    first = rng.integers(-7, 8, (hidden, inputs)) * (rng.random((hidden, inputs)) < density)
    last = rng.integers(-7, 8, (10, hidden)) * (rng.random((10, hidden)) < density)
    return Network(
        4,
        (
            Input("input", (inputs,), "events", 1),
            LIF("fc1", (hidden,), np.full(hidden, 20), np.zeros(hidden, int), 0, 0, "zero", 10),
            Readout("readout", (10,), np.zeros(10, int)),
        ),
        (
            Edge("input", "fc1", (Linear(first.astype(np.int8), 4),)),
            Edge("fc1", "readout", (Linear(last.astype(np.int8), 4),)),
        ),
    )


def counted(net: Network, images: int = 64, seed: int = 1) -> tuple[Network, np.ndarray]:
    rng = np.random.default_rng(seed)
    rate = rng.beta(0.5, 2.5, net.input.shape)
    frames = (rng.random((images, net.timesteps, *net.input.shape)) < rate).astype(np.int64)
    spikes = engine.run(net, frames).spikes
    activity = {"input": frames.sum(axis=(0, 1))}
    activity |= {name: fired.astype(np.int64).sum(axis=(0, 1)) for name, fired in spikes.items()}
    return replace(net, activity=activity, meta={INFERENCES: str(images)}), frames


def test_block_rams_by_hand():
    ecp5, ice40 = TARGETS["ecp5-25k"], TARGETS["ice40-hx8k"]
    # 512 x 36, 1024 x 18, 2048 x 9, ...
    assert [ecp5.rams(*size) for size in ((512, 36), (513, 36), (2048, 14), (16384, 1))] == [
        1,
        2,
        2,
        1,
    ]
    # 256 x 16, 512 x 8, 1024 x 4, 2048 x 2
    assert [ice40.rams(*size) for size in ((256, 16), (256, 17), (784, 4), (512, 8))] == [
        1,
        2,
        1,
        1,
    ]


def test_a_core_by_hand():
    # entries 2048 x 9: one block RAM; membranes 512 x 12: one; constants 8 x 20: 20 LUTs a lane
    shape = CoreShape(4, 12, 4, 9, 0, ((2048, 9), (512, 12), (8, 20)), ((16, 14),))
    lane = (
        LUTS["lane"] + 12 * LUTS["membrane bit"] + 4 * LUTS["weight bit"] + 9 * LUTS["address bit"]
    )
    found = need(shape, TARGETS["ecp5-25k"])
    assert found == Need(8, round(LUTS["core"] + 4 * (lane + 20) + 14), 0)
    direct = need(replace(shape, value_bits=8), TARGETS["ecp5-25k"])
    assert direct.dsp == 4
    assert direct.lut - found.lut == round(4 * 8 * LUTS["value bit"])


@pytest.mark.parametrize("lanes", [2, 8, 32])
def test_slowest_lane_against_chance(lanes):
    rng = np.random.default_rng(lanes)
    table = rng.random((300, 128)) < 0.2
    row, channel = np.nonzero(table)
    rates = rng.beta(0.5, 2, 300)
    work = walked(128, row, channel, 300, np.arange(300), rates)
    counts = work.by_group(np.arange(128) % lanes, lanes)
    fired = (rng.random((4000, 300)) < rates).astype(np.int64)
    assert slowest(work, counts) == pytest.approx((fired @ counts).max(axis=1).mean(), rel=0.03)


def test_rates():
    net, frames = counted(network())
    assert np.allclose(event_rates(net, "input"), frames.mean(axis=(0, 1)), atol=0.01)
    assert (event_rates(network(), "fc1") == 0.1).all()
    assert (event_rates(network(), "input") == 1).all()
    # untold over how many inferences: the most active neuron then fires in every step
    untold = event_rates(replace(net, meta={}), "input")
    assert 0.9 < untold.max() < 1
    with pytest.raises(BadInput, match="meta 'activity_inferences' is 3, must be at least"):
        event_rates(replace(net, meta={INFERENCES: "3"}), "input")
    with pytest.raises(BadInput, match="is 'many', must be a number"):
        event_rates(replace(net, meta={INFERENCES: "many"}), "input")


def test_border_entries_count_as_cycles():
    weights = np.ones((2, 1, 3, 3), np.int8)
    nodes = (
        Input("input", (1, 4, 4), "events", 1),
        LIF("conv", (2, 4, 4), np.full(2, 5), np.zeros(2, int), 0, 0, "zero", 8),
        Readout("readout", (2,), np.zeros(2, int)),
    )
    edges = (
        Edge("input", "conv", (Conv2d(weights, 4, (1, 1)),)),
        Edge("conv", "readout", (Linear(np.ones((2, 32), np.int8), 4),)),
    )
    core = demands(Network(1, nodes, edges))[0]
    assert core.work.lengths.tolist() == [18]
    assert core.work.rate.tolist() == [16.0]
    assert core.work.entries_per_event == 18


def test_the_slowest_gets_lanes_until_they_are_no_use():
    net, _ = counted(network())
    plan = settle(net, BuildOptions(target="ecp5-85k"))
    slowest_core = max(plan.loads, key=lambda load: load.cycles)
    place = plan.loads.index(slowest_core)
    assert "gain nothing" in plan.reasons[place]
    half = settle(
        net, BuildOptions(lanes={**plan.lanes, slowest_core.node: slowest_core.lanes // 2})
    )
    assert half.loads[place].cycles * GAIN > slowest_core.cycles
    for load, reason in zip(plan.loads, plan.reasons, strict=True):
        assert load.cycles <= plan.interval
        assert load is slowest_core or reason == f"waits for {slowest_core.node}"


@pytest.mark.parametrize("resource", ["ram", "lut"])
def test_a_budget_is_kept_and_costs_time(resource):
    net, _ = counted(network(256, 0.5))
    free = settle(net, BuildOptions(target="ecp5-85k"))
    most = getattr(free.total, resource) * 2 // 3
    tight = settle(net, BuildOptions(target="ecp5-85k", budget={resource: most}))
    assert getattr(tight.total, resource) <= most
    assert tight.interval > free.interval
    word = {"ram": "block RAMs", "lut": "LUTs"}[resource]
    assert any(f"take more {word} than there are" in reason for reason in tight.reasons)


def test_multipliers_bound_a_direct_core():
    base = network()
    nodes = (Input("input", (196,), "direct", 8), *base.nodes[1:])
    net = Network(4, nodes, base.edges)
    plan = settle(net, BuildOptions(target="ecp5-25k", budget={"dsp": 2}))
    assert plan.lanes["fc1"] == 2
    assert plan.reasons[0] == "4 lanes take more multipliers than there are"
    none = settle(net, BuildOptions(target="ecp5-25k", budget={"dsp": 0}))
    assert none.total.dsp == 0  # LUTs multiply
    given = {"fc1": 32, "readout": 1}
    with pytest.raises(
        BadInput, match=r"node 'fc1': multipliers of all cores together is 32, must"
    ):
        settle(net, BuildOptions(lanes=given, target="ecp5-25k"))


def test_limits_and_given_lanes():
    net, _ = counted(network())
    plan = settle(net, BuildOptions(lanes=2, target="ecp5-25k"))
    assert max(plan.lanes.values()) == 2
    assert "the limit of 2 lanes" in plan.reasons
    plan = settle(net, BuildOptions(lanes={"fc1": 3}, target="ecp5-25k"))
    assert plan.lanes["fc1"] == 3
    assert plan.reasons[0] == "as given"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            BuildOptions(target="ecp5-12k"),
            "target: name is 'ecp5-12k', must be one of ecp5-25k, ecp5-45k",
        ),
        (BuildOptions(budget={"ram": 4}), "budget: target is not given, must be named"),
        (
            BuildOptions(target="ecp5-25k", budget={"bram": 4}),
            "budget: resource is 'bram', must be one",
        ),
        (
            BuildOptions(target="ecp5-25k", budget={"ram": 57}),
            r"budget: ram is 57, must be 0\.\.56",
        ),
        (BuildOptions(lanes={"fc2": 2}, target="ecp5-25k"), "lanes: node is 'fc2', must be one of"),
        (
            BuildOptions(lanes={"readout": 3}, target="ecp5-25k"),
            "node 'readout': lanes is 3, must be a p",
        ),
        (
            BuildOptions(lanes={"fc1": 65}, target="ecp5-25k"),
            r"node 'fc1': lanes is 65, must be 1\.\.64",
        ),
        (BuildOptions(lanes=65, target="ecp5-25k"), r"lanes: limit is 65, must be 1\.\.64"),
        (
            BuildOptions(target="ecp5-25k", budget={"ram": 1}),
            r"node 'fc1': block RAMs of all cores together is \d+, must be at most 1 of ecp5-25k",
        ),
        (
            BuildOptions(lanes={"fc1": 64, "readout": 8}, target="ice40-hx8k"),
            r"at most 32 of ice40-hx8k, and this core takes \d+; fewer lanes fit, as without --la",
        ),
    ],
)
def test_refusals(options, message):
    with pytest.raises(BadInput, match=message):
        settle(counted(network())[0], options)


def test_the_nearest_target_that_holds_it_is_named():
    large = network(512, 0.1, 784)
    with pytest.raises(BadInput, match=r"takes \d+; the nearest target that holds it is ecp5-25k"):
        settle(large, BuildOptions(target="ice40-hx8k"))


def test_too_large_for_any_target():
    with pytest.raises(BadInput, match="no known target holds it: prune it or make it smaller"):
        settle(network(2048, 1.0, 2048), BuildOptions(target="ecp5-25k"))


def test_limited_devices():
    assert limited("ecp5-45k", {"ram": 10, "dsp": 3}).ram == 10
    assert limited("ecp5-45k", {"dsp": 3}).lut == 43848
    assert limited(None, {}).name == "none"


def test_nothing_is_written_where_nothing_fits(tmp_path):
    with pytest.raises(BadInput, match="block RAMs"):
        build(network(), tmp_path / "new", BuildOptions(target="ecp5-25k", budget={"ram": 1}))
    assert not (tmp_path / "new").exists()


def test_what_compiled_memories_take_counts(monkeypatch):
    net, _ = counted(network(256, 0.5))
    most = settle(net, BuildOptions(target="ecp5-85k")).total.ram
    options = BuildOptions(target="ecp5-85k", budget={"ram": most})
    first = settle(net, options)
    # Estimates that are too low: plans are made again until the compiled image fits.
    exact = build_plan.need
    monkeypatch.setattr(build_plan, "need", lambda *core: exact(*core) + Need(3, 0, 0))
    plan, image = plan_and_compile(net, options)
    assert plan.total.ram <= most
    assert sum(plan.lanes.values()) < sum(first.lanes.values())
    assert plan.lanes == {core.node: core.lanes for core in image.cores}
    with pytest.raises(BadInput, match=f"must be at most {most} of ecp5-85k"):
        plan_and_compile(net, replace(options, lanes=first.lanes))


def test_the_manifest_says_what_was_chosen(tmp_path):
    net, _ = counted(network())
    image = build(net, tmp_path, BuildOptions(target="ecp5-25k"))
    plan = json.loads((tmp_path / "manifest.json").read_text())["plan"]
    assert plan["target"] == "ecp5-25k"
    assert [core["lanes"] for core in plan["cores"]] == [core.lanes for core in image.cores]
    assert plan["interval_cycles"] == max(core["cycles_per_inference"] for core in plan["cores"])
    assert plan["block_rams"]["taken"] == sum(core["block_rams"] for core in plan["cores"])
    assert max(core["busy_share"] for core in plan["cores"]) == 1
