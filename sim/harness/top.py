"""The bench of the `top` of a build folder, in which cocotb sees every port by its name."""

from __future__ import annotations

import re
from pathlib import Path

from spikewright.golden.atomic import write_bytes
from spikewright.golden.image.image_file import rtl_prefix, rtl_sources
from spikewright.sim.harness.testbench import PUBLIC
from spikewright.sim.simulators import runner

_PORT = re.compile(r"^    (input |output) wire (?:\[(\d+):0\] )?(\w+)", re.MULTILINE)


def top_bench(verilog: str, top: str = "top") -> str:
    r"""Module `tb`: an instance of module `top`, its inputs as registers of the same names.

    >>> print(top_bench("    input  wire [7:0] a,\n    output wire b\n"))
    module tb;
        reg [7:0] a /* verilator public_flat_rw */ = 0;
        wire [0:0] b /* verilator public_flat_rw */;
        top top (.a(a), .b(b));
    `ifdef WAVES
        initial begin
            $dumpfile("dump.fst");
            $dumpvars(0, tb);
        end
    `endif
    endmodule
    <BLANKLINE>
    """
    ports = [(flow.strip(), int(high or 0), name) for flow, high, name in _PORT.findall(verilog)]
    declared = "".join(
        f"    {'reg' if flow == 'input' else 'wire'} [{high}:0] {name} {PUBLIC}"
        f"{' = 0' if flow == 'input' else ''};\n"
        for flow, high, name in ports
    )
    pins = ", ".join(f".{name}({name})" for _, _, name in ports)
    return (
        f"module tb;\n{declared}    {top} top ({pins});\n`ifdef WAVES\n    initial begin\n"
        '        $dumpfile("dump.fst");\n        $dumpvars(0, tb);\n    end\n`endif\nendmodule\n'
    )


def prepare_top(
    folder: Path, cache: Path, simulator: str = "verilator", waves: bool = False
) -> runner.Build:
    """Builds the simulation of the `top` in a build folder, or finds it in the folder `cache`.

    Raises
    ------
    BadInput
        If the folder is no complete build.
    ToolMissing, BuildFailed
        As `sim.simulators.runner.build_bench`.
    """
    rtl, prefix = Path(folder) / "rtl", rtl_prefix(folder)
    sources = [rtl / name for name in rtl_sources(folder)]
    bench = cache / "sources" / "top_tb.v"
    bench.parent.mkdir(parents=True, exist_ok=True)
    top = f"{prefix}top"
    write_bytes(bench, top_bench((rtl / f"{top}.v").read_text(), top).encode())
    return runner.build_bench([*sources, bench], "tb", cache, simulator, waves)
