"""The wrapper that an integrator instantiates, driven by its AXI4-Stream ports alone."""

import json
import re

import pytest

from spikewright.golden.image.counters import COUNTERS, STRIDE
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.models import reference
from spikewright.golden.network.operations import count
from spikewright.golden.testing.random_chain import Limits, random_inputs, random_network
from spikewright.hw.build import build
from spikewright.hw.options import BuildOptions
from spikewright.sim.harness.stimulus import input_beats
from spikewright.sim.simulators import runner

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=2, timesteps=4)
TESTS = (
    "logits_come_as_golden_says",
    "pauses_change_nothing",
    "a_reset_in_mid_inference_leaves_no_trace",
    "counters_are_read_by_number",
    "events_outside_the_map_change_nothing",
)

HARNESS = """
module tb;
    reg aclk /* verilator public_flat_rw */, aresetn /* verilator public_flat_rw */;
    reg [{data}:0] in_tdata /* verilator public_flat_rw */;
    reg in_tvalid /* verilator public_flat_rw */, in_tlast /* verilator public_flat_rw */;
    wire in_tready /* verilator public_flat_rw */;
    wire [{logit}:0] out_tdata /* verilator public_flat_rw */;
    wire out_tvalid /* verilator public_flat_rw */, out_tlast /* verilator public_flat_rw */;
    reg out_tready /* verilator public_flat_rw */, perf_clear /* verilator public_flat_rw */;
    reg [9:0] perf_select /* verilator public_flat_rw */;
    wire [31:0] perf_value /* verilator public_flat_rw */;
    top top (
        .aclk(aclk), .aresetn(aresetn),
        .s_axis_events_tdata(in_tdata), .s_axis_events_tvalid(in_tvalid),
        .s_axis_events_tready(in_tready), .s_axis_events_tlast(in_tlast),
        .m_axis_logits_tdata(out_tdata), .m_axis_logits_tvalid(out_tvalid),
        .m_axis_logits_tready(out_tready), .m_axis_logits_tlast(out_tlast),
        .m_axis_logits_tkeep(),
        .perf_select(perf_select), .perf_value(perf_value), .perf_clear(perf_clear)
    );
endmodule
"""


def widths(top: str) -> dict[str, int]:
    """The highest bit of each tdata port, read from the Verilog."""
    found = re.findall(r"\[(\d+):0\] (s_axis_events|m_axis_logits)_tdata", top)
    return {name: int(high) for high, name in found}


def plan(image, network, inputs):
    """What to send and what must come, as the bench reads it."""
    trace = reference.run(network, inputs)
    operations = count(network, inputs, trace)
    width = max(image.input.event.width, 1)
    beats = input_beats(image, inputs).tolist()
    classes = network.output.shape[0]
    outputs = [
        [int(index == classes - 1), int(image.output_layout.pack(index=index, value=value))]
        for row in trace.logits.tolist()
        for index, value in enumerate(row)
    ]
    counters = []
    for core, edge in enumerate(operations.edges):
        for name, value in (("events_in", edge.events), ("synops", edge.synops)):
            counters.append([STRIDE * core + list(COUNTERS).index(name), value])
    return {
        "inputs": [[beat >> width, beat & ((1 << width) - 1)] for beat in beats],
        "outputs": outputs,
        "counters": counters,
        "outside": outside(image),
    }


def outside(image):
    """Events beyond the last column, row or channel, where the bits of a field hold the number."""
    layout, sizes = image.input.event, image.input.sizes
    inside = {name: 0 for name, _ in layout.fields} | {"value": 1, "steps": 1}
    return [
        int(layout.pack(**inside | {name: number}))
        for name, size in sizes.items()
        for number in range(size, 1 << layout.bits(name))
    ]


@pytest.mark.parametrize("seed", [5, 14])
def test_top_behaves_as_its_ports_promise(seed, tmp_path, simulations):
    network = random_network(seed, SMALL)
    inputs = network.check_inputs(random_inputs(network, 5, seed))
    image = build(network, tmp_path / "build", BuildOptions(2, host=HostInterface(registers=False)))
    assert bool(outside(image)) == (not image.input.full) == (seed == 5)
    rtl = tmp_path / "build" / "rtl"
    high = widths((rtl / "top.v").read_text())
    harness = tmp_path / "tb.v"
    harness.write_text(HARNESS.format(data=high["s_axis_events"], logit=high["m_axis_logits"]))
    settings = tmp_path / "top.json"
    settings.write_text(json.dumps(plan(image, network, inputs)))
    sources = [*(rtl / name for name in (rtl / "filelist.f").read_text().split()), harness]
    built = runner.build_bench(sources, "tb", simulations)
    data = [*rtl.glob("*.mem"), settings]
    result = runner.run_bench(built, "spikewright.sim.benches.top", tmp_path / "run", data=data)
    result.require_passed()
    assert tuple(test.name for test in result.tests) == TESTS
