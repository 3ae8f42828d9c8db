"""Proves the rule of `output_registers`: a register after a port equals the port's own register.

Both sides are in Verilog, the RAM as Lattice specifies the DP16KD (technical note FPGA-TN-02204):
with NOREG the word appears one cycle after the read, with OUTREG another cycle later if OCE is 1.
The proof is by induction over time, for any contents, addresses, writes and reads, on four words of
two bits: the rule does not depend on the size.
"""

from __future__ import annotations

from spikewright.golden.errors import CheckFailed
from spikewright.golden.leftovers import scratch
from spikewright.sim.synth.tools import yosys

_MODEL = """\
module ram #(parameter OUTREG = 0) (
    input clk, input oce, input we, input [1:0] wa, input [1:0] ra, input [1:0] wd,
    output [1:0] rd
);
    reg [7:0] words;
    reg [1:0] latch, register;
    always @(posedge clk) begin
        latch <= words[2 * ra +: 2];
        if (we) words[2 * wa +: 2] <= wd;
        if (oce) register <= latch;
    end
    assign rd = OUTREG ? register : latch;
endmodule
module before(input clk, input we, input [1:0] wa, input [1:0] ra, input [1:0] wd,
              output reg [1:0] q);
    wire [1:0] rd;
    ram #(.OUTREG(0)) part (.clk(clk), .oce({oce}), .we(we), .wa(wa), .ra(ra), .wd(wd), .rd(rd));
    always @(posedge clk) q <= rd;
endmodule
module after(input clk, input we, input [1:0] wa, input [1:0] ra, input [1:0] wd,
             output [1:0] q);
    ram #(.OUTREG(1)) part (.clk(clk), .oce({oce}), .we(we), .wa(wa), .ra(ra), .wd(wd), .rd(q));
endmodule
"""

_SCRIPT = """\
read_verilog rule.v
hierarchy
proc
flatten
opt_clean
equiv_make before after both
hierarchy -top both
opt_clean
equiv_simple
equiv_induct
equiv_status -assert
"""


def prove(enabled: bool = True) -> None:
    """Proves the rule; with `enabled` false the register's enable is 0, and the proof must fail.

    Raises
    ------
    CheckFailed
        If the two sides differ.
    """
    with scratch() as folder:
        (folder / "rule.v").write_text(_MODEL.replace("{oce}", "1'b1" if enabled else "1'b0"))
        try:
            yosys(folder, _SCRIPT)
        except CheckFailed as error:
            raise CheckFailed(f"rule of packed output registers: not proven ({error})") from None
