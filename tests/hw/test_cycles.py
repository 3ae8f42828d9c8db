"""The cycle model against the hardware: every counter of every core and every logit's cycle."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from golden import engine
from golden.counters import COUNTERS, STRIDE
from golden.cycles import predict
from golden.edges import Conv2d, Edge, Linear
from golden.errors import BadInput
from golden.fuzz import Limits, random_inputs, random_network
from golden.network import Network
from golden.nodes import LIF, Input, Readout
from golden.timing import Latencies
from hw.accelerator import Accelerator
from hw.compiler import compile_network
from sim.counters import READ_LAG
from sim.pysim import PERIOD, simulate
from sim.stimulus import input_beats

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=3, timesteps=4)
DEEP = Limits(side=4, channels=3, units=8, kernel=3, layers=9, timesteps=3)
SEEDS = 60


def measure(image, inputs, start=0):
    """What the hardware does: the cycle of every logit, and every counter of every core.

    The source offers the first beat in cycle `start` and the next ones at once; the sink is always
    ready. Counters are as at the end of the last logit: what they count after it, until they are
    read, is idleness, as nothing else can be.
    """
    accelerator = Accelerator(image)
    beats = input_beats(image, inputs).tolist()
    width = max(image.input.event.width, 1)
    wanted = len(inputs) * image.cores[-1].shape[0]
    logits, counters = [], []

    async def drive(ctx):
        if start:
            await ctx.tick().repeat(start)
        ctx.set(accelerator.in_valid, 1)
        for beat in beats:
            ctx.set(accelerator.in_last, beat >> width)
            ctx.set(accelerator.in_data, beat & ((1 << width) - 1))
            await ctx.tick().until(accelerator.in_ready)
        ctx.set(accelerator.in_valid, 0)

    async def watch(ctx):
        ctx.set(accelerator.out_ready, 1)
        cycle = 0
        while len(logits) < wanted:
            _, _, valid = await ctx.tick().sample(accelerator.out_valid)
            if valid:
                logits.append(cycle)
            cycle += 1
        end = cycle
        for core in range(len(image.cores)):
            counters.append([])
            for register in range(len(COUNTERS)):
                ctx.set(accelerator.count_select, core * STRIDE + register)
                await ctx.tick().repeat(3)
                cycle += 3
                counters[-1].append(ctx.get(accelerator.count_value))
                if list(COUNTERS)[register] == "idle":
                    counters[-1][-1] -= cycle - READ_LAG - end

    simulator = Simulator(accelerator)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(drive, background=True)
    simulator.add_testbench(watch)
    simulator.run()
    return np.array(logits).reshape(len(inputs), -1), counters


def rows(prediction):
    """The counters of a prediction, as `measure` gives them."""
    return [[getattr(core, name) for name in COUNTERS] for core in prediction.cores]


def agree(network, inputs, lanes, start=0):
    """Predict and measure; the prediction, if both are the same."""
    image = compile_network(network, lanes)
    inputs = network.check_inputs(inputs)
    prediction = predict(image, inputs, engine.run(network, inputs), start)
    logits, counters = measure(image, inputs, start)
    assert rows(prediction) == counters
    np.testing.assert_array_equal(prediction.logits, logits)
    assert {core.cycles for core in prediction.cores} == {prediction.cycles}
    return prediction


def lanes_for(network, seed):
    """1..6 lanes per core; a power of two for the readout."""
    rng = np.random.default_rng(seed)
    lanes = {n.name: int(rng.integers(1, min(6, n.shape[0]) + 1)) for n in network.nodes[1:]}
    lanes[network.output.name] = 1 << (lanes[network.output.name].bit_length() - 1)
    return lanes


@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_networks_cycle_by_cycle(seed):
    network = random_network(seed, SMALL)
    inputs = random_inputs(network, 3 + seed % 2, seed)
    agree(network, inputs[::-1] if seed % 3 == 0 else inputs, lanes_for(network, seed))


# The first networks of seven cores or more.
DEEP_SEEDS = [s for s in range(20) if len(random_network(s, DEEP).nodes) > 7][:6]


@pytest.mark.parametrize("seed", DEEP_SEEDS)
def test_deep_chains_with_back_pressure(seed):
    network = random_network(seed, DEEP)
    inputs = random_inputs(network, 3, seed)
    assert len(agree(network, inputs, lanes_for(network, seed)).cores) >= 7


@pytest.mark.parametrize("seed", range(8))
def test_tokens_back_to_back(seed):
    network = random_network(seed, Limits(5, 5, 12, 3, 3, 1 + seed % 3))
    silent = np.zeros_like(random_inputs(network, 12, seed))
    silent[5:7] = random_inputs(network, 2, seed)
    prediction = agree(network, silent, lanes_for(network, seed))
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


@pytest.mark.parametrize("coding", ["direct", "events"])
def test_a_slow_consumer_stalls_its_producer(coding):
    rng = np.random.default_rng(1)
    first, second = rng.integers(2, 9, (30, 12)), rng.integers(1, 4, (40, 30))
    network = chain([first, second, rng.integers(-3, 4, (3, 40))], coding, steps=3)
    shape = (3, 12) if coding == "direct" else (3, 3, 12)
    lanes = {"node0": 5, "node1": 1, "node2": 1}
    prediction = agree(network, rng.integers(0, 2, shape), lanes)
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
    network = random_network(4, SMALL)
    inputs = random_inputs(network, 2, 4)
    assert agree(network, inputs, 2, start).first_beat >= start


@pytest.mark.parametrize("seed", [1, 2])
def test_the_counters_that_pysim_reads(seed):
    network = random_network(seed, SMALL)
    inputs = network.check_inputs(random_inputs(network, 3, seed))
    image = compile_network(network, 3)
    run = simulate(image, inputs)
    prediction = predict(image, inputs, run.trace)
    assert prediction.cycles == run.cycles
    for place, (core, counters) in enumerate(zip(prediction.cores, run.counters, strict=True)):
        idle = core.idle + 11 + 16 * place  # it reads one register after the other, idle going on
        expected = [idle if name == "idle" else getattr(core, name) for name in COUNTERS]
        assert expected == list(counters.as_dict().values())


def test_every_latency_matters():
    """A constant that could be wrong unnoticed would not be tested by the cases above."""
    unnoticed = set(Latencies._fields)
    for seed in range(SEEDS):
        network = random_network(seed, SMALL)
        inputs = network.check_inputs(random_inputs(network, 4, seed))
        image = compile_network(network, lanes_for(network, seed))
        trace = engine.run(network, inputs)
        right = rows(predict(image, inputs, trace))
        for name in tuple(unnoticed):
            wrong = Latencies()._replace(**{name: getattr(Latencies(), name) + 1})
            if rows(predict(image, inputs, trace, latencies=wrong)) != right:
                unnoticed.remove(name)
    assert unnoticed == set()


def test_rates_come_from_the_logits():
    network = random_network(0, SMALL)
    inputs = network.check_inputs(random_inputs(network, 3, 0))
    image = compile_network(network, 2)
    three = predict(image, inputs, engine.run(network, inputs))
    one = predict(image, inputs[:1], engine.run(network, inputs[:1]))
    assert one.cycles_per_inference == one.latency_cycles == one.cycles - one.first_beat
    assert one.latency_cycles <= three.latency_cycles
    ends = three.logits[:, -1]
    assert three.cycles_per_inference == (ends[2] - ends[0]) / 2


@pytest.mark.parametrize("wrong", ["none", "inputs", "trace", "batch"])
def test_what_does_not_belong_together_is_refused(wrong):
    network = random_network(0, SMALL)
    inputs = network.check_inputs(random_inputs(network, 3, 0))
    image = compile_network(network, 2)
    trace = engine.run(network, inputs)
    given = {"none": inputs[:0], "inputs": inputs[..., :0], "batch": inputs[:2]}.get(wrong, inputs)
    if wrong == "trace":
        other = random_network(1, SMALL)
        trace = engine.run(other, other.check_inputs(random_inputs(other, 3, 1)))
    with pytest.raises(BadInput, match=r"^cycle model: "):
        predict(image, given, trace)
