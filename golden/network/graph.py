"""The integer network: the graph in which model, golden, hardware and simulation meet.

One `Input`, any number of `LIF` and one output: a `Readout`, or an `LIF` whose spike counts are the
logits. Edges may join in a node and part from one; an edge with delay 1 may point anywhere, back
or to its own node too. Frozen: a changed network is a new one (`dataclasses.replace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.arrays import Ints, plain_numbers
from spikewright.golden.errors import require
from spikewright.golden.network.edges import Conv2d, Edge, Linear, MaxPool2d
from spikewright.golden.network.nodes import LIF, Input, Node, Readout, frozen

MAX_TIMESTEPS = 1024
MAX_ACTIVITY = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes and the edges between them.

    Attributes
    ----------
    nodes
        The input first, the output last; every edge without delay goes forward in this order.
    edges
        In any order; those that meet in a node add.
    meta
        Short strings about the origin (`name`, `data`, `recipe`, `seed`); they never change what
        the network computes.
    activity
        For the input and spiking nodes, or some of them: how many events each neuron sent over
        some inferences, int64 of the node's shape. The compiler estimates work from it; it
        never changes what the network computes.
    """

    timesteps: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    meta: Mapping[str, str] = field(default_factory=dict[str, str])
    activity: Mapping[str, Ints] = field(default_factory=dict[str, Ints])

    def __post_init__(self) -> None:
        plain_numbers(self)
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "edges", tuple(self.edges))
        object.__setattr__(self, "meta", MappingProxyType(dict(sorted(self.meta.items()))))
        steps = self.timesteps
        require(1 <= steps <= MAX_TIMESTEPS, "network", "timesteps", steps, f"1..{MAX_TIMESTEPS}")
        self._check_nodes()
        self._check_edges()
        for node in self.nodes[1:]:
            self._check_connected(node)
        self._check_activity()

    def _check_nodes(self) -> None:
        names = [node.name for node in self.nodes]
        require(len(names) >= 2, "network", "number of nodes", len(names), "at least 2")
        for name in names:
            require(names.count(name) == 1, "network", "node name", repr(name), "used once")
        for index, node in enumerate(self.nodes):
            first, last = index == 0, index == len(names) - 1
            kinds = (Input,) if first else (Readout, LIF) if last else (LIF,)
            wanted = " or ".join(kind.__name__ for kind in kinds)
            position = "first" if first else "last" if last else "neither first nor last"
            require(type(node) in kinds, f"node {node.name!r}", "kind", type(node).__name__,
                    f"{wanted}, as it is {position}")  # fmt: skip
        shape = self.nodes[-1].shape
        require(len(shape) == 1, f"node {names[-1]!r}", "shape", shape,
                "(classes,), as it is the output")  # fmt: skip

    def _check_edges(self) -> None:
        order = {node.name: index for index, node in enumerate(self.nodes)}
        for edge in self.edges:
            for end in (edge.source, edge.target):
                require(end in order, edge.where, "end", repr(end), f"one of {', '.join(order)}")
            source, target = self.node(edge.source), self.node(edge.target)
            spikes = isinstance(source, LIF)
            require(not isinstance(target, Input), edge.where, "target", repr(edge.target),
                    "a node after the input")  # fmt: skip
            require(spikes or isinstance(source, Input), edge.where, "source", repr(edge.source),
                    "a node that sends events; a readout sends none")  # fmt: skip
            require(edge.delay == 1 or order[edge.source] < order[edge.target],
                    edge.where, "delay", edge.delay,
                    "1, as the edge does not go forward in the order of the nodes")  # fmt: skip
            require(spikes or edge.delay == 0, edge.where, "delay", edge.delay,
                    "0, as the input's events are not kept")  # fmt: skip
            require(spikes or not isinstance(edge.pool, MaxPool2d), edge.where, "pool", "MaxPool2d",
                    "SumPool2d or none, as the input sends values, not spikes")  # fmt: skip
            shape = edge.output_shape(source.shape)
            require(target.shape == shape, f"node {target.name!r}", "shape", target.shape,
                    f"{shape}, which {edge.where} delivers")  # fmt: skip

    def _check_connected(self, node: Node) -> None:
        where = f"node {node.name!r}"
        arriving = [edge.delay for edge in self.into(node.name)]
        require(0 in arriving, where, "edges into it without delay", 0, "at least 1")
        leaving = len(self.out_of(node.name))
        require(leaving > 0 or node is self.output, where, "edges out of it", leaving, "at least 1")

    def _check_activity(self) -> None:
        senders = {node.name: node for node in self.nodes if not isinstance(node, Readout)}
        counts: dict[str, Ints] = {}
        for name, values in sorted(self.activity.items()):
            require(name in senders, "activity", "node", repr(name), f"one of {', '.join(senders)}")
            where = f"activity of {name!r}"
            array = frozen(values, np.int64, where, "count")
            shape = senders[name].shape
            require(array.shape == shape, where, "shape", array.shape, str(shape))
            for bad in array[(array < 0) | (array > MAX_ACTIVITY)][:1]:
                require(False, where, "count", int(bad), f"0..{MAX_ACTIVITY}")
            counts[name] = array
        object.__setattr__(self, "activity", MappingProxyType(counts))

    def node(self, name: str) -> Node:
        """The node of this name; a `KeyError` if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def into(self, name: str) -> tuple[Edge, ...]:
        """The edges that end in a node, in the order of `edges`."""
        return tuple(edge for edge in self.edges if edge.target == name)

    def out_of(self, name: str) -> tuple[Edge, ...]:
        """The edges that start in a node, in the order of `edges`."""
        return tuple(edge for edge in self.edges if edge.source == name)

    @property
    def input(self) -> Input:
        """The first node."""
        node = self.nodes[0]
        assert isinstance(node, Input)
        return node

    @property
    def hidden(self) -> tuple[LIF, ...]:
        """The spiking nodes, in order; the output too, if it spikes."""
        return tuple(node for node in self.nodes if isinstance(node, LIF))

    @property
    def neurons(self) -> tuple[LIF | Readout, ...]:
        """All nodes but the input, in order."""
        return tuple(node for node in self.nodes if not isinstance(node, Input))

    @property
    def output(self) -> LIF | Readout:
        """The last node: its membranes after the last step, or its spike counts, are the logits."""
        node = self.nodes[-1]
        assert not isinstance(node, Input)
        return node

    @property
    def weights(self) -> tuple[Linear | Conv2d, ...]:
        """The operations that training fills with weights, in the order of the edges."""
        synapses = (edge.synapse for edge in self.edges)
        return tuple(synapse for synapse in synapses if isinstance(synapse, Linear | Conv2d))

    @property
    def density(self) -> float:
        """Nonzero integer weights over all weights; gains and bare pools do not count."""
        total = sum(synapse.weight.size for synapse in self.weights)
        kept = sum(int(np.count_nonzero(synapse.weight)) for synapse in self.weights)
        return kept / total if total else 1.0

    @property
    def weight_bits(self) -> int:
        """The widest of `weights`; 1 if there are none."""
        return max((synapse.weight_bits for synapse in self.weights), default=1)

    def check_inputs(self, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
        """`inputs` as int64: (batch, *shape) if direct, (batch, timesteps, *shape) if events.

        Raises
        ------
        BadInput
            If type, shape or a value does not fit the input node.
        """
        return self.input.check(inputs, self.timesteps)
