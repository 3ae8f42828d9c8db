"""The description of a build for FuseSoC (CAPI 2): files of every kind, and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

_TEXT = """\
CAPI=2:
{header}name: spikewright:accelerator:{name}:{version}
description: Spikewright accelerator, network {network}
filesets:
{filesets}targets:
  default: &default
    filesets: [{design}]
    toplevel: {top}
  lint:
    <<: *default
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
  sim:
    <<: *default
    description: The design and its memories, for a testbench that depends on this core
    default_tool: icarus
    tools:
      icarus:
        iverilog_options: [-g2005]
      verilator:
        mode: cc
  synth:
    <<: *default
    default_tool: vivado
    tools:
      vivado:
        part: xc7z020clg400-1
      yosys:
        arch: ecp5
"""

# A memory is copied to where $readmemb looks for it, and read_mem of Vivado takes it from there.
_KINDS = {
    "rtl": ("verilogSource-2005", False),
    "memories": ("mem", True),
    "software": ("user", True),
}


def core_file(
    name: str, top: str, network: str, header: str, files: Mapping[str, Sequence[str]]
) -> bytes:
    """The `.core` file of a build.

    Parameters
    ----------
    name, top
        The core's name and its top module.
    network
        The fingerprint.
    header
        Comment lines.
    files
        Names of files by fileset: "rtl", "memories" and "software"; those that are empty are left
        out.
    """
    filesets = ""
    for kind, (file_type, copied) in _KINDS.items():
        if files[kind]:
            filesets += f"  {kind}:\n    file_type: {file_type}\n    files:\n"
            for each in files[kind]:
                place = f": {{copyto: {each}}}" if copied else ""
                filesets += f"      - {each}{place}\n"
    text = _TEXT.format(
        header=header, name=name, version=version("spikewright"), network=network, top=top,
        filesets=filesets, design=", ".join(kind for kind in _KINDS if files[kind]),
    )  # fmt: skip
    return text.encode()
