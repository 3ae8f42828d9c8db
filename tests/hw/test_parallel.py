"""Several channels a word, several steps a pass: images, hardware, cycles, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.cycles.prediction import Source, predict
from spikewright.golden.cycles.stalls import Stalls
from spikewright.golden.errors import BadInput
from spikewright.golden.image import interpreter
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.load_stream import fit, load_words, room
from spikewright.golden.image.pass_events import pass_events
from spikewright.golden.models import engine, reference
from spikewright.golden.network.edges import Edge, Identity, Linear, MaxPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.golden.network.operations import count
from spikewright.golden.network.trace import compare
from spikewright.golden.testing.random_chain import Limits, random_inputs
from spikewright.golden.testing.random_graph import random_graph
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.random_options import random_options
from spikewright.hw.options import BuildOptions
from spikewright.sim.harness.stimulus import input_beats
from spikewright.sim.measurement.work_check import check_operations
from spikewright.sim.pysim import simulate

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=2, timesteps=4)
SEEDS = (*range(21), 53, 56, 69)  # few of the small ones merge windows
SAMPLE = (5, 8, 10, 11, 14, 18, 53, 56)  # what `make test` runs: every option, as shown below


def graph(seed):
    """A random graph, every third of them with delays, its inputs and options."""
    network = random_graph(seed, SMALL, delays=seed % 3 == 0)
    inputs = network.check_inputs(random_inputs(network, 3, seed))
    return network, inputs, random_options(network, seed)


@pytest.mark.parametrize("block", range(10))
def test_300_random_images_equal_the_reference(block):
    for seed in range(30 * block, 30 * block + 30):
        network = random_graph(seed, delays=False)
        inputs = network.check_inputs(random_inputs(network, 3, seed))
        image = compile_network(network, random_options(network, seed))
        comparison = compare(reference.run(network, inputs), interpreter.run(image, inputs))
        assert comparison.mismatches == 0, f"seed {seed}: {comparison.first}"
        assert comparison.membranes > 0


@pytest.mark.sample(seed=SAMPLE)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs_spike_by_spike_and_cycle_by_cycle(seed):
    network, inputs, options = graph(seed)
    image = compile_network(network, options)
    stall = (0, 25, 50, 75)[seed % 4]
    expected = engine.run(network, inputs)
    run = simulate(image, inputs, stall / 100, seed, 1)
    comparison = compare(expected, run.trace)
    assert comparison.mismatches == 0, str(comparison.first)
    assert comparison.membranes > 0
    check_operations(image, count(network, inputs, expected), expected, run.counters)
    prediction = predict(
        image, inputs, expected, Source(1, stalls=Stalls.from_percent(stall, seed))
    )
    np.testing.assert_array_equal(prediction.logits, run.logits)
    counters = prediction.counters([run.counted] * len(run.counters))
    assert [c.as_dict() for c in counters] == [c.as_dict() for c in run.counters]


def test_the_random_graphs_use_every_option():
    steps, widths, padded, merged = set(), set(), set(), set()
    for seed in SAMPLE:
        network, _, options = graph(seed)
        image = compile_network(network, options)
        several = image.steps_per_pass > 1
        steps |= {(image.steps_per_pass, core.framed, core.direct) for core in image.cores}
        widths |= {core.channels_per_word for core in image.cores}
        padded |= {core.size[0] % core.columns > 0 for core in image.cores}
        merged |= {core.window != (1, 1) and several for core in image.cores}
    assert {number for number, *_ in steps} == {1, 2, 3, 4}
    kinds = {(framed, direct) for number, framed, direct in steps if number > 1}
    assert kinds == {(False, False), (True, True), (False, True)}
    assert (widths, padded, merged) == ({1, 2, 4}, {False, True}, {False, True})


def dense(out=6, inputs=5, timesteps=6, back=False):
    weight = np.arange(out * inputs).reshape(out, inputs) % 7 - 3
    lif = LIF("lif", (out,), np.full(out, 4), np.zeros(out, int), 1, 2, "subtract", 8)
    edges = [
        Edge("input", "lif", (Linear(weight, 4),)),
        Edge("lif", "readout", (Linear(np.ones((3, out), int), 2),)),
    ]
    if back:
        edges.append(Edge("lif", "lif", (Linear(np.eye(out, dtype=int), 2),), delay=1))
    return Network(
        timesteps,
        (Input("input", (inputs,), "events", 1), lif, Readout("readout", (3,), np.zeros(3, int))),
        tuple(edges),
    )


def test_a_word_of_weights():
    network = dense()
    core = compile_network(
        network, BuildOptions({"lif": 1, "readout": 1}, channels_per_word={"lif": 4})
    ).cores[0]
    assert (core.columns, core.local_channels, core.words) == (4, 2, 2)
    weight = network.edges[0].synapse.weight
    rows = core.rows(0)
    for source in range(5):
        for at in range(rows.start[source], rows.start[source] + rows.length[source]):
            for column in range(4):
                code = int(rows.channel[at]) << 2 | column
                there = code in core.codes
                assert rows.weight[at, column] == (
                    weight[core.codes.index(code), source] if there else 0
                )
    # Two channels are missing: their columns hold no weights, and thresholds that 0 never reaches.
    assert (core.neurons < 0).sum() == 2
    for column, word in np.argwhere(core.neurons < 0):
        constants = core.memories[f"constants_{column}"]
        assert constants.field("threshold")[word] > 0
        assert constants.field("bias")[word] == 0


def test_events_of_a_pass_are_one_beat():
    network = dense()
    image = compile_network(network, BuildOptions(1, steps_per_pass=3))
    inputs = np.zeros((1, 6, 5), int)
    inputs[0, [0, 2, 3], 4] = 1
    inputs[0, 5, 1] = 1
    layout, end = image.input.event, 1 << image.input.event.width
    first = layout.pack(x=0, y=0, c=4, value=0, steps=0b101)
    second = [layout.pack(x=0, y=0, c=1, value=0, steps=0b100),
              layout.pack(x=0, y=0, c=4, value=0, steps=0b001)]  # fmt: skip
    assert input_beats(image, inputs).tolist() == [first, end, *second, end]


def test_values_that_differ_are_beats_of_their_own():
    values = np.array([[3], [0], [3], [-2]])
    events = pass_events(values, 4)
    assert (events.value.tolist(), events.steps.tolist()) == ([-2, 3], [0b1000, 0b0101])
    assert [len(part) for part in pass_events(np.zeros((4, 1), int), 2)] == [0] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_pass": 4},
         "network: time steps a pass is 4, must be a divisor of its 6 time steps: 1, 2, 3, 6"),
        ({"steps_per_pass": 0}, "network: time steps a pass is 0, must be"),
        ({"channels_per_word": 3}, "channels_per_word: number is 3, must be one of 1, 2, 4, 8"),
        ({"channels_per_word": {"lif": 16}},
         "node 'lif': channels per word is 16, must be one of 1, 2, 4, 8"),
        ({"channels_per_word": {"input": 2}},
         "channels_per_word: node is 'input', must be one of lif, readout"),
        ({"channels_per_word": {"lif": 4}, "lanes": {"lif": 3, "readout": 1}},
         "node 'lif': lanes is 3, must be 1..2"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(BadInput) as caught:
        compile_network(dense(), BuildOptions(**options))
    assert str(caught.value).startswith(message)


def test_a_delayed_edge_allows_one_step_a_pass():
    with pytest.raises(BadInput) as caught:
        compile_network(dense(back=True), BuildOptions(steps_per_pass=2))
    assert str(caught.value) == (
        "edge 'lif' -> 'lif': time steps a pass is 2, must be 1, as it is delayed"
    )
    assert compile_network(dense(back=True), BuildOptions(steps_per_pass=1)).passes == 6


def test_entries_may_be_wide_but_not_any_width():
    rng = np.random.default_rng(0)
    weight = rng.integers(-100, 101, (64, 8))
    network = Network(
        2, (Input("input", (8,), "events", 1), Readout("readout", (64,), np.zeros(64, int))),
        (Edge("input", "readout", (Linear(weight, 8),)),),
    )  # fmt: skip
    with pytest.raises(BadInput) as caught:
        compile_network(network, BuildOptions(1, channels_per_word=64))
    assert str(caught.value) == (
        "node 'readout': bits of an entry of 64 channels is 513, must be at most 256; "
        "take 16 channels"
    )
    image = compile_network(network, BuildOptions(1, channels_per_word=16))
    entries = image.cores[0].memories["entries_0"]
    assert entries.layout.width == 128
    # The load stream splits words as wide as they are.
    parts = [int(part) for part in load_words(image)]
    split = [int(word) >> 32 * part & 0xFFFFFFFF for word in entries.words for part in range(4)]
    assert any(parts[at : at + len(split)] == split for at in range(len(parts)))
    inputs = rng.integers(0, 2, (2, 2, 8))
    expected = reference.run(network, inputs)
    assert compare(expected, interpreter.run(image, inputs)).mismatches == 0
    assert compare(expected, simulate(image, inputs).trace).mismatches == 0


def test_a_reloadable_build_widens_every_weight():
    networks = [dense(), dense()]
    weight = networks[1].edges[0].synapse.weight * 9
    wide = Edge("input", "lif", (Linear(weight, 6),))
    networks[1] = replace(networks[1], edges=(wide, networks[1].edges[1]))
    small, large = (
        compile_network(
            n,
            BuildOptions(
                {"lif": 1, "readout": 1},
                channels_per_word={"lif": 4},
                host=HostInterface(loadable=True),
            ),
        )
        for n in networks
    )
    fitted = fit(small, room([small, large]))
    assert fitted.cores[0].memories["entries_0"].layout.bits("weight") == 4 * 6
    found, due = (image.cores[0].rows(0).weight for image in (fitted, small))
    np.testing.assert_array_equal(found[: len(due)], due)


def test_a_silent_pass_costs_its_visits_alone():
    network, quiet = dense(), np.zeros((2, 6, 5), int)
    alone, together = (
        simulate(compile_network(network, BuildOptions(1, steps_per_pass=n)), quiet) for n in (1, 6)
    )
    assert compare(alone.trace, together.trace).mismatches == 0
    assert together.counters[0].events_in == 0
    assert together.counters[0].sweep < alone.counters[0].sweep


def test_max_pool_merges_the_masks_of_its_window():
    one = np.ones(1, int)
    network = Network(
        4,
        (Input("input", (1, 2, 2), "events", 1),
         LIF("lif", (1, 2, 2), one, 0 * one, 0, 0, "zero", 4), Readout("readout", (1,), 0 * one)),
        (Edge("input", "lif", (Identity(one, 2),)),
         Edge("lif", "readout", (MaxPool2d((2, 2)), Linear(np.array([[1]]), 2)))),
    )  # fmt: skip
    inputs = np.zeros((1, 4, 1, 2, 2), int)
    inputs[0, 0, 0, 0, 0] = inputs[0, 0, 0, 1, 1] = inputs[0, 2, 0, 0, 1] = 1
    for steps in (1, 2, 4):
        run = simulate(compile_network(network, BuildOptions(1, steps_per_pass=steps)), inputs)
        assert run.trace.logits.tolist() == [[2]]
        assert run.counters[0].events_out == {1: 2, 2: 2, 4: 1}[steps]
