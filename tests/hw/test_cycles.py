"""The cycle model against the hardware: every counter of every core and every logit's cycle."""

# Through these also golden.cycles.clock, golden.cycles.lookup, golden.cycles.state.

import numpy as np
import pytest

from spikewright.golden.cycles.prediction import Source, predict
from spikewright.golden.cycles.stalls import Stalls
from spikewright.golden.errors import BadInput, CheckFailed
from spikewright.golden.image import timing
from spikewright.golden.image.timing import Latencies
from spikewright.golden.models import engine
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, MaxPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.testing.random_chain import Limits, random_inputs, random_network
from spikewright.golden.testing.random_graph import features, random_graph
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.random_options import random_options
from spikewright.hw.options import BuildOptions
from spikewright.sim.pysim import simulate

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=3, timesteps=4)
DEEP = Limits(side=4, channels=3, units=8, kernel=3, layers=9, timesteps=3)
SEEDS = 60
# What `make test` runs of the random cases: every feature and every option, as shown below.
SAMPLE = (4, 9, 22, 29, 30, 36, 42, 46, 51, 53, 58)
OPTIONS_SAMPLE = (0, 2, 6, 8, 12, 14, 15, 18, 21)
STALLS = (0, 0, 20, 50, 80)


def rows(cores):
    """Counters as a list, core by core."""
    return [list(core.as_dict().values()) for core in cores]


def counted(prediction, run):
    """The predicted counters as they are when those of the run were read."""
    return rows(prediction.counters([run.counted] * len(run.counters)))


def agree(network, inputs, options, start=1, stall=0, seed=0):
    """Predict and simulate; the prediction, if every counter and every cycle is the same.

    `options` of the build, or only its lanes.
    """
    options = options if isinstance(options, BuildOptions) else BuildOptions(options)
    image = compile_network(network, options)
    inputs = network.check_inputs(inputs)
    source = Source(start, stalls=Stalls.from_percent(stall, seed))
    prediction = predict(image, inputs, engine.run(network, inputs), source)
    run = simulate(image, inputs, stall / 100, seed, start)
    np.testing.assert_array_equal(prediction.logits, run.logits)
    assert counted(prediction, run) == rows(run.counters)
    assert {core.cycles for core in prediction.cores} == {prediction.counted}
    return prediction


def lanes_for(network, seed):
    """1..6 lanes per core; a power of two for the readout."""
    rng = np.random.default_rng(seed)
    lanes = {n.name: int(rng.integers(1, min(6, n.shape[0]) + 1)) for n in network.nodes[1:]}
    lanes[network.output.name] = 1 << (lanes[network.output.name].bit_length() - 1)
    return lanes


@pytest.mark.sample(seed=SAMPLE)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_graphs_cycle_by_cycle(seed):
    network = random_graph(seed, SMALL)
    inputs = random_inputs(network, 3 + seed % 2, seed)
    inputs = inputs[::-1] if seed % 3 == 0 else inputs
    agree(network, inputs, lanes_for(network, seed), 1 + seed % 4, STALLS[seed % 5], seed)


@pytest.mark.sample(seed=OPTIONS_SAMPLE)
@pytest.mark.parametrize("seed", range(24))
def test_several_channels_a_word_and_several_steps_a_pass(seed):
    network = random_graph(seed, SMALL, delays=seed % 4 == 0)
    inputs = random_inputs(network, 3, seed)
    options = random_options(network, seed)
    agree(network, inputs, options, stall=STALLS[seed % 5], seed=seed)


def test_random_options_are_of_many_kinds():
    found = set()
    for seed in OPTIONS_SAMPLE:
        network = random_graph(seed, SMALL, delays=seed % 4 == 0)
        image = compile_network(network, random_options(network, seed))
        found |= {("steps a pass", image.steps_per_pass)}
        found |= {("channels a word", core.channels_per_word) for core in image.cores}
    assert found >= {("steps a pass", 1), ("steps a pass", 2), ("channels a word", 1)}
    assert {("steps a pass", 4), ("channels a word", 2), ("channels a word", 4)} <= found


