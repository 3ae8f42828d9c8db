"""Random graphs: joins, forks, branches, delays and the kinds that only graphs have.

Nodes are drawn in order, as in `golden.testing.random_chain`, and each is tuned on the drive of all
its edges; recurrent edges are added last. Coverage of their runs: `golden.testing.graph_coverage`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from spikewright.golden.models import reference
from spikewright.golden.network.edges import Conv2d, Edge, Identity, MaxPool2d, Operation
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Node, Shape
from spikewright.golden.testing.random_chain import (  # fmt: skip
    Generator,
    Ints,
    Limits,
    draw_conv,
    draw_frames,
    draw_input,
    draw_lif,
    draw_linear,
    draw_readout,
    draw_sum_pool,
    draw_weights,
)

_PROBES = 4  # inferences that tune a node
_SMALL = Limits()


@dataclass
class _Draft:
    """A graph that grows: its nodes and edges, and every node's events by step."""

    rng: Generator
    limits: Limits
    timesteps: int
    nodes: list[Node]
    edges: list[Edge]
    events: dict[str, list[Ints]]
    windows: dict[str, tuple[int, int] | None]

    def drive(self, name: str) -> list[Ints]:
        """The drive of a node by step; edges from nodes not yet drawn contribute nothing."""
        steps: list[Ints] = []
        for step in range(self.timesteps):
            drives = [
                reference.summed(edge, self.events[edge.source][step - edge.delay])
                if step >= edge.delay
                else reference.summed(edge, np.zeros_like(self.events[edge.source][0]))
                for edge in self.edges
                if edge.target == name and edge.source in self.events
            ]
            steps.append(np.sum(drives, axis=0))
        return steps

    def add(self, edge: Edge) -> None:
        """One more edge; where hardware is wanted, a node's first edge fixes its window."""
        pool = edge.pool
        window = pool.kernel_size if isinstance(pool, MaxPool2d) else None
        if self.limits.buildable:
            assert self.windows.setdefault(edge.source, window) == window
        self.edges.append(edge)

    def add_firing(self, node: LIF) -> None:
        """Add a node that fits its drive, and compute its spikes."""
        self.nodes.append(node)
        v = np.zeros((_PROBES, *node.shape), np.int64)
        fired: list[Ints] = []
        for current in self.drive(node.name):
            v, spikes = reference.lif_step(node, v, current)
            fired.append(spikes)
        self.events[node.name] = fired


def random_graph(seed: int, limits: Limits = _SMALL, delays: bool = True) -> Network:
    """A graph drawn from `seed`: the same arguments give the same network.

    Up to `limits.layers` LIF nodes, each after the previous one or on a branch, with up to two
    further edges; delayed edges (also back, and of a node to itself) if `delays`; a readout, or an
    LIF as the output.
    """
    rng, branches = (np.random.default_rng((seed, salt)) for salt in (0x94A9, 0xB4A7))
    timesteps = int(rng.integers(1, limits.timesteps + 1))
    source = draw_input(rng, limits)
    frames = draw_frames(rng, source, timesteps, _PROBES).astype(np.int64)
    steps = [frames if source.coding == "direct" else frames[:, t] for t in range(timesteps)]
    draft = _Draft(rng, limits, timesteps, [source], [], {source.name: steps}, {})
    for index in range(int(rng.integers(1, limits.layers + 1))):
        name = f"lif{index + 1}"
        before = len(draft.nodes) - 1
        if branches.random() < 0.2:
            before = int(branches.integers(len(draft.nodes)))
        main = draft.nodes[before]
        draft.add(Edge(main.name, name, _operations(draft, main)))
        _side_edges(draft, name, delays)
        draft.add_firing(draw_lif(rng, name, np.stack(draft.drive(name), axis=1)))
    _output(draft, delays)
    if delays:
        for node in draft.nodes[1:]:
            if isinstance(node, LIF) and rng.random() < 0.3:
                _edge_back(draft, node)
    meta = {"name": f"graph {seed}"}
    order: list[int] = rng.permutation(len(draft.edges)).tolist()
    return Network(timesteps, tuple(draft.nodes), tuple(draft.edges[i] for i in order), meta)


