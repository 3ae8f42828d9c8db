"""The integer network: the graph in which model, golden, hardware and simulation meet.

This version holds chains: one `Input`, any number of `LIF`, one `Readout` at the end, and one
edge between neighbours. Frozen: a changed network is a new one (`dataclasses.replace`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from golden.edges import Edge
from golden.errors import BadInput, require
from golden.nodes import LIF, Input, Node, Readout

MAX_TIMESTEPS = 1024


@dataclass(frozen=True, eq=False)
class Network:
    """`nodes` in order from the input to the readout, `edges[i]` from `nodes[i]` to `nodes[i + 1]`.

    `meta` holds short strings about the origin (`name`, `data`, `recipe`, `seed`); it never
    changes what the network computes.
    """

    timesteps: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    meta: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", tuple(self.nodes))
        object.__setattr__(self, "edges", tuple(self.edges))
        object.__setattr__(self, "meta", MappingProxyType(dict(sorted(self.meta.items()))))
        steps = self.timesteps
        require(1 <= steps <= MAX_TIMESTEPS, "network", "timesteps", steps, f"1..{MAX_TIMESTEPS}")
        self._check_nodes()
        self._check_edges()

    def _check_nodes(self) -> None:
        names = [node.name for node in self.nodes]
        require(len(names) >= 2, "network", "number of nodes", len(names), "at least 2")
        for name in names:
            require(names.count(name) == 1, "network", "node name", repr(name), "used once")
        for index, node in enumerate(self.nodes):
            last = len(names) - 1
            right = (Input if index == 0 else Readout if index == last else LIF).__name__
            kind = type(node).__name__
            require(
                kind == right,
                f"node {node.name!r}",
                "kind",
                kind,
                f"{right} at place {index} of a chain",
            )

    def _check_edges(self) -> None:
        names = [node.name for node in self.nodes]
        for edge in self.edges:
            for end in (edge.source, edge.target):
                require(end in names, edge.where, "end", repr(end), f"one of the nodes {names}")
        chain = list(itertools.pairwise(names))
        found = [(edge.source, edge.target) for edge in self.edges]
        if found != chain:
            raise BadInput(
                f"network: edges are {found}, must be the chain {chain}, one edge after another"
            )
        for edge, source, target in zip(self.edges, self.nodes[:-1], self.nodes[1:], strict=True):
            shape = edge.output_shape(source.shape)
            require(target.shape == shape, f"node {target.name!r}", "shape", target.shape,
                    f"{shape}, which {edge.where} delivers")  # fmt: skip

    @property
    def input(self) -> Input:
        """The first node."""
        node = self.nodes[0]
        assert isinstance(node, Input)
        return node

    @property
    def hidden(self) -> tuple[LIF, ...]:
        """The spiking nodes, in order."""
        return tuple(node for node in self.nodes if isinstance(node, LIF))

    @property
    def readout(self) -> Readout:
        """The last node."""
        node = self.nodes[-1]
        assert isinstance(node, Readout)
        return node

    @property
    def density(self) -> float:
        """Nonzero integer weights over all weights; bare pools have none and do not count."""
        weights = [edge.synapse.weight for edge in self.edges if edge.synapse is not None]
        total = sum(w.size for w in weights)
        return sum(int(np.count_nonzero(w)) for w in weights) / total if total else 1.0

    @property
    def weight_bits(self) -> int:
        """The widest weight of any edge."""
        return max(
            (edge.synapse.weight_bits for edge in self.edges if edge.synapse is not None), default=1
        )

    def check_inputs(self, inputs: NDArray[np.generic]) -> NDArray[np.int64]:
        """`inputs` as int64: (batch, *shape) if direct, (batch, timesteps, *shape) if events.

        Raises
        ------
        BadInput
            If type, shape or a value does not fit the input node.
        """
        node = self.input
        where = f"input {node.name!r}"
        array = np.asarray(inputs)
        require(array.dtype.kind in "iub", where, "type", array.dtype, "integer")
        frame = node.shape if node.coding == "direct" else (self.timesteps, *node.shape)
        right = array.shape[1:] == frame and array.ndim == len(frame) + 1
        require(right, where, "shape", array.shape,
                f"(batch, {', '.join(map(str, frame))})")  # fmt: skip
        array = array.astype(np.int64)
        for bad in array[(array < node.lowest) | (array > node.highest)][:1]:
            require(False, where, "value", int(bad), f"{node.lowest}..{node.highest}")
        return array
