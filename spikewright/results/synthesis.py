"""The result of a synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikewright.results.base import NetworkResult, own_fields
from spikewright.sim.synth.path import CriticalPath


@dataclass(frozen=True)
class SynthesisResult(NetworkResult):
    """Clock and area of a build on a device, by Yosys and nextpnr: see docs/commands.md.

    Attributes
    ----------
    median_mhz, mhz
        The highest clock: the median, and by seed of the placement.
    limit
        The longest path of the median placement.
    lut4, carry_cells, flip_flops, block_rams, dsps, available
        Cells of the netlist, and what the device has.
    cells
        After placement, by kind.
    block_memories
        Memories declared as block RAM, and the block RAMs that each became.
    packed_ports
        Ports of block RAMs whose output registers were packed.
    lanes, lut4_per_lane
        By node; LUTs of everything for each lane of all cores.
    versions
        Of the tools.
    """

    build: str
    target: str
    median_mhz: float
    mhz: Mapping[str, float]
    limit: CriticalPath
    lut4: int
    carry_cells: int
    flip_flops: int
    block_rams: int
    dsps: int
    cells: Mapping[str, int]
    block_memories: Mapping[str, int]
    packed_ports: int
    seeds: tuple[int, ...]
    available: Mapping[str, int]
    lanes: Mapping[str, int]
    lut4_per_lane: float
    versions: Mapping[str, str]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SynthesisResult:
        """What `as_dict` gave, as it is read from `synth/TARGET/report.json`."""
        limit = CriticalPath.from_dict(values["limit"])
        own = own_fields(cls, values)
        return cls(**own | {"limit": limit, "seeds": tuple(values["seeds"])})