def _output(draft: _Draft, delays: bool) -> None:
    """A readout, or in a quarter of the graphs an LIF whose spikes are counted."""
    rng, source = draft.rng, draft.nodes[-1]
    operations = _pool_of(draft, source)
    shape = source.shape
    for operation in operations:
        shape = operation.output_shape(shape)
    spiking = rng.random() < 0.25
    name = "out" if spiking else "readout"
    linear = draw_linear(rng, shape, int(rng.integers(2, 13)))
    draft.add(Edge(source.name, name, (*operations, linear)))
    _side_edges(draft, name, delays)
    leaving = {edge.source for edge in draft.edges}
    for node in draft.nodes:
        if node.name not in leaving:  # the end of a branch
            draft.add(Edge(node.name, name, _fitting(draft, node, (len(linear.weight),))))
    if spiking:
        draft.add_firing(draw_lif(rng, name, np.stack(draft.drive(name), axis=1)))
    else:
        draft.nodes.append(draw_readout(rng, (len(linear.weight),)))


def _operations(draft: _Draft, source: Node) -> tuple[Operation, ...]:
    rng, limits = draft.rng, draft.limits
    pool = _pool_of(draft, source)
    shape = source.shape
    for operation in pool:
        shape = operation.output_shape(shape)
    units = int(rng.integers(1, limits.units + 1))
    if len(shape) == 1:
        kinds = {"linear": 0.8, "identity": 0.2}
    else:
        kinds = {"linear": 0.15, "identity": 0.15, "conv": 0.6, "": 0.1 if pool else 0.0}
    odds = np.array(list(kinds.values()))
    kind = str(rng.choice(list(kinds), p=odds / odds.sum()))
    if kind == "linear":
        return (*pool, draw_linear(rng, shape, units))
    if kind == "identity":
        return (*pool, _identity(rng, shape))
    return (*pool, draw_conv(rng, shape, limits)) if kind else pool


def _pool_of(draft: _Draft, source: Node) -> tuple[Operation, ...]:
    """The pool with which a further edge of a node may, or must, begin."""
    rng, shape = draft.rng, source.shape
    if (window := draft.windows.get(source.name)) is not None:
        return (MaxPool2d(window),)
    if len(shape) == 1 or rng.random() < 0.5:
        return ()
    pool = draw_sum_pool(rng, shape)
    settled = source.name in draft.windows or not isinstance(source, LIF)
    return (pool,) if settled or rng.random() < 0.4 else (MaxPool2d(pool.kernel_size),)


def _identity(rng: Generator, shape: Shape) -> Identity:
    bits = int(rng.integers(2, 9))
    return Identity(draw_weights(rng, (shape[0], 1), bits)[:, 0], bits)


def _side_edges(draft: _Draft, name: str, delays: bool) -> None:
    """Up to two further edges from nodes before; at most one in most cases."""
    rng = draft.rng
    main = draft.edges[-1]
    shape = main.output_shape(next(n.shape for n in draft.nodes if n.name == main.source))
    for _ in range(int(rng.choice((0, 1, 2), p=(0.4, 0.45, 0.15)))):
        source = draft.nodes[int(rng.integers(len(draft.nodes)))]
        operations = _fitting(draft, source, shape)
        if operations:
            delayed = delays and isinstance(source, LIF) and rng.random() < 0.4
            draft.add(Edge(source.name, name, operations, int(delayed)))


def _edge_back(draft: _Draft, target: LIF) -> None:
    """A delayed edge to a node from itself or from a later one."""
    index = draft.nodes.index(target)
    later = [node for node in draft.nodes[index:] if isinstance(node, LIF)]
    source = later[int(draft.rng.integers(len(later)))]
    if operations := _fitting(draft, source, target.shape):
        draft.add(Edge(source.name, target.name, operations, 1))


