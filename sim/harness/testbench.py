"""Generates `tb.v`: the bench around one or several accelerators, in plain Verilog-2005.

Drivers and monitors are Verilog, so that Python runs a few times per run and not per cycle: events
come from a file, random stalls from shift registers, and every trace beat, logit and frame is
written to a file with one fixed-width line per beat. cocotb sets rate, seed and length, starts the
run, waits for `finished`, and reads the state.

Several accelerators in one bench share only the clock and the settings: each has its own files
(with its number as prefix) and stops its own clock when it has finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spikewright.golden.image.memory_image import Image
from spikewright.hw.system.accelerator import SELECT_BITS, stream_names

_TEMPLATES = Path(__file__).with_name("templates")
# Cycles after the last logit in which no beat may arrive.
DRAIN_CYCLES = 300
VIOLATIONS = {
    1: "out_valid fell before the beat was accepted",
    2: "out_data or out_last changed before the beat was accepted",
    3: "a handshake signal is X",
    4: "a logit came before the first event",
    5: "a stream inside breaks the rules",
}
# Visible to cocotb; the simulator may optimise all other signals away.
PUBLIC = "/* verilator public_flat_rw */"


def bench_verilog(images: Sequence[Image], modules: Sequence[str] = ("accelerator",)) -> str:
    """The Verilog of module `tb` around `modules[i]`, the accelerator of `images[i]`."""
    pairs = enumerate(zip(images, modules, strict=True))
    count = range(len(images))
    return _filled(
        "tb.v",
        BENCHES="".join(_bench(index, image, module) for index, (image, module) in pairs),
        WIRES="\n".join(f"    wire finished_{i};\n    wire ready_{i};" for i in count),
        SELECT=SELECT_BITS,
        EVERY=" & ".join(f"finished_{i}" for i in count),
        READY=" & ".join(f"ready_{i}" for i in count),
        INSTANCES="\n".join(_instance(i) for i in count),
    )


def streams(image: Image) -> int:
    """The number of streams that a bench stalls: every edge, the output twice, the input."""
    return sum(len(core.edges) for core in image.cores) + 3


def _filled(template: str, **values: object) -> str:
    """A file of `templates/` with every `@NAME@` replaced."""
    text = (_TEMPLATES / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _instance(index: int) -> str:
    shared = ("clk", "rst", "go", "wake", "rate", "seed", "inferences", "patience")
    ports = [f".{name}({name})" for name in (*shared, "count_select", "count_clear")]
    ports += [f".{name}({name}_{index})" for name in ("finished", "ready")]
    return f"    bench_{index} bench_{index} (" + ", ".join(ports) + ");"


def _bench(index: int, image: Image, module: str) -> str:
    cores = range(len(image.cores))
    closed = "            $fclose(trace_{0}_file);\n"
    opened = '        trace_{0}_file = $fopen("{1}_trace_{0}.hex", "w");\n'
    return _filled(
        "bench.v",
        SELECT=SELECT_BITS,
        INDEX=index,
        MODULE=module,
        HOLDS=streams(image) - 2,
        # Stalls of every edge and of the output, gaps of the input, pauses of the receiver.
        STREAMS=streams(image),
        WATCHED=len(stream_names(image)),
        IN=max(image.input.event.width, 1),
        OUT=image.output_layout.width,
        DRAIN=DRAIN_CYCLES,
        TRACE_DECLARE="".join(_trace_declare(i, image) for i in cores),
        TRACE_CONNECT="".join(_trace_connect(i) for i in cores),
        TRACE_CLOSE="".join(closed.format(i) for i in cores),
        TRACE_OPEN="".join(opened.format(i, index) for i in cores),
        TRACE_FLUSH="".join(f"        $fflush(trace_{i}_file);\n" for i in cores),
        TRACE_CLEAR="".join(f"            beats_{i} <= 0;\n" for i in cores),
        TRACE_WRITE="".join(_trace_write(i) for i in cores),
        TRACE_ACTIVE="".join(f" | (trace_{i}_valid & beats_{i} < expected_{i})" for i in cores),
        TRACE_COMPLETE="".join(f" & beats_{i} >= expected_{i}" for i in cores),
        TRACE_UNKNOWN="".join(f", trace_{i}_valid" for i in cores),
    )


def _trace_declare(i: int, image: Image) -> str:
    core = image.cores[i]
    beats = image.timesteps * core.words  # one visit of every word per step
    return f"""
    wire trace_{i}_valid;
    wire [{core.visit_bits - 1}:0] trace_{i}_address;
    wire [{core.columns - 1}:0] trace_{i}_fired;
    wire [{core.columns * core.state_bits - 1}:0] trace_{i}_membranes;
    integer trace_{i}_file;
    reg [31:0] beats_{i} {PUBLIC};
    wire [31:0] expected_{i} = inferences * 32'd{beats};
"""


def _trace_connect(i: int) -> str:
    names = ("valid", "address", "fired", "membranes")
    return "".join(f"        .trace_{i}_{name}(trace_{i}_{name}),\n" for name in names)


def _trace_write(i: int) -> str:
    values = ", ".join(f"trace_{i}_{name}" for name in ("address", "fired", "membranes"))
    return f"""\
            if (trace_{i}_valid) begin
                $fwrite(trace_{i}_file, "%h %h %h\\n", {values});
                beats_{i} <= beats_{i} + 1;
            end
"""
