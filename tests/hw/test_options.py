"""The options of a build: one object that checks itself and says itself in JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.file import fingerprint
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import Input, Readout
from spikewright.hw.build import build
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import DEFAULT_LANES, BuildOptions


def network(weight: int = 3) -> Network:
    return Network(
        2,
        (Input("input", (3,), "events", 1), Readout("out", (2,), np.zeros(2, int))),
        (Edge("input", "out", (Linear(np.full((2, 3), weight), 4),)),),
    )


def test_defaults():
    options = BuildOptions()
    assert (options.lane_limit, options.word_channels) == (DEFAULT_LANES, 1)
    given = BuildOptions(lanes={"out": 2}, channels_per_word=4)
    assert (given.lane_limit, given.word_channels) == ({"out": 2}, 4)


def test_plain_values():
    loadable = HostInterface(loadable=True)
    options = BuildOptions({"out": 2}, 1, 2, "ecp5-25k", {"ram": 4}, loadable, (network(1),))
    assert json.loads(json.dumps(options.as_dict())) == {
        "lanes": {"out": 2}, "channels_per_word": 1, "steps_per_pass": 2, "target": "ecp5-25k",
        "budget": {"ram": 4}, "also": [fingerprint(network(1))], "name": None,
        "host": {"registers": True, "counters": True, "loadable": True},
    }  # fmt: skip


def test_other_networks_need_a_loadable_build():
    message = "build: number of other networks is 1, must be 0 unless the build is loadable"
    with pytest.raises(BadInput, match=message):
        BuildOptions(also=(network(),))


def test_a_target_is_planned_for_first():
    with pytest.raises(AssertionError, match="plan"):
        compile_network(network(), BuildOptions(target="ecp5-25k"))


def test_the_manifest_says_what_was_asked_for(tmp_path):
    options = BuildOptions(steps_per_pass=2, host=HostInterface(counters=False))
    build(network(), tmp_path, options)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    for name in ("steps_per_pass", "host"):
        assert manifest[name] == options.as_dict()[name]
