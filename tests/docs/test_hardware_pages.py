"""Ports, registers, counters, latencies and limits of the pages are those of the hardware."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import numpy as np
import pytest

from spikewright.golden.image import registers, timing
from spikewright.golden.image.counters import COUNTERS, STRIDE
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.network.edges import Edge, Linear
from spikewright.golden.network.graph import Network
from spikewright.golden.network.nodes import Input, Readout
from spikewright.hw.compiler import fpga, lane_count
from spikewright.hw.compiler.compile_network import MAX_CORES, compile_network
from spikewright.hw.options import BuildOptions
from spikewright.hw.system.top import top_verilog
from spikewright.hw.verilog import rtl_files

BUILDS = {
    "": HostInterface(),
    "--loadable": HostInterface(loadable=True),
    "--no-registers": HostInterface(registers=False),
    "--no-registers --no-counters": HostInterface(registers=False, counters=False),
}


@pytest.fixture(scope="module")
def image():
    """The smallest network: the ports do not depend on it."""
    return compile_network(
        Network(
            1,
            (Input("input", (2,), "direct", bits=2), Readout("out", (2,), [0, 0])),
            (Edge("input", "out", (Linear(np.eye(2, dtype=np.int8), 2),)),),
        )
    )


@pytest.fixture(scope="module")
def ports(image):
    """The ports of `top`, by build options."""
    declared = re.compile(r"^ +(?:input|output)\s+wire (?:\[\d+:0\] )?(\w+),?$", re.M)
    return {name: declared.findall(top_verilog(image, outside)) for name, outside in BUILDS.items()}


def port_faults(rows: list[list[str]], ports: dict[str, list[str]]) -> list[str]:
    """Where the table (port, in builds, meaning) and the ports of the builds differ."""
    faults = []
    for options, found in ports.items():
        due = [name for cell, builds, meaning in rows if in_build(options, builds, meaning)
               for name in spelled(cell)]  # fmt: skip
        faults += [f"{options}: {name} is not shown" for name in found
                   if not any(fnmatch(name, each) for each in due)]  # fmt: skip
        faults += [f"{options}: {name} is not there" for name in due
                   if not any(fnmatch(each, name) for each in found)]  # fmt: skip
    return faults


def in_build(options: str, builds: str, meaning: str) -> bool:
    if any(option in meaning.partition("not with ")[2] for option in options.split()):
        return False
    return (
        builds == "all"
        or (builds == "with registers" and "--no-registers" not in options)
        or (builds.startswith("`") and builds.strip("`") in options)
    )


def spelled(cell: str) -> list[str]:
    """`a_t{data,valid}` and `s_axi_*` as names and patterns."""
    names = []
    for name in re.findall(r"`([^`]+)`", cell):
        head, _, rest = name.partition("{")
        names += [head + end for end in rest.rstrip("}").split(",")]
    return names


def test_ports_are_those_of_top(root, table, ports):
    rows = table((root / "docs/integration.md").read_text(), "Ports of `top`")
    assert len(rows) >= 6
    assert len(ports[""]) == 30
    assert port_faults(rows, ports) == []


def test_wrong_ports_are_found(root, table, ports):
    page = (root / "docs/integration.md").read_text()
    for old, new in (
        ("perf_{select,value,clear}", "perf_{select,value}"),
        ("`s_axi_*` | with registers", "`s_axi_*` | all"),
        ("s_axis_load_t", "s_axis_loader_t"),
        ("; not with `--no-counters`", ""),
    ):
        assert old in page
        assert port_faults(table(page.replace(old, new), "Ports of `top`"), ports), new


def test_the_instance_connects_every_port(root, blocks, ports):
    instance, _ = blocks((root / "docs/integration.md").read_text(), "verilog")
    assert re.findall(r"\.(\w+)\(", instance) == ports[""]


def test_ports_of_the_accelerator_for_benches(root, table, image):
    rows = table((root / "docs/hardware.md").read_text(), "Ports of `accelerator`, for benches")
    text = top_verilog(image, HostInterface())
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert len(named) == 6
    for name in named:
        assert f".{name.replace('_i_', '_0_')}(" in text, name


def test_files_of_a_build(root, table, image):
    """Each file that the table names is written by the builds that it says."""
    rows = table((root / "docs/hardware.md").read_text(), "Files")
    shown = {name.replace("NAME", "net") for row in rows
             for name in re.findall(r"`rtl/([^`]+)`", row[0])}  # fmt: skip
    written = set(rtl_files(image, BuildOptions(host=HostInterface(loadable=True)), "net"))
    bare = set(rtl_files(image, BuildOptions(host=HostInterface(registers=False)), "net"))
    assert {name for name in written if not name.endswith(".mem")} == shown - {"*.mem"}
    absent = {
        name
        for cell, meaning in rows
        if "absent with `--no-registers`" in meaning or "only with `--loadable`" in meaning
        for name in re.findall(r"`rtl/([^`]+)`", cell)
    }
    assert written - bare == absent


def test_counters(root, table):
    page = (root / "docs/hardware.md").read_text()
    rows = table(page, "Counters")
    names = [name.replace(" ", "_") for row in rows for name in row[1].split(", ")]
    numbers = [int(number) for row in rows for number in row[0].split(", ")]
    assert names == list(COUNTERS)
    assert numbers == list(range(len(COUNTERS)))
    assert f"`{STRIDE} * core + k`" in page


def test_the_page_of_registers_is_generated(root):
    assert (root / "docs/registers.md").read_text() == registers.page()


def test_latencies(root, table):
    rows = {
        row[0]: row
        for row in table((root / "docs/hardware.md").read_text(), "How cores are joined")
    }
    one, several = timing.decode(1), timing.decode(2)
    assert rows["event accepted"][2] == f"{one}; {several} with several edges"
    assert rows["beat written into an empty queue of an edge"][2] == str(timing.FIFO)
    assert rows["token met by the last lane"][2] == str(timing.SWEEP_START)
    assert timing.RELEASE > timing.SETTLE > 0


def test_limits(root):
    page = (root / "docs/hardware.md").read_text()
    limits = re.search(r"2\^20 .* in each lane, (\d+) cores, (\d+) lanes a core", page)
    assert limits is not None
    assert [int(each) for each in limits.groups()] == [MAX_CORES, lane_count.MAX_LANES]


def test_what_devices_hold(root, table):
    rows = table((root / "docs/plan.md").read_text(), "What a device holds")
    shown = {
        name.strip("`"): tuple(int(cell.split()[0].replace(",", "")) for cell in cells)
        for name, *cells in rows
    }
    assert shown == {each.name: (each.ram, each.lut, each.dsp) for each in fpga.TARGETS.values()}
