"""The FuseSoC file: every generated file in it once, by kind; targets for lint, sim and synth."""

import pytest
import yaml

from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.testing.random_chain import Limits, random_network
from spikewright.hw.compiler.compile_network import compile_network
from spikewright.hw.options import BuildOptions
from spikewright.hw.verilog import rtl_files

SMALL = Limits(side=5, channels=5, units=12, kernel=3, layers=2, timesteps=4)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (HostInterface(), None),
        (HostInterface(loadable=True), "left"),
        (HostInterface(registers=False, counters=False), None),
    ],
)
def test_the_core_file_names_what_a_tool_needs(host, name):
    options = BuildOptions(2, host=host, name=name)
    files = rtl_files(compile_network(random_network(5, SMALL), options), options, "my net")
    core = name or "my_net"
    about = yaml.safe_load(files[f"{core}.core"].decode().split("\n", 1)[1])
    assert files[f"{core}.core"].startswith(b"CAPI=2:\n")
    vendor, library, own, version = about["name"].split(":")
    assert (vendor, library, own) == ("spikewright", "accelerator", core)
    assert version.count(".") == 2

    listed = {}
    for fileset in about["filesets"].values():
        for entry in fileset["files"]:
            file, options_of = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            assert file not in listed
            listed[file] = fileset["file_type"]
            assert options_of.get("copyto", file) == file
    kinds = {".v": "verilogSource-2005", ".mem": "mem", ".h": "user", ".json": "user",
             ".bin": "user"}  # fmt: skip
    prefix = options.prefix
    due = {
        file: kinds["." + file.rsplit(".", 1)[1]] for file in files
        if file not in (f"{core}.core", f"{prefix}filelist.f")
        # Memories that a load stream fills read no file.
        and not (host.loadable and file.endswith(".mem"))
    }  # fmt: skip
    assert listed == due
    order = [file for file in listed if file.endswith(".v")]
    assert order == files[f"{prefix}filelist.f"].decode().split()

    for target, tool in (("lint", "verilator"), ("sim", "icarus"), ("synth", "vivado")):
        found = about["targets"][target]
        assert found["default_tool"] == tool
        assert found["toplevel"] == f"{prefix}top"
        assert found["filesets"] == list(about["filesets"])
