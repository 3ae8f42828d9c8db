// Generated: the bench around the accelerator. cocotb drives the registers of module tb.
`default_nettype none
@BENCHES@
module tb;
    reg clk /* verilator public_flat_rw */;
    reg rst /* verilator public_flat_rw */;
    reg go /* verilator public_flat_rw */;               // high from the start of the inputs to the end of the run
    reg wake /* verilator public_flat_rw */;             // runs the clock of finished accelerators, to read their counters
    reg [8:0] rate /* verilator public_flat_rw */;       // of stalls, in 1/256
    reg [31:0] seed /* verilator public_flat_rw */;
    reg [31:0] inferences /* verilator public_flat_rw */;
    reg [31:0] patience /* verilator public_flat_rw */;  // cycles without any progress until the run counts as stuck
    reg [@SELECT@-1:0] count_select /* verilator public_flat_rw */;
    reg count_clear /* verilator public_flat_rw */;
@WIRES@
    wire finished /* verilator public_flat_rw */;
    wire ready /* verilator public_flat_rw */;
    assign finished = @EVERY@;
    assign ready = @READY@;
@INSTANCES@
`ifdef WAVES
    initial begin
        $dumpfile("dump.fst");
        $dumpvars(0, tb);
    end
`endif
endmodule
`default_nettype wire
