"""How a build is simulated: one object, from the command line to the simulator."""

from __future__ import annotations

from dataclasses import dataclass

from spikewright.golden.errors import require


@dataclass(frozen=True)
class SimulationOptions:
    """Simulator, stall rates and waves. Nothing heavy is imported for it.

    Attributes
    ----------
    simulator
        "verilator" or "icarus".
    stalls
        Percentages 0..99; all inputs run once per rate, every stream held so often at random. A
        rate that is given twice runs once.
    seed
        Of the stalls.
    waves
        Keep waveforms: `sim/SIMULATOR/stall-RATE/dump.vcd` (Icarus: `.fst`).
    corners
        Add random inputs that visit corners of the contract which the others do not.
    top
        Simulate `top` too, through its AXI ports, if the build has registers.

    Raises
    ------
    BadInput
        If there is no stall rate, or one is no percentage.
    """

    simulator: str = "verilator"
    stalls: tuple[int, ...] = (0,)
    seed: int = 0
    waves: bool = False
    corners: bool = False
    top: bool = True

    def __post_init__(self) -> None:
        stalls = tuple(dict.fromkeys(self.stalls))  # each rate has a folder of its own
        object.__setattr__(self, "stalls", stalls)
        require(len(stalls) > 0, "verify", "number of stall rates", len(stalls), "at least 1")
        for stall in stalls:
            require(0 <= stall <= 99, "verify", "stall", stall, "0..99 (percent)")
