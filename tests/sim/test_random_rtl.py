"""Random graphs through the Verilog: every spike and every membrane, under every stall rate.

Several networks share one simulator binary, since building one costs more than running it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from spikewright.golden.image import interpreter
from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF
from spikewright.golden.network.trace import compare
from spikewright.golden.testing.chain_coverage import CORNERS, coverage
from spikewright.golden.testing.deadlock_graphs import deadlock_graph
from spikewright.golden.testing.random_chain import random_inputs
from spikewright.golden.testing.random_graph import GRAPH_FEATURES, features, random_graph
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.compiler.random_options import random_options
from spikewright.hw.options import BuildOptions
from spikewright.sim.accelerator_bench import Bench, prepare, simulate
from spikewright.sim.verify import conclude

BATCH = 6
CHANCE = [range(10), range(10, 20), (*range(20, 29), 44)]  # 44: a sum pool before an identity
PARALLEL = [range(first, first + 8) for first in (100, 108, 116)]
MOTIFS = ("self loop", "two loops", "residual", "delayed skip", "crossed diamonds",
          "spiking output")  # fmt: skip
# What `make test` runs besides the motifs: few and small, with every corner and option below.
SAMPLE = (18, 20, 23, 44, 102, 113, 114, 115, 117, 121, 122)
LANES = (1, 3, 2, 5, 4, 8, 2, 1, 6, 3)
STALLS = (0, 25, 50, 75)


@dataclass(frozen=True, eq=False)
class Case:
    """A network, the options of its build, and its inputs."""

    network: Network
    options: BuildOptions
    inputs: np.ndarray


@dataclass(frozen=True, eq=False)
class Group:
    """Cases that share a simulator."""

    cases: list[Case]
    bench: Bench


def _case(network: Network, index: int, options: BuildOptions | None = None) -> Case:
    """`index` is the case's place in its group: it picks the lanes and the inputs."""
    inputs = network.check_inputs(random_inputs(network, BATCH, index))
    return Case(network, options or BuildOptions(LANES[index]), inputs)


def _chance(seed: int, index: int) -> Case:
    return _case(random_graph(seed), index)


def _parallel(seed: int, index: int) -> Case:
    """Also several channels a word and several steps a pass, which delays would rule out."""
    network = random_graph(seed, delays=False)
    return _case(network, index, random_options(network, seed))


def _motifs() -> list[Case]:
    """Graphs in which streams could wait in a circle."""
    codings = ("events", "direct") * 3
    pairs = zip(MOTIFS, codings, strict=True)
    return [
        _case(deadlock_graph(name, coding), index) for index, (name, coding) in enumerate(pairs)
    ]


def _sample() -> list[Case]:
    """The cases of `SAMPLE`, each as it is in its group."""
    return [
        make(seed, index)
        for make, groups in ((_chance, CHANCE), (_parallel, PARALLEL))
        for seeds in groups
        for index, seed in enumerate(seeds)
        if seed in SAMPLE
    ]


GROUPS: dict[str, Callable[[], list[Case]]] = {"motifs": _motifs, "sample": _sample}
CAMPAIGN = {
    f"{make.__name__[1:]} {number}": partial(list, map(make, seeds, range(len(seeds))))
    for make, groups in ((_chance, CHANCE), (_parallel, PARALLEL))
    for number, seeds in enumerate(groups)
}


@pytest.fixture(scope="module", params=[*GROUPS, *CAMPAIGN])
def group(request, tmp_path_factory, simulations: Path) -> Group:
    cases = (GROUPS | CAMPAIGN)[request.param]()
    place = tmp_path_factory.mktemp("random")
    folders = [place / str(number) for number in range(len(cases))]
    for case, folder in zip(cases, folders, strict=True):
        build(case.network, folder, case.options)
    return Group(cases, prepare(folders, place / "work", cache=simulations))


@pytest.mark.sample(group=tuple(GROUPS))
@pytest.mark.parametrize("stall", STALLS)
def test_rtl_equals_both_golden_models(group: Group, tmp_path: Path, stall: int):
    inputs = [case.inputs for case in group.cases]
    reset_after = 700 if stall == 25 else 0
    runs = simulate(
        group.bench, inputs, tmp_path / "run", stall=stall, seed=stall, reset_after=reset_after
    )
    share = sum(run.stall_share for run in runs) / len(runs)
    assert share == pytest.approx(stall / 100, abs=0.08 if stall else 0)
    for case, image, run in zip(group.cases, group.bench.images, runs, strict=True):
        name = case.network.meta["name"]
        result = conclude(case.network, image, case.inputs, {stall: run})
        assert result.mismatches == 0, f"{name}: {result.first}"
        cycles = result.cycles_checked
        assert cycles.compared > 0 == cycles.differences, f"{name}: {cycles.first}"
        hidden = [node for node in case.network.nodes if isinstance(node, LIF)]
        neurons = sum(int(np.prod(node.shape)) for node in hidden)
        assert result.verilog.spikes == BATCH * case.network.timesteps * neurons > 0


@pytest.mark.sample(group=tuple(GROUPS))
def test_the_interpreted_images_are_those_of_the_rtl(group: Group):
    for case, image in zip(group.cases, group.bench.images, strict=True):
        expected = reference.run(case.network, case.inputs)
        assert compare(expected, interpreter.run(image, case.inputs)).mismatches == 0


RESETS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597)


@pytest.mark.parametrize("group", ["motifs"], indirect=True)
def test_a_reset_at_any_cycle_leaves_no_trace(group: Group, tmp_path: Path):
    """Values, cycles and counters are those of a run without a reset."""
    inputs = [case.inputs for case in group.cases]
    for after in RESETS:
        runs = simulate(
            group.bench, inputs, tmp_path / str(after), stall=30, seed=after, reset_after=after
        )
        for case, image, run in zip(group.cases, group.bench.images, runs, strict=True):
            result = conclude(case.network, image, case.inputs, {30: run})
            assert result.mismatches == 0, f"reset in cycle {after}: {result.first}"
            cycles = result.cycles_checked
            assert cycles.compared > 0 == cycles.differences, f"cycle {after}: {cycles.first}"


def test_the_campaign_has_sixty_networks():
    assert sum(map(len, (*CHANCE, *PARALLEL, MOTIFS))) == 60
    assert len(_sample()) == len(SAMPLE)


def test_the_sampled_parallel_networks_use_every_option():
    steps, widths, columns = set(), set(), set()
    for case in _sample():
        if case.options.channels_per_word is None:
            continue
        image = compile_network(case.network, case.options)
        steps.add((image.steps_per_pass, image.input.direct))
        widths |= {core.channels_per_word for core in image.cores}
        columns |= {core.size[0] % core.columns > 0 for core in image.cores}
    assert len({count for count, _ in steps} | {1}) >= 4
    assert {direct for count, direct in steps if count > 1} == {False, True}
    assert (widths, columns) == ({1, 2, 4}, {False, True})


def test_the_sampled_networks_visit_every_corner():
    found = dict.fromkeys(CORNERS, 0)
    kinds = set()
    for case in (*_sample(), *_motifs()):
        trace = reference.run(case.network, case.inputs)
        for corner, times in coverage(case.network, trace, case.inputs).items():
            found[corner] += times
        kinds |= _kinds(case.network)
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
