"""The child process of `runner.run_bench`: one call of cocotb's runner, described in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cocotb_tools.runner import get_runner


def main(request: dict) -> None:
    """Runs the cocotb tests of `request`, which `sim.simulators.runner.run_bench` makes."""
    runner = get_runner(request["simulator"])
    icarus = request["simulator"] == "icarus"
    # Registers without a reset have random initial values, from the seed.
    plusargs = (
        []
        if icarus
        else ["+verilator+rand+reset+2", f"+verilator+seed+{request['seed'] % 2**31 or 1}"]
    )
    runner.test(
        hdl_toplevel=request["top"],
        hdl_toplevel_lang="verilog",
        test_module=request["module"],
        testcase=request["tests"] or None,
        build_dir=Path(request["build"]),
        test_dir=Path(request["folder"]),
        results_xml=request["results"],
        seed=request["seed"],
        log_file=request["log"],
        waves=request["waves"],
        extra_env=request["environment"],
        plusargs=plusargs,
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