def test_the_random_graphs_have_every_feature():
    found = set().union(*(features(random_graph(seed, SMALL)) for seed in SAMPLE))
    everything = set().union(*(features(random_graph(seed)) for seed in range(500)))
    assert found == everything


# The first networks of seven cores or more.
DEEP_SEEDS = [s for s in range(20) if len(random_network(s, DEEP).nodes) > 7][:6]


@pytest.mark.sample(seed=DEEP_SEEDS[2:5])
@pytest.mark.parametrize("seed", DEEP_SEEDS)
def test_deep_chains_with_back_pressure(seed):
    network = random_network(seed, DEEP)
    inputs = random_inputs(network, 3, seed)
    assert len(agree(network, inputs, lanes_for(network, seed)).cores) >= 7


@pytest.mark.sample(seed=(3, 4, 5, 8, 10, 11))
@pytest.mark.parametrize("seed", range(12))
def test_tokens_back_to_back(seed):
    limits = Limits(5, 5, 12, 3, 3, 1 + seed % 3)
    network = (random_network, random_graph)[seed // 6](seed, limits)
    silent = np.zeros_like(random_inputs(network, 12, seed))
    silent[5:7] = random_inputs(network, 2, seed)
    prediction = agree(network, silent, lanes_for(network, seed), stall=30 * (seed % 2), seed=seed)
    assert prediction.cores[0].idle + prediction.cores[0].waiting > 0


def chain(weights, coding="events", steps=2, threshold=12, leak=(1, 3)):
    """Linear layers with the given 8-bit weights, a list of (out, in); the last is the readout."""
    nodes = [Input("input", (weights[0].shape[1],), coding, 1)]
    edges = []
    for index, weight in enumerate(weights):
        size, name = len(weight), f"node{index}"
        edges.append(Edge(nodes[-1].name, name, (Linear(weight, 8),)))
        if index == len(weights) - 1:
            nodes.append(Readout(name, (size,), np.zeros(size, int)))
        else:
            nodes.append(
                LIF(
                    name,
                    (size,),
                    np.full(size, threshold),
                    np.zeros(size, int),
                    *leak,
                    "subtract",
                    12,
                )
            )
    return Network(steps, tuple(nodes), tuple(edges))  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 3, 6])
def test_rows_of_every_length(lanes):
    """Rows of 0 to 70 entries in any order, so that lanes run far apart and queues fill."""
    rng = np.random.default_rng(lanes)
    lengths = rng.choice([0, 0, 0, 1, 1, 2, 3, 4, 5, 9, 30, 70], 90)
    weight = np.zeros((70, 90), int)
    for row, length in enumerate(lengths):
        weight[rng.choice(70, length, replace=False), row] = rng.integers(1, 9, length)
    weight[rng.random(70) < 0.5] //= 4  # uneven lanes
    second = rng.integers(-3, 9, (4, 70)) * (rng.random((4, 70)) < 0.3)
    network = chain([weight, second], threshold=40)
    inputs = rng.random((3, 2, 90)) < 0.6
    prediction = agree(network, inputs.astype(int), {"node0": lanes, "node1": 2})
    assert prediction.cores[0].busy > 500


