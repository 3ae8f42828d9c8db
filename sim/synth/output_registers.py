"""A netlist pass for ECP5 that packs registers after a block RAM's outputs into the block RAM.

A DP16KD has an output register for each port (REGMODE = OUTREG), with a clock-to-output time of
0.96 ns instead of 5.83 ns; Yosys does not use it. The rule: if every used output bit of a port
drives exactly one flip-flop and nothing else, and all these flip-flops have neither reset nor
enable and use the port's clock edge, then the port's REGMODE becomes OUTREG, the flip-flops are
removed, and the port drives their outputs. `output_registers_proof` proves both sides equivalent;
`unpack` inverts the rule, which shows that a packed netlist differs by instances of it alone.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

Netlist = dict[str, Any]
Bit = int | str

PORTS = ("A", "B")
BITS = 18


def pack(netlist: Netlist, top: str) -> tuple[Netlist, list[str]]:
    """Packs registers into block RAMs.

    Parameters
    ----------
    netlist
        Yosys' JSON of a flat ECP5 design; it is not changed.

    Returns
    -------
    The new netlist, and the ports packed, as `cell.A` or `cell.B`.
    """
    packed = copy.deepcopy(netlist)
    cells = packed["modules"][top]["cells"]
    users = _users(packed["modules"][top])
    ports = []
    for name in sorted(name for name, cell in cells.items() if cell["type"] == "DP16KD"):
        for port in PORTS:
            registers = _registers(cells, users, cells[name], port)
            if not registers:
                continue
            ram = cells[name]
            ram["parameters"][f"REGMODE_{port}"] = "OUTREG"
            ram["connections"][f"OCE{port}"] = ["1"]
            for bit, register in registers.items():
                ram["connections"][f"DO{port}{bit}"] = cells.pop(register)["connections"]["Q"]
            ports.append(f"{name}.{port}")
    return packed, ports


def _users(module: Netlist) -> dict[Bit, list[tuple[str, str]]]:
    """The readers of each net: (cell, port), or ("", "") for a port of the module."""
    users: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    users[bit].append((name, port))
    for port in module["ports"].values():
        if port["direction"] == "output":
            for bit in port["bits"]:
                users[bit].append(("", ""))
    return users


def _registers(
    cells: Netlist, users: dict[Bit, list[tuple[str, str]]], ram: Netlist, port: str
) -> dict[int, str]:
    """The flip-flops that a port drives, by output bit; none unless the rule holds for all."""
    if ram["parameters"].get(f"REGMODE_{port}", "NOREG") != "NOREG":
        return {}
    registers = {}
    for bit in range(BITS):
        wire = ram["connections"].get(f"DO{port}{bit}") or [""]  # "": not connected
        readers = users.get(wire[0], [])
        if not readers:
            continue
        cell, pin = readers[0]
        if len(readers) > 1 or pin != "DI" or not _plain(cells[cell], ram, port):
            return {}
        registers[bit] = cell
    return registers


def _plain(cell: Netlist, ram: Netlist, port: str) -> bool:
    """Whether a cell is a flip-flop without reset and enable, on the clock edge of the port."""
    pins, settings = cell["connections"], cell["parameters"]
    clock = ram["connections"][f"CLK{port}"]
    enabled = pins.get("CE", ["1"]) in (["1"], []) or settings.get("CEMUX") == "1"
    unreset = pins.get("LSR", ["0"]) in (["0"], [])
    rising = settings.get("CLKMUX", "CLK") == "CLK"
    ram_rising = ram["parameters"].get(f"CLK{port}MUX", f"CLK{port}") == f"CLK{port}"
    return (
        cell["type"] == "TRELLIS_FF" and pins["CLK"] == clock and enabled and unreset
        and rising and ram_rising
    )  # fmt: skip


def unpack(packed: Netlist, original: Netlist, top: str) -> Netlist:
    """Inverts the rule: the netlist before packing, with the names of `original`.

    It equals `original` exactly if `packed` differs from it by instances of the rule alone.
    """
    undone = copy.deepcopy(packed)
    cells, old = undone["modules"][top]["cells"], original["modules"][top]["cells"]
    drivers = {cell["connections"]["Q"][0]: name for name, cell in old.items()
               if cell["type"] == "TRELLIS_FF"}  # fmt: skip
    for name, ram in list(cells.items()):
        for port in PORTS if ram["type"] == "DP16KD" else ():
            before = old[name]["parameters"].get(f"REGMODE_{port}", "NOREG")
            if ram["parameters"].get(f"REGMODE_{port}", "NOREG") == before:
                continue
            ram["parameters"][f"REGMODE_{port}"] = "NOREG"
            enable = f"OCE{port}"
            ram["connections"][enable] = old[name]["connections"].get(enable, ["1"])
            for bit in range(BITS):
                pin = f"DO{port}{bit}"
                driven = ram["connections"].get(pin) or [""]
                register = drivers.get(driven[0])
                if register is None or register in cells:
                    continue
                wire = old[name]["connections"][pin]
                # A register of the rule: this output is its input, the net driven now its output.
                cells[register] = copy.deepcopy(old[register])
                cells[register]["connections"] |= {"DI": wire, "Q": driven}
                ram["connections"][pin] = wire
    return undone


def same(left: Netlist, right: Netlist, top: str) -> bool:
    """Whether two netlists have the same cells, connections, parameters and ports."""
    a, b = left["modules"][top], right["modules"][top]
    return a["ports"] == b["ports"] and all(
        a["cells"].get(name) == b["cells"].get(name) for name in a["cells"].keys() | b["cells"]
    )
