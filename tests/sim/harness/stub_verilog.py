"""A behavioural accelerator for small Linear networks: what the bench is tested with.

Written from the network alone, one neuron after the other, so that it shares nothing with the
hardware but the ports.
"""

from __future__ import annotations

import numpy as np

from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import LIF, Readout
from spikewright.hw.system.accelerator import SELECT_BITS, stream_names


def stub(network: Network, image: Image) -> str:
    """Verilog of module `accelerator`, ports as the real one; counters count idle cycles only."""
    ports, wires, body, functions = [], [], [], []
    cores = image.cores
    widest = max(core.words for core in cores)
    for i, (core, node, edge) in enumerate(
        zip(cores, network.nodes[1:], network.edges, strict=True)
    ):
        names = [f"trace_{i}_{name}" for name in ("valid", "address", "fired", "membranes")]
        widths = (1, core.address_bits, core.lanes, core.lanes * core.state_bits)
        ports += names
        wires += [
            f"output reg [{width - 1}:0] {name};" for name, width in zip(names, widths, strict=True)
        ]
        size = int(np.prod(core.shape))
        wires.append(
            f"reg signed [31:0] v{i} [0:{size - 1}]; reg signed [31:0] d{i} [0:{size - 1}];"
        )
        weight = edge.synapse.weight
        pairs = [
            (s * size + t, int(weight[t, s])) for t in range(size) for s in range(weight.shape[1])
        ]
        functions += [
            _function(f"weight{i}", pairs),
            _function(f"bias{i}", list(enumerate(np.broadcast_to(node.bias, size).tolist()))),
            _function(f"neuron{i}", [(w * core.lanes + lane, int(core.neurons[lane, w]))
                                     for w in range(core.words) for lane in range(core.lanes)]),
        ]  # fmt: skip
        if isinstance(node, LIF):
            functions.append(_function(f"threshold{i}", list(enumerate(node.threshold.tolist()))))
        body.append(_sweep(i, core, node, image))
    layout = image.input.event
    c_bits, v_bits = layout.bits("c"), layout.bits("value")
    channel = f"in_data[{c_bits - 1}:0]" if c_bits else "0"
    value = f"in_data[{c_bits + v_bits - 1}:{c_bits}]" if v_bits else "1"
    value = f"$signed({value})" if network.input.signed else value
    last = cores[-1]
    classes = int(np.prod(last.shape))
    first = int(np.prod(cores[0].shape))
    index_bits = image.output_layout.bits("index")
    clear = "".join(
        f"        for (n = 0; n < {int(np.prod(core.shape))}; n = n + 1) begin "
        f"v{i}[n] <= 0; d{i}[n] <= 0; end\n"
        for i, core in enumerate(cores)
    )
    return f"""
module accelerator (clk, rst, in_valid, in_ready, in_last, in_data,
    out_valid, out_ready, out_last, out_data, hold, broken, count_select, count_value, count_clear,
    {", ".join(ports)});
input clk, rst, in_valid, in_last, out_ready, count_clear;
input [{max(layout.width, 1) - 1}:0] in_data; input [{len(cores)}:0] hold;
input [{SELECT_BITS - 1}:0] count_select;
output [{len(stream_names(image)) - 1}:0] broken; assign broken = 0;
output in_ready, out_valid, out_last; output [{image.output_layout.width - 1}:0] out_data;
output reg [31:0] count_value;
{chr(10).join(wires + functions)}
reg [31:0] cycles; reg count; reg [2:0] state; reg [7:0] core; reg [15:0] word; reg [15:0] step;
integer n, m, k;
reg signed [31:0] x; reg f; reg signed [31:0] given;
localparam INIT = 0, TAKE = 1, SWEEP = 2, GIVE = 3;
assign in_ready = state == TAKE & ~hold[0];
assign out_valid = state == GIVE;
assign out_last = word == {classes - 1};
always @* given = v{len(cores) - 1}[word];
assign out_data = {{given[{last.state_bits - 1}:0], word[{index_bits - 1}:0]}};
always @(posedge clk) begin
    count <= ~(rst | count_clear);  // increments show as late as in the hardware
    cycles <= (rst | count_clear) ? 0 : cycles + count;
    count_value <= count_select[2:0] == 4 ? cycles : 0;
{chr(10).join(f"    trace_{i}_valid <= 0;" for i in range(len(cores)))}
    if (rst) begin
        state <= INIT; word <= 0; core <= 0; step <= 0;
{clear}
    end else if (state == INIT) begin
        word <= word + 1;
        if (word == {widest}) begin state <= TAKE; word <= 0; end
    end else if (state == TAKE) begin
        if (in_valid & in_ready) begin
            if (in_last) state <= SWEEP;
            else for (n = 0; n < {first}; n = n + 1)
                d0[n] = d0[n] + weight0({channel} * {first} + n) * {value};
        end
    end else if (state == SWEEP) begin
        if (~hold[core]) begin
{"".join(body)}
        end
    end else if (out_ready) begin
        word <= word + 1;
        if (out_last) begin
            word <= 0; state <= TAKE;
{clear}
        end
    end
end
endmodule
"""


def _function(name: str, pairs: list[tuple[int, int]]) -> str:
    cases = " ".join(f"{key}: {name} = {value};" for key, value in pairs)
    body = f"case (at) {cases} default: {name} = 0; endcase"
    return f"function signed [31:0] {name}(input integer at); {body} endfunction"


def _sweep(i: int, core: CoreImage, node: LIF | Readout, image: Image) -> str:
    last = i == len(image.cores) - 1
    direct = image.input.direct
    decay = f"v{i}[k] - ((v{i}[k] * {node.leak_mul}) >>> {node.leak_shift})"
    lines = [f"x = {decay} + bias{i}(k) + d{i}[k];"]
    lines += [] if direct and i == 0 else [f"d{i}[k] = 0;"]
    if isinstance(node, LIF):
        target = int(np.prod(image.cores[i + 1].shape))
        lines += [
            f"f = x >= threshold{i}(k);",
            f"if (f) x = {f'x - threshold{i}(k)' if node.reset == 'subtract' else '0'};",
            f"if (x > {node.highest}) x = {node.highest};",
            f"if (x < {node.lowest}) x = {node.lowest};",
            f"if (f) for (m = 0; m < {target}; m = m + 1)",
            f"    d{i + 1}[m] = d{i + 1}[m] + weight{i + 1}(k * {target} + m);",
        ]
    lines.append(f"v{i}[k] = x;")
    finish = f"core <= {i + 1};"
    if last:
        again = "" if direct else "else state <= TAKE;"
        end = f"if (step == {image.timesteps - 1}) begin step <= 0; state <= GIVE; end {again}"
        finish = f"core <= 0; step <= step + 1; {end}"
    inner = "\n".join(f"                    {line}" for line in lines)
    return f"""        if (core == {i}) begin
            trace_{i}_valid <= 1;
            trace_{i}_address <= word;
            for (n = 0; n < {core.lanes}; n = n + 1) begin
                k = neuron{i}(word * {core.lanes} + n); x = 0; f = 0;
                if (k >= 0) begin
{inner}
                end
                trace_{i}_membranes[n * {core.state_bits} +: {core.state_bits}] <= x;
                trace_{i}_fired[n] <= f;
            end
            word <= word + 1;
            if (word == {core.words - 1}) begin word <= 0; {finish} end
        end
"""
