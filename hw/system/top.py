"""The top module for integrators: AXI names, verification ports tied off."""

from __future__ import annotations

from spikewright.golden.image.counters import COUNTERS, STRIDE
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.load_stream import HEADER, body_words, shape_hash
from spikewright.golden.image.memory_image import Image
from spikewright.golden.image.registers import ADDRESS_BITS, Identity
from spikewright.hw.ram import LoadBus
from spikewright.hw.system.accelerator import LOAD, SELECT_BITS

_HEADER = """\
//
// Spikewright accelerator, {cores} cores, {steps} time steps.
//
// s_axis_events: one event a beat, tdata fields from bit 0: {inputs}.
//   A beat with tlast carries no event: it ends the {unit}.
// m_axis_logits: one logit a beat, tdata fields from bit 0: {outputs} (value signed);
//   tlast on an inference's final beat; tkeep is all ones.
"""
_REGISTERS = "// s_axi: AXI4-Lite, see {prefix}regs.json.\n"
_LOAD = "// s_axis_load: the load stream, {words} words of 32 bits, see {prefix}load.bin.\n"
_PERF = """\
// perf_select = {stride} * core + k gives a counter on perf_value one cycle later;
//   k: {counters}.
"""
_WAIVERS = """\
/* verilator lint_off PINCONNECTEMPTY */ // the trace ports stay open outside a bench
/* verilator lint_off UNUSEDSIGNAL */    // tdata is padded to 8, 16, 32, ... bits
"""


def stream_bits(bits: int) -> int:
    """The width of a tdata that holds `bits`: 8, 16, 32, 64, ..., as DMA engines have them.

    >>> stream_bits(1), stream_bits(8), stream_bits(9), stream_bits(17)
    (8, 8, 16, 32)
    """
    return max(8, 1 << (bits - 1).bit_length())


def identity(image: Image, host: HostInterface) -> Identity:
    """The identity of a build for its registers."""
    return Identity(
        cores=len(image.cores), lanes=sum(core.lanes for core in image.cores),
        timesteps=image.timesteps, inputs=_size(image.input.shape),
        outputs=_size(image.cores[-1].shape), shape=shape_hash(image),
        network=image.fingerprint, loadable=host.loadable, counters=host.counters,
    )  # fmt: skip


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def top_verilog(image: Image, host: HostInterface, prefix: str = "") -> str:
    """The text of `top.v`; names of modules begin with `prefix`."""
    body = _with_shell if host.registers else _bare
    ports, inside = body(image, host, prefix)
    declared = ",\n".join(f"    {port}" for port in ports)
    return (
        f"{_comment(image, host, prefix)}{_WAIVERS}`default_nettype none\n"
        f"module {prefix}top (\n{declared}\n);\n{inside}endmodule\n`default_nettype wire\n"
    )


def _comment(image: Image, host: HostInterface, prefix: str) -> str:
    inputs, outputs = image.input.event, image.output_layout
    text = _HEADER.format(
        cores=len(image.cores),
        steps=image.timesteps,
        inputs=", ".join(f"{name} ({width})" for name, width in inputs.fields) or "none",
        outputs=", ".join(f"{name} ({width})" for name, width in outputs.fields),
        unit="frame" if image.input.direct else "time step",
    )
    text += _REGISTERS.format(prefix=prefix) if host.registers else ""
    if host.loadable:
        text += _LOAD.format(words=HEADER + body_words(image), prefix=prefix)
    if host.counters and not host.registers:
        named = ", ".join(f"{k} {name}" for k, name in enumerate(COUNTERS))
        text += _PERF.format(stride=STRIDE, counters=named)
    return text


def _stream_ports(name: str, bits: int, slave: bool) -> list[str]:
    """An AXI4-Stream port."""
    forward, back = ("input ", "output") if slave else ("output", "input ")
    return [
        f"{forward} wire [{bits - 1}:0] {name}_tdata",
        f"{forward} wire {name}_tvalid",
        f"{back} wire {name}_tready",
        f"{forward} wire {name}_tlast",
    ]


def _streams(image: Image) -> tuple[list[str], int, int]:
    """Clock, reset and the two streams; bits of an event and of a logit."""
    events, logits = max(image.input.event.width, 1), image.output_layout.width
    ports = ["input  wire aclk", "input  wire aresetn"]
    ports += _stream_ports("s_axis_events", stream_bits(events), slave=True)
    wide = stream_bits(logits)
    ports += _stream_ports("m_axis_logits", wide, slave=False)
    ports.append(f"output wire [{wide // 8 - 1}:0] m_axis_logits_tkeep")
    return ports, events, logits


def _instance(module: str, name: str, pins: dict[str, str]) -> str:
    connected = ",\n".join(f"        .{pin}({net})" for pin, net in pins.items())
    return f"    {module} {name} (\n{connected}\n    );\n"


def _outer(logits: int, events: int) -> tuple[str, dict[str, str]]:
    """The host's streams as pins of the accelerator or shell, by name without direction."""
    pad = stream_bits(logits) - logits
    padded = f"{{{pad}'d0, logit}}" if pad else "logit"
    nets = f"    wire [{logits - 1}:0] logit;\n    assign m_axis_logits_tdata = {padded};\n"
    keep = stream_bits(logits) // 8
    nets += f"    assign m_axis_logits_tkeep = {{{keep}{{1'b1}}}};\n"
    pins = {"in_data": f"s_axis_events_tdata[{events - 1}:0]", "out_data": "logit"}
    pins |= {f"in_{name}": f"s_axis_events_t{name}" for name in ("valid", "ready", "last")}
    pins |= {f"out_{name}": f"m_axis_logits_t{name}" for name in ("valid", "ready", "last")}
    return nets, pins


