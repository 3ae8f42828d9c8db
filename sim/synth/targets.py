"""The target devices of `spikewright synth`."""

from __future__ import annotations

from dataclasses import dataclass

from spikewright.golden.errors import require


@dataclass(frozen=True)
class Target:
    """A device: nextpnr's options for it, and its resources.

    Attributes
    ----------
    name, family
        As in "ecp5-25k", and as in "ecp5", which names Yosys' and nextpnr's commands.
    options
        Of nextpnr.
    luts, rams, dsps
        4-input LUTs, block RAMs and multipliers.
    ram_bits, ram_cell
        Bits of one block RAM, and the name of its cell.
    """

    name: str
    family: str
    options: tuple[str, ...]
    luts: int
    rams: int
    ram_bits: int
    ram_cell: str
    dsps: int


def _ecp5(size: str, luts: int, rams: int, dsps: int) -> Target:
    options = (f"--{size}", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained",
               "--out-of-context")  # fmt: skip
    return Target(f"ecp5-{size}", "ecp5", options, luts, rams, 18432, "DP16KD", dsps)


TARGETS = {
    target.name: target
    for target in (
        _ecp5("25k", 24288, 56, 28),
        _ecp5("45k", 43848, 108, 72),
        _ecp5("85k", 83640, 208, 156),
        Target(
            "ice40-hx8k", "ice40", ("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
            7680, 32, 4096, "SB_RAM40_4K", 0,
        ),
    )
}  # fmt: skip


def target_of(name: str) -> Target:
    """The target `name`.

    Raises
    ------
    BadInput
        If there is none.
    """
    require(name in TARGETS, "synth", "target", repr(name), f"one of {', '.join(TARGETS)}")
    return TARGETS[name]
