"""The last link of a build's chain: `top`, driven from outside as a processor drives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.driver import Accelerator
from spikewright.golden.equality_chain import Link, Program, Progress, follow, recorded_program
from spikewright.golden.errors import CheckFailed
from spikewright.golden.network.trace import Trace
from spikewright.sim.options import SimulationOptions
from spikewright.sim.simulated_device import Simulation

TOP = "top over AXI"
IMAGES = 2
"""How many inputs go through `top`: one after a reset, and one after another inference."""


def top_link(
    folder: Path, inputs: NDArray[np.int64], verilog: Trace, options: SimulationOptions,
    progress: Progress | None = None,
) -> Link:  # fmt: skip
    """Send the first inputs to the `top` of a build through its AXI ports; compare the logits.

    `top` is found by its registers, started, and its error flags are read. Its streams pause at the
    highest of the stall rates.

    Parameters
    ----------
    inputs, verilog
        Checked inputs, and what the bare accelerator did on them.

    Raises
    ------
    ToolMissing, BuildFailed
        As `sim.harness.top.prepare_top`.
    CheckFailed
        If the registers name another build, no logits come, or an error flag is set.
    """
    stall, images = max(options.stalls), min(IMAGES, len(inputs))
    say = progress or (lambda done, total, text: None)
    say(0, 2, f"building the {options.simulator} simulation of top")
    with Simulation(
        folder, simulator=options.simulator, waves=options.waves, stall=stall, seed=options.seed
    ) as device:
        say(1, 2, f"simulating {images} inputs through the AXI ports of top")
        accelerator = Accelerator(device, folder)
        accelerator.start()
        logits = accelerator.run(inputs[:images])
        if flags := accelerator.errors():
            raise CheckFailed(f"{folder}: top sets the error flags {', '.join(flags)}")
    programs = (
        recorded_program("Verilog", {"": verilog.of(slice(images)).outside}),
        Program.of(TOP, Trace({}, {}, logits).of),
    )
    (link,) = follow(programs, images).links
    say(2, 2, "simulated")
    return link
