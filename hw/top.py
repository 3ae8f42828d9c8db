"""The top module as an integrator meets it: AXI4-Stream names, verification ports tied."""

from golden.counters import COUNTERS, STRIDE
from golden.image import Image
from hw.accelerator import SELECT_BITS

_TEMPLATE = """\
// Spikewright accelerator, {cores} cores, {steps} time steps.
// Network {fingerprint}
//
// s_axis_events: one event a beat, tdata fields from bit 0: {inputs}.
//   A beat with tlast carries no event: it ends the {unit}.
// m_axis_logits: one logit a beat, tdata fields from bit 0: {outputs} (value signed);
//   tlast on an inference's final beat.
// perf_select = {stride} * core + k gives a counter on perf_value one cycle later;
//   k: {counters}.
/* verilator lint_off PINCONNECTEMPTY */ // the trace ports stay open outside a bench
/* verilator lint_off UNUSEDSIGNAL */    // tdata is padded to whole bytes
`default_nettype none
module top (
    input  wire        aclk,
    input  wire        aresetn,
    input  wire [{in_top}:0] s_axis_events_tdata,
    input  wire        s_axis_events_tvalid,
    output wire        s_axis_events_tready,
    input  wire        s_axis_events_tlast,
    output wire [{out_top}:0] m_axis_logits_tdata,
    output wire        m_axis_logits_tvalid,
    input  wire        m_axis_logits_tready,
    output wire        m_axis_logits_tlast,
    input  wire [{select_top}:0]  perf_select,
    output wire [31:0] perf_value,
    input  wire        perf_clear
);
    wire [{out_width}:0] logit;
    assign m_axis_logits_tdata = {padded};

    accelerator core (
        .clk(aclk),
        .rst(!aresetn),
        .in_data(s_axis_events_tdata[{in_width}:0]),
        .in_valid(s_axis_events_tvalid),
        .in_ready(s_axis_events_tready),
        .in_last(s_axis_events_tlast),
        .out_data(logit),
        .out_valid(m_axis_logits_tvalid),
        .out_ready(m_axis_logits_tready),
        .out_last(m_axis_logits_tlast),
        .count_select(perf_select),
        .count_value(perf_value),
        .count_clear(perf_clear),
{trace}
        .broken(),
        .hold({holds}'d0)
    );
endmodule
`default_nettype wire
"""


def bytes_up(bits: int) -> int:
    """`bits` rounded up to whole bytes, as AXI4-Stream's tdata wants it.

    >>> bytes_up(1), bytes_up(8), bytes_up(9)
    (8, 8, 16)
    """
    return -(-bits // 8) * 8


def top_verilog(image: Image) -> str:
    """The text of `top.v`."""
    inputs, outputs = image.input.event, image.output_layout
    in_width, out_width = max(inputs.width, 1), outputs.width
    pad = bytes_up(out_width) - out_width
    traces = [
        f"        .trace_{index}_{name}(),"
        for index in range(len(image.cores))
        for name in ("valid", "address", "fired", "membranes")
    ]
    return _TEMPLATE.format(
        cores=len(image.cores),
        steps=image.timesteps,
        fingerprint=image.fingerprint,
        inputs=", ".join(f"{name} ({width})" for name, width in inputs.fields) or "none",
        outputs=", ".join(f"{name} ({width})" for name, width in outputs.fields),
        unit="frame" if image.input.direct else "time step",
        stride=STRIDE,
        counters=", ".join(f"{k} {name}" for k, name in enumerate(COUNTERS)),
        in_top=bytes_up(in_width) - 1,
        out_top=bytes_up(out_width) - 1,
        in_width=in_width - 1,
        out_width=out_width - 1,
        padded=f"{{{pad}'d0, logit}}" if pad else "logit",
        trace="\n".join(traces),
        holds=sum(len(core.edges) for core in image.cores) + 1,
        select_top=SELECT_BITS - 1,
    )