@pytest.mark.sample(seed=(0, 1, 2))
@pytest.mark.parametrize("seed", range(6))
def test_one_lane_far_behind_the_others(seed):
    """One dense channel among sparse ones: all wait for its lane, and so does the core before."""
    rng = np.random.default_rng(seed)
    coding = ("events", "direct")[seed % 2]
    zero = np.zeros(3, int)
    weight = rng.integers(1, 9, (3, 3, 5, 5)) * (rng.random((3, 3, 5, 5)) < 0.05)
    weight[seed % 3] = rng.integers(1, 9, (3, 5, 5)) * (rng.random((3, 5, 5)) < 0.3 + 0.1 * seed)
    network = Network(
        3,
        (
            Input("input", (1, 6, 5), coding, 1),
            LIF("eager", (3, 6, 5), zero + 1, zero, 0, 0, "zero", 8),
            LIF("uneven", (3, 6, 5), zero + 90, zero, 1, 2, "subtract", 10),
            Readout("readout", (4,), np.zeros(4, int)),
        ),
        (
            Edge("input", "eager", (Conv2d(rng.integers(1, 3, (3, 1, 1, 1)), 4, (0, 0)),)),
            Edge("eager", "uneven", (Conv2d(weight, 8, (2, 2)),)),
            Edge("uneven", "readout", (Linear(rng.integers(-1, 3, (4, 90)), 8),)),
        ),
    )
    inputs = rng.random((2, 1, 6, 5) if coding == "direct" else (2, 3, 1, 6, 5)) < 0.9
    lanes = {"eager": 1 + seed % 3, "uneven": 3, "readout": 1 << seed % 3}
    assert agree(network, inputs.astype(int), lanes).cores[0].stalled > 0