def _fitting(draft: _Draft, source: Node, shape: Shape) -> tuple[Operation, ...]:
    """Operations from a node to a given shape; none if no draw fits."""
    rng = draft.rng
    pool = _pool_of(draft, source)
    start = source.shape
    for operation in pool:
        start = operation.output_shape(start)
    if start == shape and rng.random() < 0.6:
        return pool if pool and rng.random() < 0.2 else (*pool, _identity(rng, shape))
    if len(shape) == 1:
        return (*pool, draw_linear(rng, start, shape[0]))
    if len(start) == 1:
        return ()
    strides = [-(-side // want) for side, want in zip(start[1:], shape[1:], strict=True)]
    fits = [
        (ky, kx, top, bottom, left, right)
        for ky in range(1, 4) for top in range(ky) for bottom in range(ky)
        if (start[1] + top + bottom - ky) // strides[0] + 1 == shape[1]
        and start[1] + top + bottom >= ky
        for kx in range(1, 4) for left in range(kx) for right in range(kx)
        if (start[2] + left + right - kx) // strides[1] + 1 == shape[2]
        and start[2] + left + right >= kx
    ]  # fmt: skip
    if not fits or max(strides) > 16:
        return ()
    ky, kx, *padding = fits[int(rng.integers(len(fits)))]
    bits = int(rng.integers(2, 9))
    weight = draw_weights(rng, (shape[0], start[0], ky, kx), bits)
    return (*pool, Conv2d(weight, bits, tuple(padding), (strides[0], strides[1])))


GRAPH_FEATURES: tuple[str, ...] = (
    "join", "fork", "diamond", "delayed skip", "edge back", "self loop", "max pool", "identity",
    "bare pool", "spiking output", "leaky readout", "direct and events in one node",
    "input into a later node", "signed events of several bits", "parallel edges",
    "strided convolution", "convolution in groups", "one-sided padding",
    "max pool before a convolution", "sum pool before an identity", "pool on a delayed edge",
)  # fmt: skip


def features(network: Network) -> set[str]:
    """Which of `GRAPH_FEATURES` a network has."""
    order = {node.name: index for index, node in enumerate(network.nodes)}
    first, last = network.input, network.output
    into = {node.name: network.into(node.name) for node in network.nodes}
    ends = [(edge.source, edge.target) for edge in network.edges]
    kinds = [tuple(type(operation).__name__ for operation in e.operations) for e in network.edges]
    convs = [edge.synapse for edge in network.edges if isinstance(edge.synapse, Conv2d)]
    mixed = any(len({e.source == first.name for e in edges}) == 2 for edges in into.values())
    present = {
        "join": any(len(edges) > 1 for edges in into.values()),
        "fork": any(len(network.out_of(name)) > 1 for name in order),
        "diamond": _has_diamond(network),
        "delayed skip": any(e.delay and order[e.source] < order[e.target] for e in network.edges),
        "edge back": any(order[e.source] > order[e.target] for e in network.edges),
        "self loop": any(a == b for a, b in ends),
        "max pool": any("MaxPool2d" in kind for kind in kinds),
        "identity": any("Identity" in kind for kind in kinds),
        "bare pool": any(kind in (("MaxPool2d",), ("SumPool2d",)) for kind in kinds),
        "spiking output": isinstance(last, LIF),
        "leaky readout": not isinstance(last, LIF) and last.leak_mul > 0,
        "direct and events in one node": first.coding == "direct" and mixed,
        "input into a later node": any(a == first.name and order[b] > 1 for a, b in ends),
        "signed events of several bits": first.coding == "events" and first.signed,
        "parallel edges": len(set(ends)) < len(ends),
        "strided convolution": any(max(conv.stride) > 1 for conv in convs),
        "convolution in groups": any(conv.groups > 1 for conv in convs),
        "one-sided padding": any(c.padding[::2] != c.padding[1::2] for c in convs),
        "max pool before a convolution": ("MaxPool2d", "Conv2d") in kinds,
        "sum pool before an identity": ("SumPool2d", "Identity") in kinds,
        "pool on a delayed edge": any(e.delay and e.pool is not None for e in network.edges),
    }
    assert tuple(present) == GRAPH_FEATURES
    return {name for name, is_present in present.items() if is_present}


def _has_diamond(network: Network) -> bool:
    """Two senders meet in a node without delay, and neither leads to the other."""
    ancestors: dict[str, set[str]] = {}  # the nodes that lead to a node without delay
    for node in network.nodes:
        before = [edge.source for edge in network.into(node.name) if edge.delay == 0]
        pairs = itertools.combinations(set(before), 2)
        if any(a not in ancestors[b] and b not in ancestors[a] for a, b in pairs):
            return True
        ancestors[node.name] = set(before).union(*(ancestors[name] for name in before))
    return False
