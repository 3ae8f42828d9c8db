"""Resources of FPGAs, and the block RAMs that a memory takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from spikewright.golden.errors import require

Shape = tuple[int, int]


@dataclass(frozen=True)
class Device:
    """A device, or the part of it that a build may take.

    Attributes
    ----------
    shapes
        The (depth, width) configurations of a block RAM with one read and one write port.
    ram, lut, dsp
        Block RAMs, 4-input LUTs, multipliers.
    """

    name: str
    shapes: tuple[Shape, ...]
    ram: int
    lut: int
    dsp: int

    def rams(self, depth: int, width: int) -> int:
        """Block RAMs of a memory, in the shape that takes fewest.

        >>> TARGETS["ecp5-25k"].rams(784, 11), TARGETS["ice40-hx8k"].rams(784, 11)
        (1, 3)
        """
        return min(-(-depth // d) * -(-width // w) for d, w in self.shapes)


# DP16KD: 18 kbit; 36 bits a word only with one read and one write port, as all memories here have.
_EBR = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
_RAM4K = ((2048, 2), (1024, 4), (512, 8), (256, 16))

TARGETS = {
    device.name: device
    for device in (
        # Lattice FPGA-DS-02012 (ECP5), table 1.1; 25k and 85k as nextpnr counts them
        Device("ecp5-25k", _EBR, 56, 24288, 28),
        Device("ecp5-45k", _EBR, 108, 43848, 72),
        Device("ecp5-85k", _EBR, 208, 83640, 156),
        # Lattice FPGA-DS-02029 (iCE40 LP/HX)
        Device("ice40-hx8k", _RAM4K, 32, 7680, 0),
    )
}

UNLIMITED = Device("none", _EBR, 2**31, 2**31, 2**31)
"""Without a target there are no limits, and block RAMs are counted as those of an ECP5."""

RESOURCES = ("ram", "lut", "dsp")


def limited(target: str | None, budget: Mapping[str, int]) -> Device:
    """A named device, limited to `budget`; None: no limits.

    Raises
    ------
    BadInput
        If there is no such device or resource, or the device has less than the budget.
    """
    if target is None:
        return UNLIMITED
    require(target in TARGETS, "target", "name", repr(target), f"one of {', '.join(TARGETS)}")
    device = TARGETS[target]
    for name, most in budget.items():
        require(
            name in RESOURCES, "budget", "resource", repr(name), f"one of {', '.join(RESOURCES)}"
        )
        has = getattr(device, name)
        require(0 <= most <= has, "budget", name, most, f"0..{has}, what {target} has")
    return replace(device, **dict(budget))
