"""Op-count energy: counted operations times the energy of one operation, the papers' habit.

It prices arithmetic and nothing else. Memory accesses, which dominate a real chip, queues, the
sweep and static power are not in it; that is why every figure carries its assumptions along.

    ANN:   E = E_MAC x multiply-accumulates of all layers
    SNN:   E = E_MAC x synops of events with a value, from the input + E_AC x all other synops

where E_MAC is a multiplication and an addition, E_AC an addition, and a synop is one event meeting
one kept weight (border positions that do not exist are not counted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spikewright.golden.network.graph import Network
from spikewright.golden.network.operations import OperationCounts
from spikewright.golden.records import form_of

SOURCE = (
    "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, "
    "figure 1.1.9: 45 nm, 0.9 V"
)


@dataclass(frozen=True)
class Price:
    """Energy of one operation in pJ, and where the figures are from."""

    number: str
    add_pj: float
    multiply_pj: float
    source: str = SOURCE

    @property
    def mac_pj(self) -> float:
        """A multiplication and an addition."""
        return self.multiply_pj + self.add_pj


PRICES: dict[str, Price] = {
    "fp32": Price("32-bit float", add_pj=0.9, multiply_pj=3.7),
    "int32": Price("32-bit integer", add_pj=0.1, multiply_pj=3.1),
    "int8": Price("8-bit integer", add_pj=0.03, multiply_pj=0.2),
}

ASSUMPTIONS = (
    "arithmetic only: no memory access, no queue, no neuron update, no static power",
    "energies of one operation: " + SOURCE,
    "dense ANN: one multiply-accumulate per weight and output position, padding included, one pass",
    "pruned ANN: the same, times the density of each layer (nonzero weights / all weights)",
    "SNN: an addition per synaptic operation as counted by the hardware, over all time steps",
    (
        "SNN, direct input: its edges are counted once per inference, as multiply-accumulates, "
        "because their drive is kept and added again at every step"
    ),
)


@dataclass(frozen=True)
class LayerEnergy:
    """One edge, per inference: operations (mean over the images) and energy in pJ.

    `snn_*` are priced as this network runs; `dense_*` and `pruned_*` are ANNs of the same shape.
    """

    source: str
    target: str
    synops: float
    dense_macs: int
    density: float
    multiplies: bool
    snn_fp32_pj: float
    snn_int32_pj: float
    snn_int8_pj: float
    dense_fp32_pj: float
    dense_int8_pj: float
    pruned_fp32_pj: float
    pruned_int8_pj: float


_COLUMNS = [name for name in LayerEnergy.__annotations__ if name.endswith("_pj")]
_RATIOS = {
    f"{ann}_over_{snn}": (ann, snn)
    for ann, snn in (
        ("dense_fp32", "snn_fp32"),
        ("dense_int8", "snn_int8"),
        ("pruned_fp32", "snn_fp32"),
        ("pruned_int8", "snn_int8"),
        ("dense_fp32", "snn_int8"),
    )
}


@dataclass(frozen=True)
class Energy:
    """Op-count energy of one inference, in pJ; totals are sums over `layers`."""

    layers: tuple[LayerEnergy, ...]
    assumptions: tuple[str, ...] = ASSUMPTIONS

    def total_pj(self, column: str) -> float:
        """The sum of one column, for example `total_pj("snn_int8")`."""
        return sum(getattr(layer, f"{column}_pj") for layer in self.layers)

    def ratio(self, ann: str, snn: str) -> float:
        """How many times the ANN's energy the SNN saves; infinite if the SNN does nothing."""
        spent = self.total_pj(snn)
        return self.total_pj(ann) / spent if spent else float("inf")

    @property
    def ratios(self) -> dict[str, float]:
        """ANN over SNN, always at the same number format on both sides but where the name says."""
        return {name: self.ratio(ann, snn) for name, (ann, snn) in _RATIOS.items()}

    def as_dict(self) -> dict[str, Any]:
        """JSON values; infinite ratios become None."""
        ratios = {
            name: None if value == float("inf") else value for name, value in self.ratios.items()
        }
        return {
            "schema": 1,
            "kind": "op-count",
            "assumptions": list(self.assumptions),
            "prices": {
                name: asdict(price) | {"mac_pj": price.mac_pj} for name, price in PRICES.items()
            },
            "totals_per_inference": {
                name: self.total_pj(name.removesuffix("_pj")) for name in _COLUMNS
            },
            "ratios": ratios,
            "layers": [asdict(layer) for layer in self.layers],
        }

    @classmethod
    def json_form(cls) -> dict[str, Any]:
        """The types of what `as_dict` gives."""
        return {
            "schema": int, "kind": str, "assumptions": [str], "layers": [LayerEnergy],
            "prices": {name: {"mac_pj": float, **form_of(Price)} for name in PRICES},
            "totals_per_inference": dict.fromkeys(_COLUMNS, float),
            "ratios": dict.fromkeys(_RATIOS, float | None),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Energy:
        """What `as_dict` gave."""
        layers = tuple(LayerEnergy(**row) for row in values["layers"])
        return cls(layers, tuple(values["assumptions"]))


def op_count_energy(network: Network, operations: OperationCounts) -> Energy:
    """Price the operations of a run, per inference.

    Parameters
    ----------
    operations
        Of `golden.network.operations.count`, which hardware counters equal exactly (`sim.verify`).
    """
    layers = []
    images = max(operations.images, 1)
    for edge in operations.edges:
        synops = edge.synops / images
        density = edge.kept / edge.weights if edge.weights else 1.0
        # Events of one bit are spikes already; wider or signed ones meet a multiplier.
        node = network.input
        multiplies = edge.source == node.name and (node.bits > 1 or node.signed)

        def snn(price: Price, operations: float = synops, multiplies: bool = multiplies) -> float:
            return operations * (price.mac_pj if multiplies else price.add_pj)

        dense, pruned = edge.dense_synops, edge.dense_synops * density
        fp32, int32, int8 = PRICES["fp32"], PRICES["int32"], PRICES["int8"]
        weighted = edge.weights > 0  # a bare pool of an ANN adds, it has nothing to multiply
        ann = {name: price.mac_pj if weighted else price.add_pj for name, price in PRICES.items()}
        layers.append(
            LayerEnergy(
                source=edge.source, target=edge.target, synops=synops,
                dense_macs=dense, density=density, multiplies=multiplies,
                snn_fp32_pj=snn(fp32), snn_int32_pj=snn(int32), snn_int8_pj=snn(int8),
                dense_fp32_pj=dense * ann["fp32"], dense_int8_pj=dense * ann["int8"],
                pruned_fp32_pj=pruned * ann["fp32"], pruned_int8_pj=pruned * ann["int8"],
            )
        )  # fmt: skip
    return Energy(tuple(layers))
