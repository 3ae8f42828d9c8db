"""Yosys scripts: from the Verilog of a build to the cells of a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_READ = """\
read_verilog {sources}
"""

SMALL_SUM, SMALL_COMPARISON = 5, 6
"""The most bits of sums, and of comparisons, that become LUTs and not carry chains."""

# Entering and leaving a carry chain takes time; two or three LUTs in series are faster, and merge
# with adjacent logic. Widths are reduced first: `synth_*` does that too late, in the step that
# makes carry chains.
_SMALL = f"""\
proc
flatten
opt_expr
opt_clean
opt -nodffe -nosdff
wreduce
peepopt
opt_clean
select -set sums t:$add t:$sub %u r:Y_WIDTH<={SMALL_SUM} %i
select -set comparisons t:$lt t:$le t:$ge t:$gt %u %u %u
select -set comparisons @comparisons r:A_WIDTH<={SMALL_COMPARISON} %i
select -set comparisons @comparisons r:B_WIDTH<={SMALL_COMPARISON} %i
techmap @sums @comparisons %u
"""

_SYNTH = {
    # The lanes forward every sum in flight, so a word that is read while it is written is not used.
    "ecp5": "synth_ecp5 -no-rw-check -top {top} -json netlist.json\n",
    "ice40": "synth_ice40 -no-rw-check -dsp -top {top} -json netlist.json\n",
}


@dataclass(frozen=True)
class Part:
    """The module to synthesise: the whole top, or the core of a node without some of its ports.

    `prefix` begins the names of the build's modules.
    """

    core: str | None = None
    without: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def module(self) -> str:
        """The name of the Verilog module."""
        return self.prefix + (f"accelerator_{self.core}" if self.core else "top")

    @property
    def script(self) -> str:
        """The Yosys commands that make it the top."""
        lines = [f"hierarchy -check -top {self.module}"]
        if self.without:
            lines += ["proc", *(f"delete -port {self.module}/{port}" for port in self.without)]
        return "\n".join(lines) + "\n"


def netlist(sources: Sequence[str], part: Part, family: str) -> str:
    """The script that writes netlist.json of a part for a device family."""
    return (
        _READ.format(sources=" ".join(sources)) + part.script + _SMALL
        + _SYNTH[family].format(top=part.module)
    )  # fmt: skip
