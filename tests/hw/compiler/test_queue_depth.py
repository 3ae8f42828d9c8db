"""Queues between cores: where branches meet, where neighbours hold each other up, and what for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikewright.golden.cycles.prediction import predict
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.memory_image import Image
from spikewright.golden.models import engine
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.cost import shape_of
from spikewright.hw.options import BuildOptions
from spikewright.sim.pysim import simulate

SIDE, MAPS = 8, 4


def lif(name: str, threshold: int) -> LIF:
    blank = np.zeros(MAPS, int)
    return LIF(name, (MAPS, SIDE, SIDE), blank + threshold, blank, 1, 1, "zero", 10)


def conv(inputs: int, seed: int) -> Conv2d:
    return Conv2d(np.random.default_rng(seed).integers(-3, 5, (MAPS, inputs, 3, 3)), 4, (1, 1))


def network(*names: str, skip: bool = False, threshold: int = 6) -> Network:
    """A chain of convolutions; with `skip` the first is added to the last."""
    chain = ("input", *names)
    edges = [
        Edge(before, name, (conv(2 if before == "input" else MAPS, place),))
        for place, (before, name) in enumerate(zip(chain, names, strict=False))
    ]
    if skip:
        edges.append(Edge(names[0], names[-1], (Identity(np.full(MAPS, 3), 4),)))
    edges.append(Edge(names[-1], "readout", (Linear(np.eye(4, MAPS * SIDE * SIDE, dtype=int), 2),)))
    nodes = (
        Input("input", (2, SIDE, SIDE), "events", 1),
        *(lif(name, threshold) for name in names),
    )
    return Network(3, (*nodes, Readout("readout", (4,), np.zeros(4, int))), tuple(edges))


def known(net: Network) -> Network:
    """The network with its activity on some frames."""
    inputs = net.check_inputs(frames(8))
    spikes = engine.run(net, inputs).spikes
    sent = {"input": inputs, **spikes}
    counts = {name: fired.astype(np.int64).sum(axis=(0, 1)) for name, fired in sent.items()}
    return replace(net, activity=counts, meta={"activity_inferences": "8"})


def depths(image: Image) -> dict[tuple[str, str], int]:
    return {(e.source, core.node): e.depth for core in image.cores for e in core.edges if e.depth}


def without(image: Image) -> Image:
    cores = [
        replace(core, edges=tuple(replace(e, depth=0) for e in core.edges)) for core in image.cores
    ]
    return replace(image, cores=tuple(cores))


def frames(count: int = 4) -> np.ndarray:
    return (np.random.default_rng(9).random((count, 3, 2, SIDE, SIDE)) < 0.3).astype(int)


def cycles(net: Network, image: Image) -> float:
    inputs = net.check_inputs(frames())
    return predict(image, inputs, engine.run(net, inputs)).cycles_per_inference


def test_every_edge_into_a_join_has_a_queue():
    net = network("a", "b", "c", skip=True)
    # A tenth of 256 neurons, a quarter more, and the token: 34.
    found = depths(compile_network(net, BuildOptions(1, host=HostInterface(loadable=True))))
    assert found == {("b", "c"): 64, ("a", "c"): 64}
    assert set(depths(compile_network(net, BuildOptions(1)))) >= set(found)


def test_measured_activity_decides_how_deep():
    net = network("a", "b", "c", skip=True)
    spikes = np.full((MAPS, SIDE, SIDE), 15)
    busy = replace(net, activity={"a": spikes}, meta={"activity_inferences": "10"})
    found = depths(compile_network(busy, BuildOptions(1)))
    assert (found["a", "c"], found["b", "c"]) == (256, 64)
    assert (
        depths(compile_network(busy, BuildOptions(1, host=HostInterface(loadable=True))))["a", "c"]
        == 64
    )


def test_neighbours_of_equal_work_have_a_queue_and_gain_by_it():
    net = known(network("a", "b", "c"))
    image = compile_network(net, BuildOptions(1))
    assert ("b", "c") in depths(image)
    assert cycles(net, image) < 0.9 * cycles(net, without(image))
    assert depths(compile_network(net, BuildOptions(1, host=HostInterface(loadable=True)))) == {}


def test_a_core_that_waits_anyway_has_none():
    # A single core sets the pace: its neighbours have as many lanes as channels.
    net = known(network("a", "b", "c", threshold=12))
    assert depths(compile_network(net, BuildOptions({"a": 4, "b": 1, "c": 4, "readout": 1}))) == {}


def test_a_residual_block_is_faster_and_computes_the_same():
    net = known(network("a", "b", "c", skip=True))
    image = compile_network(net, BuildOptions(4))
    assert cycles(net, image) < 0.85 * cycles(net, without(image))
    inputs = net.check_inputs(frames(1))
    expected = engine.run(net, inputs)
    np.testing.assert_array_equal(simulate(image, inputs).trace.logits, expected.logits)


def test_queues_cost_memory():
    core = compile_network(network("a", "b", "c", skip=True), BuildOptions(1)).cores[2]
    width = core.edges[0].event.width + 1
    assert (core.edges[0].depth, width) in shape_of(core).shared_memories
