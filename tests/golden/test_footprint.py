"""What a run takes is estimated from above and refused before it begins; batches hold it flat."""

import re
import tracemalloc

import numpy as np
import pytest

from spikewright.evaluation import evaluate
from spikewright.golden import footprint
from spikewright.golden.equality_chain import BATCH
from spikewright.golden.errors import BadInput
from spikewright.golden.footprint import Footprint, allowed, available, memory_limit, parse_size
from spikewright.golden.network.edges import Conv2d, Edge, Identity, Linear, SumPool2d
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Input, Readout
from spikewright.stimulus import choose_stimulus

MIB = 1 << 20


def network_of(side, timesteps, coding="events"):
    rng = np.random.default_rng(side)
    kernel = rng.integers(-3, 4, (1, 1, 3, 3))
    nodes = [LIF(name, (1, side, side), [4], [0], 1, 2, "subtract", 10) for name in "ab"]
    blocks = (side // 16) ** 2
    weight = rng.integers(-3, 4, (2, blocks))
    return Network(
        timesteps,
        (Input("in", (1, side, side), coding, 1), *nodes, Readout("out", (2,), [0, 0])),
        (
            Edge("in", "a", (Conv2d(kernel, 4, padding=(1, 1)),)),
            Edge("a", "b", (Identity(np.array([3]), 4),)),
            Edge("b", "out", (SumPool2d((16, 16)), Linear(weight, 4))),
        ),
    )


def test_a_run_takes_no_more_than_was_estimated():
    """The peak of a real run, batch by batch: at most the estimate, and not a third of it."""
    network, images = network_of(64, 16), 2 * BATCH
    evaluate(network, choose_stimulus(network, "random", images=1), compare=1)  # compiles
    found = Footprint.of_comparison(network)
    tracemalloc.start()
    try:
        stimulus = choose_stimulus(network, "random", images=images)
        whole = evaluate(network, stimulus, compare=images)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with memory_limit(images * found.kept + 4 * found.traced):
            flat = evaluate(network, stimulus, compare=images)
        _, low = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert whole == flat
    assert peak < images * found.kept + BATCH * found.traced < 3 * peak
    assert low < images * found.kept + 4 * found.traced
    assert low < peak / 2


def test_batches_fill_what_is_allowed():
    found = Footprint(kept=10, traced=100)
    for limit, images, batch in ((10**6, 50, 20), (2000, 50, 15), (600, 50, 1), (610, 51, 1)):
        with memory_limit(limit):
            assert found.batch(images, 20) == batch


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (100 * MIB, r"must be at most 100 MiB \(--memory\); 6 images fit"),
        (20 * MIB, r"must be at most 20 MiB \(--memory\); not even one fits, which takes 27 .*"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_would(limit, message):
    found = Footprint(kept=13 * MIB, traced=14 * MIB)
    what = re.escape("memory: 100 images of the network take 1.3 GiB, ")
    with memory_limit(limit), pytest.raises(BadInput, match=f"^{what}{message}$"):
        found.batch(100, 20)


def test_huge_networks_are_refused_before_anything_is_made():
    """A few bytes of file that ask for hours and hundreds of GiB."""
    network = network_of(2048, 1024)
    tracemalloc.start()
    try:
        for work in (
            lambda: choose_stimulus(network, "random"),
            lambda: Footprint.of_comparison(network).batch(1, BATCH),
        ):
            with memory_limit(16 << 30), pytest.raises(BadInput, match="not even one fits"):
                work()
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_what_is_kept_grows_with_runs_and_membranes():
    network = network_of(16, 4, "direct")
    steps, inputs = 4 * (2 * 256 + 2), 256 * footprint.INPUT_BYTES
    assert Footprint.of_inputs(network) == Footprint(inputs, 0)
    plain = Footprint.of_comparison(network)
    assert plain == Footprint(inputs + steps, inputs + steps * footprint.TRACED_BYTES)
    assert Footprint.of_comparison(network, membranes=True).kept == inputs + 9 * steps
    assert Footprint.of_comparison(network, runs=2).kept == inputs + 19 * steps


def test_the_machine_says_what_is_free(monkeypatch):
    free = available()
    assert MIB < free < 1 << 50
    assert allowed() <= free
    monkeypatch.setattr(footprint, "_of_process", lambda: 1000)
    assert (available(), allowed()) == (1000, 750)
    for name in ("_of_machine", "_of_group", "_of_process"):
        monkeypatch.setattr(footprint, name, lambda: None)
    assert available() == footprint.UNKNOWN
    with memory_limit(5):
        assert allowed() == 5
    assert allowed() == 0.75 * footprint.UNKNOWN


def test_limits_of_the_process_and_its_group(monkeypatch):
    files = {"/sys/fs/cgroup/memory.max": ["9000"], "/sys/fs/cgroup/memory.current": ["2000"],
             "/proc/self/statm": ["3 1"], "/proc/meminfo": ["MemTotal: 9 kB", "MemAvailable: 8 kB"],
             }  # fmt: skip
    monkeypatch.setattr(footprint, "_lines", lambda path: files.get(path, []))
    monkeypatch.setattr(footprint.resource, "getrlimit", lambda which: (50_000, 50_000))
    monkeypatch.setattr(footprint.resource, "getpagesize", lambda: 10_000)
    assert footprint._of_machine() == 8192
    assert footprint._of_group() == 7000
    assert footprint._of_process() == 20_000
    files["/sys/fs/cgroup/memory.max"] = ["max"]
    assert footprint._of_group() is None


@pytest.mark.parametrize("text", ["", "8X", "-1G", "0", "nan", "infG", "G", "1 2", "8GG"])
def test_a_size_that_is_none_is_refused(text):
    message = rf"^--memory: size is {re.escape(repr(text))}, must be a size such as 8G or 500M$"
    with pytest.raises(BadInput, match=message):
        parse_size(text)
