"""What Yosys is told: from the Verilog of a build to the cells of a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_READ = """\
read_verilog {sources}
"""

SMALL_SUM, SMALL_COMPARISON = 5, 6
"""Bits up to which sums, comparisons become LUTs and not carry chains."""

# A carry chain begins and ends outside of its LUTs; two or three LUTs on end are quicker, and share
# what stands beside them. Widths are reduced first, which `synth_*` itself does too late for this:
# it makes carry chains in the same breath.
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
    # The lanes forward every sum under way, so nobody looks at a word read while it is written.
    "ecp5": "synth_ecp5 -no-rw-check -top {top} -json netlist.json\n",
    "ice40": "synth_ice40 -no-rw-check -dsp -top {top} -json netlist.json\n",
}


@dataclass(frozen=True)
class Part:
    """What to synthesise: the whole top, or one core without some of its ports."""

    core: str | None = None
    without: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The Verilog module."""
        return f"accelerator_{self.core}" if self.core else "top"

    @property
    def script(self) -> str:
        """Yosys commands that make it the top."""
        lines = [f"hierarchy -check -top {self.module}"]
        if self.without:
            lines += ["proc", *(f"delete -port {self.module}/{port}" for port in self.without)]
        return "\n".join(lines) + "\n"


def netlist(sources: Sequence[str], part: Part, family: str) -> str:
    """The script that writes netlist.json of a part for a family of devices."""
    return (
        _READ.format(sources=" ".join(sources)) + part.script + _SMALL
        + _SYNTH[family].format(top=part.module)
    )  # fmt: skip
