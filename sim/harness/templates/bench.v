module bench_@INDEX@ (
    input wire clk, input wire rst, input wire go, input wire wake,
    input wire [8:0] rate, input wire [31:0] seed,
    input wire [31:0] inferences, input wire [31:0] patience,
    input wire [@SELECT@-1:0] count_select, input wire count_clear,
    output reg finished, output wire ready
);
    wire clock = clk & ~(finished & ~wake & ~rst);

    // What cocotb reads at the end of a run, or where it is stuck.
    reg [31:0] cycle /* verilator public_flat_rw */;         // since go rose
    reg [31:0] age /* verilator public_flat_rw */;           // since the counters were cleared
    reg [31:0] since;                                        // reset
    reg [31:0] began /* verilator public_flat_rw */;         // cycle since reset in which go rose
    reg [31:0] cleared /* verilator public_flat_rw */;       // cycle since reset in which the counters were cleared
    reg [31:0] quiet /* verilator public_flat_rw */;         // cycles since anything moved
    reg stuck /* verilator public_flat_rw */;
    reg [2:0] violation /* verilator public_flat_rw */;      // 0, or the first broken rule
    reg [31:0] violation_cycle /* verilator public_flat_rw */;
    reg [31:0] sent /* verilator public_flat_rw */;          // accepted input beats
    reg [31:0] received /* verilator public_flat_rw */;      // accepted output beats
    reg [31:0] completed /* verilator public_flat_rw */;     // inferences whose last logit came
    reg exhausted /* verilator public_flat_rw */;            // no input left
    reg [31:0] held /* verilator public_flat_rw */;          // cycles since go in which a stream was held, all streams
    wire [31:0] count_value /* verilator public_flat_rw */;

    // Stalls: one random register per stream. Half of the streams draw in every cycle, half
    // keep a decision for 8 cycles on average; both are stalled in rate/256 of all cycles.
    reg [@STREAMS@-1:0] stall /* verilator public_flat_rw */;
    reg [31:0] random [0:@STREAMS@-1];
    reg [7:0] holding;
    integer s;
    function [31:0] xorshift(input [31:0] x);
        reg [31:0] a;
        reg [31:0] b;
        begin
            a = x ^ (x << 13);
            b = a ^ (a >> 17);
            xorshift = b ^ (b << 5);
        end
    endfunction
    always @(posedge clock) begin
        holding = 0;
        for (s = 0; s < @STREAMS@; s = s + 1) begin
            holding = holding + {7'b0, stall[s]};
            if (rst) begin
                random[s] <= (seed + s * 32'h9e3779b9 + 32'd@INDEX@ * 32'h85ebca6b) | 32'h1;
                stall[s] <= 1'b0;
            end else begin
                random[s] <= xorshift(random[s]);
                if (((s + {31'b0, seed[0]}) & 1) == 0 || random[s][10:8] == 3'd0)
                    stall[s] <= {1'b0, random[s][31:24]} < rate;
            end
        end
        held <= rst ? 0 : go ? held + {24'b0, holding} : held;
    end

    reg in_valid;
    reg in_last;
    reg [@IN@-1:0] in_data;
    wire in_ready;
    wire out_valid;
    wire out_last;
    wire [@OUT@-1:0] out_data;
    wire out_ready = ~stall[@STREAMS@-1];
    wire taken = in_valid & in_ready;
    wire given = out_valid & out_ready;
    wire [@WATCHED@-1:0] broken;
    reg [@WATCHED@-1:0] broken_first /* verilator public_flat_rw */;  // streams inside, at the first violation
    reg awake;  // in_ready has been high since the reset
    assign ready = awake;
@TRACE_DECLARE@
    @MODULE@ dut (
        .clk(clock),
        .rst(rst),
        .in_valid(in_valid),
        .in_ready(in_ready),
        .in_last(in_last),
        .in_data(in_data),
        .out_valid(out_valid),
        .out_ready(out_ready),
        .out_last(out_last),
        .out_data(out_data),
@TRACE_CONNECT@        .count_select(count_select),
        .count_value(count_value),
        .count_clear(count_clear),
        .hold(stall[@HOLDS@-1:0]),
        .broken(broken)
    );

    // Files are opened anew whenever go rises, so a run can be repeated after a reset. Those of the
    // run before are closed first: what they still buffer would overwrite the new ones.
    integer stimulus_file;
    integer frames_file;
    integer logits_file;
    reg opened;
    initial opened = 1'b0;
    always @(posedge go) begin
        if (opened) begin
            $fclose(stimulus_file);
            $fclose(frames_file);
            $fclose(logits_file);
@TRACE_CLOSE@        end
        opened = 1'b1;
        stimulus_file = $fopen("@INDEX@_stimulus.hex", "r");
        frames_file = $fopen("@INDEX@_frames.hex", "w");
        logits_file = $fopen("@INDEX@_logits.hex", "w");
@TRACE_OPEN@    end
    always @(posedge finished) begin
        $fflush(frames_file);
        $fflush(logits_file);
@TRACE_FLUSH@    end

    // Input: a beat stays until it is accepted; between beats the stream may pause.
    reg [@IN@:0] beat;
    reg in_frame;
    reg [31:0] frame_start;
    integer scanned;
    always @(posedge clock) begin
        if (rst) begin
            in_valid <= 1'b0;
            in_last <= 1'b0;
            in_data <= 0;
            exhausted <= 1'b0;
            in_frame <= 1'b0;
            frame_start <= 0;
            sent <= 0;
        end else if (go) begin
            if (taken) begin
                sent <= sent + 1;
                in_frame <= ~in_last;
                if (~in_frame) frame_start <= cycle;
                if (in_last) $fwrite(frames_file, "%h %h\n", in_frame ? frame_start : cycle, cycle);
            end
            if (taken | ~in_valid) begin
                in_valid <= 1'b0;
                if (~exhausted & ~stall[@HOLDS@]) begin
                    scanned = $fscanf(stimulus_file, "%h", beat);
                    if (scanned == 1) begin
                        in_valid <= 1'b1;
                        in_last <= beat[@IN@];
                        in_data <= beat[@IN@-1:0];
                    end else exhausted <= 1'b1;
                end
            end
        end
    end

    // Output, traces, progress and the end.
    reg waiting;
    reg waiting_last;
    reg [@OUT@-1:0] waiting_data;
    reg [15:0] drain;
    wire complete = completed >= inferences@TRACE_COMPLETE@;
    wire active = taken | (given & completed < inferences)@TRACE_ACTIVE@;
    always @(posedge clock) begin
        waiting <= out_valid & ~out_ready & ~rst;
        waiting_last <= out_last;
        waiting_data <= out_data;
        age <= (rst | count_clear) ? 0 : age + 1;
        awake <= ~rst & (awake | in_ready);
        since <= rst ? 0 : since + 1;
        if (~go) began <= since + 1;
        if (count_clear) cleared <= since;
        if (rst) begin
            cycle <= 0;
            quiet <= 0;
            stuck <= 1'b0;
            violation <= 3'd0;
            violation_cycle <= 0;
            received <= 0;
            completed <= 0;
            drain <= 0;
            finished <= 1'b0;
@TRACE_CLEAR@        end else if (go) begin
            cycle <= cycle + 1;
            quiet <= active ? 0 : quiet + 1;
            if (violation == 3'd0) begin
                violation_cycle <= cycle;
                broken_first <= broken;
                if (waiting & ~out_valid) violation <= 3'd1;
                else if (waiting & ({out_last, out_data} != {waiting_last, waiting_data})) violation <= 3'd2;
                if (^{in_ready, out_valid@TRACE_UNKNOWN@} === 1'bx) violation <= 3'd3;
                if (|broken) violation <= 3'd5;
            end
            if (given) begin
                $fwrite(logits_file, "%h %h %h\n", out_last, out_data, cycle);
                received <= received + 1;
                if (out_last) completed <= completed + 1;
            end
@TRACE_WRITE@            if (complete) drain <= drain + 1;
            if (complete & exhausted & drain == @DRAIN@) finished <= 1'b1;
            if (~complete & quiet >= patience) begin
                stuck <= 1'b1;
                finished <= 1'b1;
            end
        end else if (out_valid === 1'b1 & violation == 3'd0) violation <= 3'd4;
    end
endmodule
