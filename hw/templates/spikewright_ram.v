// SPDX-License-Identifier: Apache-2.0
// A synchronous memory with one read and one write port: every block memory of the accelerator.
// This behavioural model suits simulators and FPGA tools. An ASIC flow replaces this file by one
// that instantiates its SRAM macros, chosen by WIDTH and DEPTH; see docs/integration.md.
//
//   read:  with read_enable, read_data shows words[read_address] from the next cycle on, and holds
//          it until the next read. No reset.
//   write: with write_enable, words[write_address] takes write_data.
//   Both at one address in one cycle: the read gives the old word, or any: nobody looks at it.
/* verilator lint_off WIDTH */ // INIT is a string of any length
`default_nettype none
module spikewright_ram #(
    parameter WIDTH = 1,
    parameter DEPTH = 2,
    parameter ADDRESS = 1,
    parameter INIT = ""
) (
    input  wire               clk,
    input  wire               read_enable,
    input  wire [ADDRESS-1:0] read_address,
    output reg  [WIDTH-1:0]   read_data,
    input  wire               write_enable,
    input  wire [ADDRESS-1:0] write_address,
    input  wire [WIDTH-1:0]   write_data
);
    (* ram_style = "block", syn_ramstyle = "block_ram" *)
    reg [WIDTH-1:0] words [0:DEPTH-1];
    generate
        if (INIT != "") begin : contents
            initial $readmemb(INIT, words);
        end
    endgenerate
    always @(posedge clk) begin
        if (write_enable) words[write_address] <= write_data;
        if (read_enable) read_data <= words[read_address];
    end
endmodule
`default_nettype wire