def _verification(image: Image) -> dict[str, str]:
    """The pins that only a bench uses."""
    pins = {
        f"trace_{index}_{name}": ""
        for index in range(len(image.cores))
        for name in ("valid", "address", "fired", "membranes")
    }
    holds = sum(len(core.edges) for core in image.cores) + 1
    return pins | {"broken": "", "hold": f"{holds}'d0"}


def _bare(image: Image, host: HostInterface, prefix: str) -> tuple[list[str], str]:
    """Ports and contents without registers: the accelerator alone."""
    ports, events, logits = _streams(image)
    nets, pins = _outer(logits, events)
    counts = {"count_select": f"{SELECT_BITS}'d0", "count_value": "", "count_clear": "1'b0"}
    if host.counters:
        ports += [f"input  wire [{SELECT_BITS - 1}:0] perf_select",
                  "output wire [31:0] perf_value", "input  wire perf_clear"]  # fmt: skip
        counts = {f"count_{name}": f"perf_{name}" for name in ("select", "value", "clear")}
    clocked = {"clk": "aclk", "rst": "!aresetn"}
    if not image.input.full:
        more, pins = _gate(f"{prefix}input_gate", events, clocked, pins)
        nets += more
    pins = clocked | pins | counts | _verification(image)
    return ports, nets + _instance(f"{prefix}accelerator", "core", pins)


def _gate(
    module: str, events: int, clocked: dict[str, str], pins: dict[str, str]
) -> tuple[str, dict[str, str]]:
    """The input gate, which drops events outside the map, and the pins of what it feeds."""
    inner = {"data": events, "valid": 1, "ready": 1, "last": 1}
    nets = "".join(f"    wire [{bits - 1}:0] in_{name};\n" for name, bits in inner.items())
    gate = clocked | {name: pins[f"in_{name}"] for name in inner}
    gate |= {f"inner_{name}": f"in_{name}" for name in inner}
    gate |= {"enable": "1'b1", "in_reset": "1'b0", "restart": "1'b0", "flush": "1'b0"}
    gate |= dict.fromkeys(("begun", "dropping", "dropped", "rejected", "complete"), "")
    fed = {f"in_{name}": f"in_{name}" for name in inner}
    return nets + _instance(module, "gate", gate), pins | fed


def _with_shell(image: Image, host: HostInterface, prefix: str) -> tuple[list[str], str]:
    """Ports and contents with registers: the shell, and the accelerator inside it."""
    ports, events, logits = _streams(image)
    nets, outer = _outer(logits, events)
    ports += _axi_lite_ports()
    shell = {"clk": "aclk", "rst": "!aresetn", "core_reset": "core_reset"}
    for pin, net in outer.items():
        side, name = pin.split("_")
        shell[f"{'events' if side == 'in' else 'logits'}_{name}"] = net
    shell |= {name: f"s_axi_{name}" for name in _AXI_LITE}
    core = {"clk": "aclk", "rst": "core_reset"}
    nets += "    wire core_reset;\n"
    inner = {
        f"{prefix}_{name}": bits
        for prefix, wide in (("in", events), ("out", logits))
        for name, bits in (("data", wide), ("valid", 1), ("ready", 1), ("last", 1))
    }
    if host.counters:
        inner |= {"count_select": SELECT_BITS, "count_value": 32, "count_clear": 1}
    else:  # synthesis drops counters that nobody reads
        shell |= {"count_select": "", "count_value": "32'd0", "count_clear": ""}
        core |= {"count_select": f"{SELECT_BITS}'d0", "count_value": "", "count_clear": "1'b0"}
    for name, bits in inner.items():
        nets += f"    wire [{bits - 1}:0] {name};\n"
        shell[name] = core[name] = name
    if host.loadable:
        ports += _stream_ports("s_axis_load", 32, slave=True)
        shell |= {f"load_{name}": f"s_axis_load_t{name}" for name in _STREAM}
        bus = LoadBus(image)
        for name in LOAD:
            nets += f"    wire [{len(getattr(bus, name)) - 1}:0] bus_{name};\n"
            shell[f"bus_{name}"] = core[f"load_{name}"] = f"bus_{name}"
    text = nets + _instance(f"{prefix}shell", "shell", shell)
    return ports, text + _instance(f"{prefix}accelerator", "core", core | _verification(image))


_STREAM = ("data", "valid", "ready", "last")
_AXI_LITE = {
    "awaddr": ("input", ADDRESS_BITS), "awprot": ("input", 3), "awvalid": ("input", 1),
    "awready": ("output", 1), "wdata": ("input", 32), "wstrb": ("input", 4),
    "wvalid": ("input", 1), "wready": ("output", 1), "bresp": ("output", 2),
    "bvalid": ("output", 1), "bready": ("input", 1), "araddr": ("input", ADDRESS_BITS),
    "arprot": ("input", 3), "arvalid": ("input", 1), "arready": ("output", 1),
    "rdata": ("output", 32), "rresp": ("output", 2), "rvalid": ("output", 1),
    "rready": ("input", 1),
}  # fmt: skip


def _axi_lite_ports() -> list[str]:
    return [
        f"{flow:6} wire " + f"[{bits - 1}:0] " * (bits > 1) + f"s_axi_{name}"
        for name, (flow, bits) in _AXI_LITE.items()
    ]