def slow_consumer(coding):
    """A quick core in front of a slow one: network, inputs, lanes."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(2, 9, (30, 12)), rng.integers(1, 4, (40, 30))
    network = chain([first, second, rng.integers(-3, 4, (3, 40))], coding, steps=3)
    shape = (3, 12) if coding == "direct" else (3, 3, 12)
    return network, rng.integers(0, 2, shape), {"node0": 5, "node1": 1, "node2": 1}


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_a_slow_consumer_stalls_its_producer(coding):
    prediction = agree(*slow_consumer(coding))
    assert prediction.cores[0].stalled > 1000


def test_a_larger_network():
    """784-128-10 at low rates: thousands of cycles."""
    rng = np.random.default_rng(0)
    first = rng.integers(-8, 9, (128, 784)) * (rng.random((128, 784)) < 0.15)
    second = rng.integers(-8, 9, (10, 128)) * (rng.random((10, 128)) < 0.5)
    inputs = rng.random((3, 4, 784)) < 0.03
    prediction = agree(chain([first, second], steps=4), inputs.astype(int), 4)
    assert prediction.cycles > 1500
    assert prediction.cores[1].events_in > 50


@pytest.mark.parametrize("start", [1, 3, 4, 9, 60, 300])
def test_a_source_that_starts_later(start):
    network = random_graph(4, SMALL)
    inputs = random_inputs(network, 2, 4)
    assert agree(network, inputs, 2, start).first_beat >= start


def lif(name, size, threshold=4):
    """Neurons that fire every few events."""
    fill = np.zeros(size, int)
    return LIF(name, (size,), fill + threshold, fill, 1, 3, "subtract", 12)


def dense(source, target, sizes, seed, delay=0):
    """A linear edge of random weights, half of them 0."""
    rng = np.random.default_rng(seed)
    weight = rng.integers(-3, 8, sizes[::-1]) * (rng.random(sizes[::-1]) < 0.5)
    return Edge(source, target, (Linear(weight, 5),), delay)


@pytest.mark.parametrize("stall", [0, 60])
@pytest.mark.parametrize("lanes", [1, 4])
def test_crossed_diamonds(stall, lanes):
    """Two cores, each of which hears two others, one fast and one slow; a skip over all of them."""
    one = np.ones(8, int)
    nodes = (
        Input("input", (8,), "events", 1), lif("left", 8), lif("right", 8, 9),
        lif("over", 8), lif("under", 8, 7), Readout("readout", (3,), np.zeros(3, int)),
    )  # fmt: skip
    edges = (
        dense("input", "left", (8, 8), 1), dense("input", "right", (8, 8), 2),
        dense("left", "over", (8, 8), 3), Edge("right", "over", (Identity(5 * one, 4),)),
        Edge("left", "under", (Identity(3 * one, 4),)), dense("right", "under", (8, 8), 4),
        dense("over", "readout", (8, 3), 5), dense("under", "readout", (8, 3), 6),
        dense("input", "readout", (8, 3), 7),
    )  # fmt: skip
    inputs = np.random.default_rng(lanes).random((4, 5, 8)) < 0.5
    counts = {"left": lanes, "right": 1, "over": 2, "under": lanes, "readout": 2}
    agree(Network(5, nodes, edges), inputs.astype(int), counts, stall=stall, seed=lanes)


@pytest.mark.parametrize("stall", [0, 40])
def test_loops_and_a_core_that_outlives_the_logits(stall):
    """`echo` is heard only a step later: its last sweep runs behind the last logit."""
    nodes = (Input("input", (6,), "events", 1), lif("main", 6, 3), lif("echo", 70, 2),
             Readout("readout", (2,), np.zeros(2, int)))  # fmt: skip
    edges = (
        dense("input", "main", (6, 6), 1), dense("main", "main", (6, 6), 2, delay=1),
        dense("main", "echo", (6, 70), 3), dense("echo", "main", (70, 6), 4, delay=1),
        dense("main", "readout", (6, 2), 5),
    )  # fmt: skip
    inputs = np.random.default_rng(3).random((3, 4, 6)) < 0.7
    lanes = {"main": 2, "echo": 1, "readout": 1}
    found = agree(Network(4, nodes, edges), inputs.astype(int), lanes, stall=stall, seed=5)
    assert found.counted > found.cycles


@pytest.mark.parametrize("stall", [0, 70])
def test_max_pools_of_partial_windows(stall):
    rng = np.random.default_rng(9)
    zero = np.zeros(3, int)
    nodes = (Input("input", (2, 7, 5), "direct", 4),
             LIF("lif", (3, 7, 5), zero + 20, zero, 0, 0, "zero", 10),
             LIF("pooled", (3, 3, 2), zero + 2, zero, 0, 0, "zero", 10),
             Readout("readout", (2,), np.zeros(2, int)))  # fmt: skip
    edges = (
        Edge("input", "lif", (Conv2d(rng.integers(-2, 4, (3, 2, 3, 3)), 4, (1, 1)),)),
        Edge("lif", "pooled", (MaxPool2d((2, 2)), Identity(np.array([1, 2, 3]), 3))),
        Edge("pooled", "readout", (Linear(rng.integers(-2, 3, (2, 18)), 3),)),
    )
    inputs = rng.integers(0, 16, (3, 2, 7, 5))
    agree(Network(4, nodes, edges), inputs, {"lif": 2, "pooled": 1, "readout": 1}, stall=stall)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_sweeps_of_a_frame_follow_at_once(steps):
    """A direct core of fewer words than the pipeline is long, and of more."""
    for size in (2, 40):
        nodes = (Input("input", (5,), "direct", 3), lif("lif", size, 9),
                 Readout("readout", (2,), np.zeros(2, int)))  # fmt: skip
        edges = dense("input", "lif", (5, size), 1), dense("lif", "readout", (size, 2), 2)
        inputs = np.random.default_rng(size).integers(0, 8, (4, 5))
        agree(Network(steps, nodes, edges), inputs, {"lif": 1, "readout": 1}, stall=30 * (size > 2))


@pytest.mark.parametrize("vectors", [3, 17])
def test_smallest_queues(vectors, monkeypatch):
    """Hardware with few vectors, descriptors and requests is predicted as well."""
    for name, value in (("VECTORS", vectors), ("DESCRIPTORS", 3), ("QUEUE_DEPTH", 9)):
        monkeypatch.setattr(timing, name, value)
    t = Latencies(ready_level=timing.ready_level(1), descriptors=3, vectors=vectors)
    for seed in range(6):
        network = random_graph(seed, SMALL)
        inputs = network.check_inputs(random_inputs(network, 3, seed))
        image = compile_network(network, BuildOptions(lanes_for(network, seed)))
        source = Source(1, stalls=Stalls.from_percent(30 * (seed % 2), seed))
        found = predict(image, inputs, engine.run(network, inputs), source, t)
        run = simulate(image, inputs, 0.3 * (seed % 2), seed)
        np.testing.assert_array_equal(found.logits, run.logits)
        assert counted(found, run) == rows(run.counters)


def test_every_latency_matters():
    """A constant that could be wrong unnoticed would not be tested by the cases above."""
    unnoticed = set(Latencies._fields)
    graphs = [(random_graph(seed, SMALL), seed) for seed in SAMPLE]
    cases = [(g, random_inputs(g, 4, seed), lanes_for(g, seed)) for g, seed in graphs]
    for seed, (network, inputs, lanes) in enumerate([slow_consumer("direct"), *cases]):
        inputs = network.check_inputs(inputs)
        image = compile_network(network, BuildOptions(lanes))
        trace = engine.run(network, inputs)
        source = Source(stalls=Stalls.from_percent(STALLS[seed % 5], seed))
        right = rows(predict(image, inputs, trace, source).cores)
        for name in tuple(unnoticed):
            wrong = Latencies()._replace(**{name: getattr(Latencies(), name) + 1})
            try:
                if rows(predict(image, inputs, trace, source, wrong).cores) != right:
                    unnoticed.remove(name)
            except CheckFailed:  # it stands still
                unnoticed.remove(name)
    assert unnoticed == set()


def test_counting_may_begin_late():
    network = random_graph(2, SMALL)
    inputs = network.check_inputs(random_inputs(network, 2, 2))
    image, trace = compile_network(network, BuildOptions(2)), engine.run(network, inputs)
    whole = predict(image, inputs, trace, Source(5))
    late = predict(image, inputs, trace, Source(5, counted=4))
    assert late.counted == whole.counted - 4
    assert {core.cycles for core in late.cores} == {late.counted}
    np.testing.assert_array_equal(late.logits, whole.logits)


def test_rates_come_from_the_logits():
    network = random_graph(0, SMALL)
    inputs = network.check_inputs(random_inputs(network, 3, 0))
    image = compile_network(network, BuildOptions(2))
    three = predict(image, inputs, engine.run(network, inputs))
    one = predict(image, inputs[:1], engine.run(network, inputs[:1]))
    assert one.cycles_per_inference == one.latency_cycles == one.cycles - one.first_beat
    assert one.latency_cycles <= three.latency_cycles
    ends = three.logits[:, -1]
    assert three.cycles_per_inference == (ends[2] - ends[0]) / 2


def test_what_stands_still_for_ever_is_said():
    """Cores whose queues never have room take nothing."""
    network = random_graph(0, SMALL)
    inputs = network.check_inputs(random_inputs(network, 1, 0))
    trace = engine.run(network, inputs)
    image = compile_network(network, BuildOptions(2))
    with pytest.raises(CheckFailed, match=r"^cycle model: nothing moves any more after \d+ cycles"):
        predict(image, inputs, trace, latencies=Latencies()._replace(ready_level=-1))


@pytest.mark.parametrize("wrong", ["none", "inputs", "trace", "batch"])
def test_what_does_not_belong_together_is_refused(wrong):
    network = random_network(0, SMALL)
    inputs = network.check_inputs(random_inputs(network, 3, 0))
    image = compile_network(network, BuildOptions(2))
    trace = engine.run(network, inputs)
    given = {"none": inputs[:0], "inputs": inputs[..., :0], "batch": inputs[:2]}.get(wrong, inputs)
    if wrong == "trace":
        other = random_network(1, SMALL)
        trace = engine.run(other, other.check_inputs(random_inputs(other, 3, 1)))
    with pytest.raises(BadInput, match=r"^cycle model: "):
        predict(image, given, trace)
