"""`top` driven by independent AXI bus models: registers, streams, resets, the load stream."""

# Through these also hw.system.axilite, hw.system.gates, hw.system.loader, hw.system.registers,
# hw.system.shell, sim.benches.load_stream.

import json
from dataclasses import replace

import numpy as np
import pytest

from spikewright.golden.image.counters import COUNTERS, STRIDE
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.load_stream import fit, load_words
from spikewright.golden.image.registers import FINGERPRINT_WORDS, describe, hash_words
from spikewright.golden.models import reference
from spikewright.golden.network.operations import count
from spikewright.golden.testing.random_chain import Limits, random_inputs, random_network
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.hw.system.top import identity
from spikewright.sim.harness.stimulus import input_beats
from spikewright.sim.harness.top import prepare_top
from spikewright.sim.simulators import runner

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=2, timesteps=4)


def sibling(network, seed):
    """Another network of the same shape: its weights, biases and thresholds in another order."""
    rng = np.random.default_rng(seed)
    edges = [
        replace(edge, operations=tuple(
            replace(part, weight=rng.permutation(part.weight.ravel()).reshape(part.weight.shape))
            if hasattr(part, "weight") else part
            for part in edge.operations
        ))
        for edge in network.edges
    ]  # fmt: skip
    nodes = [
        replace(node, bias=node.bias[::-1]) if hasattr(node, "bias") else node
        for node in network.nodes
    ]
    return replace(network, nodes=tuple(nodes), edges=tuple(edges))


def exchange(image, network, inputs):
    """Beats to send and to come, split into AXI packets."""
    trace = reference.run(network, inputs)
    width = max(image.input.event.width, 1)
    frames, frame = [], []
    for beat in input_beats(image, inputs).tolist():
        frame.append(beat & ((1 << width) - 1))
        if beat >> width:
            frames.append(frame)
            frame = []
    packets = [
        [int(image.output_layout.pack(index=i, value=value)) for i, value in enumerate(row)]
        for row in trace.logits.reshape(len(inputs), -1).tolist()
    ]
    return {"inputs": frames, "outputs": packets}


def counters(network, inputs):
    operations = count(network, inputs, reference.run(network, inputs))
    places = {name: list(COUNTERS).index(name) for name in ("events_in", "synops")}
    return [
        [STRIDE * core + places[name], value]
        for core, edge in enumerate(operations.edges)
        for name, value in (("events_in", edge.events), ("synops", edge.synops))
    ]


def plan(image, network, inputs, host):
    about = describe(identity(image, host))
    return {
        "loadable": host.loadable,
        "registers": [row for row in about["registers"] if row["name"] != "COUNTERS"],
        "unknown": [0x058, 0x0FFC, 0x1000 + 4 * STRIDE * len(image.cores), 0x1FFC],
        "first": exchange(image, network, inputs),
        "counters": counters(network, inputs),
        "resets": 8,
        "longest": 500,
    }


def run(folder, tmp_path, simulations, module, settings):
    (tmp_path / "axi.json").write_text(json.dumps(settings))
    data = [*(folder / "rtl").glob("*.mem"), tmp_path / "axi.json"]
    built = prepare_top(folder, simulations)
    result = runner.run_bench(built, module, tmp_path / module, data=data, deadline_s=300)
    result.require_passed()


@pytest.mark.parametrize("seed", [5, 14])
def test_registers_streams_and_resets(seed, tmp_path, simulations):
    network = random_network(seed, SMALL)
    inputs = network.check_inputs(random_inputs(network, 5, seed))
    image = build(network, tmp_path / "build", BuildOptions(2))
    settings = plan(image, network, inputs, HostInterface())
    run(
        tmp_path / "build",
        tmp_path,
        simulations,
        "spikewright.sim.benches.host_interface",
        settings,
    )


@pytest.mark.parametrize("seed", [5, 14])
def test_the_load_stream(seed, tmp_path, simulations):
    networks = {"first": random_network(seed, SMALL)}
    networks["second"] = sibling(networks["first"], seed)
    inputs = networks["first"].check_inputs(random_inputs(networks["first"], 5, seed))
    host = HostInterface(loadable=True)
    machine = build(
        networks["first"],
        tmp_path / "build",
        BuildOptions(2, host=host, also=(networks["second"],)),
    )
    settings = plan(machine, networks["first"], inputs, host)
    for which, network in networks.items():
        image = fit(
            compile_network(network, BuildOptions(2, host=HostInterface(loadable=True))), machine
        )
        settings[which] = exchange(machine, network, inputs) | {
            "load": load_words(image).tolist(),
            "network": list(hash_words(image.fingerprint, FINGERPRINT_WORDS)),
        }
    assert settings["first"]["outputs"] != settings["second"]["outputs"]
    for module in ("host_interface", "load_stream"):
        run(
            tmp_path / "build", tmp_path, simulations, f"spikewright.sim.benches.{module}", settings
        )
