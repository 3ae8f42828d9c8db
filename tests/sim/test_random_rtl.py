"""Random graphs through the Verilog: every spike and every membrane, under every stall rate.

Several networks share one simulator binary, since building one costs more than running it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.image import interpreter
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF
from spikewright.golden.network.trace import compare
from spikewright.golden.testing.deadlock_graphs import motif
from spikewright.golden.testing.random_chain import CORNERS, coverage, random_inputs
from spikewright.golden.testing.random_graph import GRAPH_FEATURES, features, random_graph
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.random_options import random_options
from spikewright.hw.options import BuildOptions
from spikewright.sim.accelerator_bench import Bench, prepare, simulate
from spikewright.sim.verify import conclude

GROUPS, IN_GROUP, BATCH = 7, 10, 6
OF_MOTIFS = 3  # behind the groups of graphs of chance; then those of the parallel
PARALLEL = 8  # of these in a group
MOTIFS_OF_GROUP = ("self loop", "two loops", "residual", "delayed skip", "crossed diamonds",
                   "spiking output")  # fmt: skip
SEEDS = (*range(29), 44)  # 44 has a sum pool before an identity, which few have
LANES = (1, 3, 2, 5, 4, 8, 2, 1, 6, 3)
STALLS = (0, 25, 50, 75)


@dataclass(frozen=True, eq=False)
class Group:
    """Networks that share a simulator, and their inputs."""

    networks: list[Network]
    inputs: list[np.ndarray]
    bench: Bench


def _networks(group: int) -> list[Network]:
    """Graphs of chance, those in which streams could wait in a circle, those without delays."""
    if group > OF_MOTIFS:
        return [random_graph(seed, delays=False) for seed in _parallel_seeds(group)]
    if group == OF_MOTIFS:
        codings = ("events", "direct") * 3
        return [motif(name, coding) for name, coding in zip(MOTIFS_OF_GROUP, codings, strict=True)]
    return [random_graph(seed) for seed in SEEDS[group * IN_GROUP :][:IN_GROUP]]


def _parallel_seeds(group: int) -> range:
    first = 100 + (group - OF_MOTIFS - 1) * PARALLEL
    return range(first, first + PARALLEL)


def _options(group: int, networks: list[Network]) -> list[BuildOptions]:
    """Of the compiler: lanes; for the last groups also channels a word and steps a pass."""
    if group > OF_MOTIFS:
        pairs = zip(networks, _parallel_seeds(group), strict=True)
        return [random_options(network, seed) for network, seed in pairs]
    return [BuildOptions(lanes) for lanes in LANES[: len(networks)]]


def _inputs(network: Network, seed: int) -> np.ndarray:
    return network.check_inputs(random_inputs(network, BATCH, seed))


@pytest.fixture(scope="module", params=range(GROUPS))
def group(request, tmp_path_factory, simulations: Path) -> Group:
    networks = _networks(request.param)
    inputs = [_inputs(network, seed) for seed, network in enumerate(networks)]
    place = tmp_path_factory.mktemp("random")
    folders = [place / str(number) for number in range(len(networks))]
    with ThreadPoolExecutor(2) as pool:
        jobs = zip(networks, folders, _options(request.param, networks), strict=True)
        list(pool.map(lambda job: build(*job), jobs))
    return Group(networks, inputs, prepare(folders, place / "work", cache=simulations))


@pytest.mark.parametrize("stall", STALLS)
def test_rtl_equals_both_golden_models(group: Group, tmp_path: Path, stall: int):
    reset_after = 700 if stall == 25 else 0
    runs = simulate(
        group.bench, group.inputs, tmp_path / "run", stall=stall, seed=stall, deadline_s=120,
        reset_after=reset_after,
    )  # fmt: skip
    share = sum(run.stall_share for run in runs) / len(runs)
    assert share == pytest.approx(stall / 100, abs=0.08 if stall else 0)
    for network, image, inputs, run in zip(
        group.networks, group.bench.images, group.inputs, runs, strict=True
    ):
        result = conclude(network, image, inputs, {stall: run})
        assert result.mismatches == 0, f"{network.meta['name']}: {result.first}"
        cycles = result.cycles_checked
        assert cycles.compared > 0 == cycles.differences, f"{network.meta['name']}: {cycles.first}"
        neurons = sum(int(np.prod(node.shape)) for node in network.nodes if isinstance(node, LIF))
        assert result.verilog.spikes == BATCH * network.timesteps * neurons > 0


def test_the_interpreted_images_are_those_of_the_rtl(group: Group):
    for network, image, inputs in zip(
        group.networks, group.bench.images, group.inputs, strict=True
    ):
        trace = interpreter.run(image, inputs)
        assert compare(reference.run(network, inputs), trace).mismatches == 0


RESETS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597)


@pytest.mark.parametrize("group", [OF_MOTIFS], indirect=True)
def test_a_reset_at_any_cycle_leaves_no_trace(group: Group, tmp_path: Path):
    """Of values, of cycles, of counters: all are those of a run that was never broken off."""
    for after in RESETS:
        runs = simulate(
            group.bench, group.inputs, tmp_path / str(after), stall=30, seed=after,
            deadline_s=120, reset_after=after,
        )  # fmt: skip
        for network, image, inputs, run in zip(
            group.networks, group.bench.images, group.inputs, runs, strict=True
        ):
            result = conclude(network, image, inputs, {30: run})
            assert result.mismatches == 0, f"reset in cycle {after}: {result.first}"
            cycles = result.cycles_checked
            assert cycles.compared > 0 == cycles.differences, f"cycle {after}: {cycles.first}"


def test_there_are_sixty_networks():
    assert sum(len(_networks(group)) for group in range(GROUPS)) == 60


def test_the_parallel_networks_use_every_option():
    steps, widths, columns = set(), set(), set()
    for group in range(OF_MOTIFS + 1, GROUPS):
        networks = _networks(group)
        for network, options in zip(networks, _options(group, networks), strict=True):
            image = compile_network(network, options)
            steps.add((image.steps_per_pass, image.input.direct))
            widths |= {core.channels_per_word for core in image.cores}
            columns |= {core.size[0] % core.columns > 0 for core in image.cores}
    assert len({count for count, _ in steps} | {1}) >= 4
    assert {direct for count, direct in steps if count > 1} == {False, True}
    assert (widths, columns) == ({1, 2, 4}, {False, True})


def test_the_networks_visit_every_corner():
    found = dict.fromkeys(CORNERS, 0)
    kinds = set()
    for group in range(GROUPS):
        for seed, network in enumerate(_networks(group)):
            inputs = _inputs(network, seed)
            trace = reference.run(network, inputs)
            for corner, times in coverage(network, trace, inputs).items():
                found[corner] += times
            kinds |= _kinds(network)
    assert all(found.values()), found
    assert kinds >= {
        *GRAPH_FEATURES, "direct", "events", "signed events",
        ("subtract", True), ("subtract", False), ("zero", True), ("zero", False),
        ("stride", 1), ("stride", 2), ("stride", 3), ("groups", True), ("groups", False),
        ("one-sided", True), ("one-sided", False),
    }  # fmt: skip


def _kinds(network: Network) -> set[object]:
    """What a network has."""
    kinds: set[object] = {*features(network), network.input.coding}
    kinds |= (
        {"signed events"} if network.input.coding == "events" and network.input.signed else set()
    )
    kinds |= {(node.reset, node.leak_mul > 0) for node in network.hidden}
    for conv in (edge.synapse for edge in network.edges):
        if isinstance(conv, Conv2d):
            kinds |= {("stride", n) for n in conv.stride} | {("groups", conv.groups > 1)}
            kinds.add(("one-sided", conv.padding[::2] != conv.padding[1::2]))
    return kinds
