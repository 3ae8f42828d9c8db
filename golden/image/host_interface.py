"""The host interface of a build: what surrounds the cores."""

from __future__ import annotations

from dataclasses import dataclass

from spikewright.golden.errors import require


@dataclass(frozen=True)
class HostInterface:
    """The register block, its counters, and the load stream.

    Attributes
    ----------
    registers
        The AXI4-Lite block; without it the streams of the cores are those of the top.
    counters
        The counters can be read; otherwise synthesis drops them.
    loadable
        Memories are initially empty and are filled by the load stream.
    """

    registers: bool = True
    counters: bool = True
    loadable: bool = False

    def __post_init__(self) -> None:
        require(
            self.registers or not self.loadable, "build", "registers", "left out",
            "there in a loadable build: they start it and say whether it is loaded",
        )  # fmt: skip
