"""The fuzz itself: it really draws what it promises, and the runs really visit the corners."""

from collections import Counter

import numpy as np
import pytest

from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, SumPool2d
from spikewright.golden.network.file import encode
from spikewright.golden.network.graph import Network
from spikewright.golden.testing import chain_coverage, random_chain

SEEDS = range(300)  # those that the chain of equality runs on


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    return [random_chain.random_network(seed) for seed in SEEDS]


def test_every_corner_is_visited(networks: list[Network]) -> None:
    total: Counter[str] = Counter()
    in_networks: Counter[str] = Counter()
    for seed, network in zip(SEEDS, networks, strict=True):
        inputs = random_chain.random_inputs(network, 4, seed)
        found = chain_coverage.coverage(network, reference.run(network, inputs), inputs)
        assert tuple(found) == chain_coverage.CORNERS
        total.update(found)
        in_networks.update({corner: int(times > 0) for corner, times in found.items()})
    for corner in chain_coverage.CORNERS:
        assert in_networks[corner] >= 30, f"{corner}: only in {in_networks[corner]} networks"
        assert total[corner] >= 300, f"{corner}: only {total[corner]} times"


def test_every_option_is_drawn(networks: list[Network]) -> None:
    seen: Counter[object] = Counter()
    for network in networks:
        node = network.input
        seen.update([node.coding, ("bits", node.bits), ("signed", node.signed)])
        seen.update([("T", network.timesteps), ("layers", len(network.hidden)), len(node.shape)])
        for lif in network.hidden:
            seen.update(
                [lif.reset, "leak" if lif.leak_mul else "no leak", ("dims", len(lif.shape))]
            )
            seen["negative bias"] += bool((lif.bias < 0).any())
            seen["positive bias"] += bool((lif.bias > 0).any())
            seen["thresholds differ"] += len(set(lif.threshold.tolist())) > 1
        seen["readout leak"] += bool(network.output.leak_mul)
        shape = node.shape
        for edge, target in zip(network.edges, network.nodes[1:], strict=True):
            seen[tuple(type(operation).__name__ for operation in edge.operations)] += 1
            for operation in edge.operations:
                if isinstance(operation, SumPool2d):
                    ky, kx = operation.kernel_size
                    seen["pool not square"] += ky != kx
                    seen["pool crops"] += bool(shape[1] % ky or shape[2] % kx)
                    continue
                weight = operation.weight
                seen["weight bits", operation.weight_bits] += 1
                seen["all empty"] += not weight.any()
                seen["dense"] += bool(weight.all())
                seen["empty target"] += not weight.reshape(len(weight), -1).any(axis=1).all()
                seen["empty row"] += (
                    not weight.swapaxes(0, 1).any(axis=tuple(range(1, weight.ndim))).all()
                )
                seen["lowest weight"] += bool((weight == -(2 ** (operation.weight_bits - 1))).any())
                if isinstance(operation, Conv2d):
                    seen["kernel", weight.shape[2]] += 1
                    seen["kernel not square"] += weight.shape[2] != weight.shape[3]
                    seen.update(("padding", p) for p in operation.padding[::3])
                    _see_options(seen, operation, behind_pool=len(edge.operations) > 1)
            shape = target.shape
    expected: list[object] = ["direct", "events", 1, 3, ("signed", True), ("signed", False)]
    expected += [("bits", n) for n in range(1, 9)] + [("T", n) for n in range(1, 9)]
    expected += [("layers", n) for n in range(1, 5)] + [("weight bits", n) for n in range(2, 9)]
    expected += [("kernel", n) for n in range(1, 6)] + [("padding", n) for n in range(5)]
    expected += [("stride", axis, n) for axis in range(2) for n in range(1, 4)]
    expected += ["strides differ", "stride behind a pool", "stride over the kernel"]
    expected += ["stride and groups", "groups", "depthwise", "groups of several", "fan-out"]
    expected += ["padding differs in rows", "padding differs in columns", "padding and stride"]
    expected += [
        ("Linear",),
        ("Conv2d",),
        ("SumPool2d",),
        ("SumPool2d", "Linear"),
        ("SumPool2d", "Conv2d"),
    ]
    expected += ["subtract", "zero", "leak", "no leak", "readout leak", ("dims", 1), ("dims", 3)]
    expected += [
        "negative bias",
        "positive bias",
        "thresholds differ",
        "pool not square",
        "pool crops",
    ]
    expected += [
        "all empty",
        "dense",
        "empty target",
        "empty row",
        "lowest weight",
        "kernel not square",
    ]
    assert {item: seen[item] for item in expected if seen[item] < 8} == {}


def _see_options(seen: Counter[object], conv: Conv2d, behind_pool: bool) -> None:
    (sy, sx), (top, bottom, left, right) = conv.stride, conv.padding
    out, inputs, ky, kx = conv.weight.shape
    seen.update([("stride", 0, sy), ("stride", 1, sx)])
    seen["strides differ"] += sy != sx
    seen["stride behind a pool"] += behind_pool and max(sy, sx) > 1
    seen["stride over the kernel"] += sy > ky or sx > kx
    seen["stride and groups"] += max(sy, sx) > 1 and conv.groups > 1
    seen["groups"] += conv.groups > 1
    seen["depthwise"] += conv.groups > 1 and inputs == 1
    seen["groups of several"] += conv.groups > 1 and inputs > 1
    seen["fan-out"] += 1 < conv.groups < out
    seen["padding differs in rows"] += top != bottom
    seen["padding differs in columns"] += left != right
    seen["padding and stride"] += max(sy, sx) > 1 and (top, left) != (bottom, right)


def test_same_seed_same_network(networks: list[Network]) -> None:
    assert encode(random_chain.random_network(7)) == encode(networks[7])
    assert len({encode(network) for network in networks}) == len(networks)
    first, second = (random_chain.random_inputs(networks[7], 5, 3) for _ in range(2))
    assert np.array_equal(first, second)


def test_limits_hold() -> None:
    limits = random_chain.Limits(side=4, channels=2, units=5, kernel=2, layers=2, timesteps=1)
    for seed in range(60):
        network = random_chain.random_network(seed, limits)
        assert network.timesteps == 1
        assert 1 <= len(network.hidden) <= 2
        for node in network.nodes[:-1]:
            most = (5,) if len(node.shape) == 1 else (2, 4, 4)
            assert all(side <= limit for side, limit in zip(node.shape, most, strict=True))


def test_inputs_hold_the_extremes() -> None:
    for seed in range(20):
        network = random_chain.random_network(seed)
        inputs = random_chain.random_inputs(network, 3, seed)
        assert not inputs[0].any()
        assert (inputs[1] == network.input.highest).all()
        network.check_inputs(inputs)
