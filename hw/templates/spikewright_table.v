// SPDX-License-Identifier: Apache-2.0
// A small memory of the image, read in the same cycle: logic, registers or distributed RAM.
/* verilator lint_off WIDTH */ // INIT is a string of any length
/* verilator lint_off UNUSEDSIGNAL */ // a table that is not loaded is never written
`default_nettype none
module spikewright_table #(
    parameter WIDTH = 1,
    parameter DEPTH = 2,
    parameter ADDRESS = 1,
    parameter INIT = ""
) (
    input  wire               clk,
    input  wire [ADDRESS-1:0] read_address,
    output wire [WIDTH-1:0]   read_data,
    input  wire               write_enable,
    input  wire [ADDRESS-1:0] write_address,
    input  wire [WIDTH-1:0]   write_data
);
    reg [WIDTH-1:0] words [0:DEPTH-1];
    generate
        if (INIT != "") begin : contents
            initial $readmemb(INIT, words);
        end
    endgenerate
    assign read_data = words[read_address];
    always @(posedge clk) if (write_enable) words[write_address] <= write_data;
endmodule
`default_nettype wire
