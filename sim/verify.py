"""A build's simulated Verilog: the last link of the chain of equality, its cycles and its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.equality_chain import (
    BATCH,
    Equality,
    Link,
    Progress,
    Recorder,
    engine_program,
    follow,
    image_program,
    recorded_program,
    reference_program,
)
from spikewright.golden.errors import BadInput, CheckFailed, require
from spikewright.golden.footprint import Footprint
from spikewright.golden.image.build_files import check_files
from spikewright.golden.image.counters import Counters
from spikewright.golden.image.memory_image import Image
from spikewright.golden.network.file import fingerprint, load
from spikewright.golden.network.graph import Network
from spikewright.golden.network.operations import OperationCounts, count
from spikewright.golden.network.trace import Trace
from spikewright.golden.processes import children
from spikewright.golden.testing.corners import Visits, corner_inputs, never_visited
from spikewright.sim.accelerator_bench import Run, prepare, simulate
from spikewright.sim.measurement.cycle_check import CycleCheck, check
from spikewright.sim.measurement.profile import Profile, profile_of
from spikewright.sim.measurement.work_check import check_operations
from spikewright.sim.options import SimulationOptions
from spikewright.sim.simulators import runner

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What was compared and measured.

    Attributes
    ----------
    equality
        The chain from the golden reference down to the Verilog; the last link counts the values of
        all stall rates.
    stalls
        The stall rates, in percent.
    cycles_checked
        What was counted against what the cycle model predicts, at every stall rate; nothing where
        values differ.
    profile, trace
        Of the least stalled run.
    operations
        Of the golden reference.
    corners
        How often each corner of the contract that the network has was visited; see
        `golden.testing.corners`.
    corner_images
        How many inputs were added to visit more of them; None if that was not asked for.
        `equality`, `cycles_checked` and `corners` are of them too, all else is not.
    """

    images: int
    stalls: tuple[int, ...]
    equality: Equality
    cycles_checked: CycleCheck
    profile: Profile
    operations: OperationCounts
    trace: Trace
    corners: Mapping[str, int]
    corner_images: int | None = None

    @property
    def unvisited(self) -> tuple[str, ...]:
        """The corners that no input visited."""
        return never_visited(self.corners)

    def and_on_corners(self, more: Verdict) -> Verdict:
        """With what was compared on corner inputs."""
        return replace(
            self, equality=self.equality.and_on(more.equality, "corner inputs"),
            cycles_checked=CycleCheck.total([self.cycles_checked, more.cycles_checked]),
            corners={name: times + more.corners[name] for name, times in self.corners.items()},
        )  # fmt: skip

    @property
    def verilog(self) -> Link:
        """The last link."""
        return self.equality.links[-1]

    @property
    def mismatches(self) -> int:
        """Values that differ, on all links."""
        return self.equality.mismatches

    @property
    def first(self) -> str | None:
        """The first mismatch in words: link, image, step, layer, neuron, expected, actual."""
        return self.equality.first

    @property
    def cycles(self) -> int:
        """Of the least stalled run, first event to last logit."""
        return self.profile.cycles

    @property
    def cycles_per_inference(self) -> float:
        """In the steady state."""
        return self.profile.cycles_per_inference

    @property
    def latency_cycles(self) -> int:
        """Of one inference alone in the machine."""
        return self.profile.latency_cycles

    @property
    def counters(self) -> tuple[Counters, ...]:
        """Per core, of the least stalled run."""
        return tuple(layer.counters for layer in self.profile.layers)

    @property
    def lanes(self) -> dict[str, int]:
        """Lanes per node."""
        return {layer.node: layer.lanes for layer in self.profile.layers}

    def require_equal(self) -> None:
        """Raise `CheckFailed` naming the first mismatch, if there is one."""
        self.equality.require()
        if self.cycles_checked.differences:
            raise CheckFailed(
                f"the RTL's cycles differ from the predicted in {self.cycles_checked.differences} "
                f"counts; first: {self.cycles_checked.first}"
            )


def verify(
    folder: str | Path, inputs: NDArray[np.generic], options: SimulationOptions | None = None,
    progress: Progress | None = None,
) -> Verdict:  # fmt: skip
    """Simulate the accelerator of a build folder; compare every spike, membrane, logit and cycle.

    Parameters
    ----------
    inputs
        Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events; they
        enter back to back, so that several inferences are in flight.
    progress
        Called with parts done, parts in all, and what comes next.

    Raises
    ------
    BadInput
        If a file of the build is missing or changed, the inputs do not fit, or all takes more
        memory than `golden.footprint.allowed`.
    ToolMissing
        If the simulator is not installed.
    CheckFailed
        If the simulation breaks a protocol rule, hangs, loses or adds a beat, or miscounts its
        work. Values that differ do not raise: see `Verdict.require_equal`.
    """
    options = options or SimulationOptions()
    check_files(folder)
    network = load(Path(folder) / "network.safetensors")
    Footprint.of_comparison(network, len(options.stalls)).batch(len(inputs), BATCH)
    frames = network.check_inputs(inputs)
    image, runs = simulate_build(folder, network, frames, options, progress)
    verdict = conclude(network, image, frames, runs, progress)
    if options.corners:
        if progress:
            progress(0, 1, "looking for inputs that visit more corners")
        extra = corner_inputs(network, verdict.unvisited, options.seed)
        verdict = replace(verdict, corner_images=len(extra))
        if len(extra):
            image, runs = simulate_build(folder, network, extra, options, progress, "-corners")
            more = conclude(network, image, extra, runs, progress)
            verdict = verdict.and_on_corners(more)
    return verdict


def simulate_build(
    folder: str | Path, network: Network, inputs: Ints, options: SimulationOptions,
    progress: Progress | None = None, which: str = "",
) -> tuple[Image, dict[int, Run]]:  # fmt: skip
    """Simulate a build of `network` on checked inputs: its image, and a run by stall rate.

    `which` inputs they are ends the name of each run's folder.

    Raises
    ------
    BadInput, ToolMissing, CheckFailed
        As `verify`.
    """
    folder, say = Path(folder), progress or (lambda done, total, text: None)
    stalls, simulator, batch = options.stalls, options.simulator, len(inputs)
    parts = len(stalls) + 1
    require(batch > 0, "verify", "number of inputs", batch, "at least 1")
    say(0, parts, f"building the {simulator} simulation")
    bench = prepare([folder], folder / "sim", simulator, options.waves)
    if fingerprint(network) != bench.images[0].fingerprint:
        raise BadInput(
            f"{folder}: manifest.json and network.safetensors hold different networks; build again"
        )

    def one(stall: int) -> Run:
        work = folder / "sim" / simulator / f"stall-{stall}{which}"
        # The bench watches itself for progress; this ends a simulator that hangs.
        deadline_s = runner.DEADLINE_S + 5 * batch
        return simulate(
            bench, [inputs], work, stall=stall, seed=options.seed + stall, deadline_s=deadline_s
        )[0]

    runs: dict[int, Run] = {}
    with children.pool(2) as pool:
        futures = {stall: pool.submit(one, stall) for stall in stalls}
        for done, (stall, future) in enumerate(futures.items()):
            say(1 + done, parts, f"simulating {batch} inputs at {stall} % stalls")
            runs[stall] = future.result()
    say(parts, parts, "simulated")
    return bench.images[0], runs


def conclude(
    network: Network, image: Image, inputs: Ints, runs: Mapping[int, Run],
    progress: Progress | None = None,
) -> Verdict:  # fmt: skip
    """Compare runs (by stall rate) with golden: values, then counters of work, then cycles.

    Golden runs once, in batches; of all images only its spikes are kept.

    Parameters
    ----------
    inputs
        Checked inputs, those of the runs.

    Raises
    ------
    CheckFailed
        If a counter of work differs.
    """
    captured = {f"at {stall} % stalls": run.capture.trace for stall, run in runs.items()}
    programs = (
        reference_program(network, inputs),
        engine_program(network, inputs),
        image_program(image, inputs),
        recorded_program("Verilog", captured),
    )
    golden, visits = Recorder("reference"), Visits(network, inputs, "reference")

    def observe(traces: Mapping[str, Trace]) -> None:
        golden(traces)
        visits(traces)

    batch = Footprint.of_comparison(network, len(runs)).batch(len(inputs), BATCH)
    equality = follow(programs, len(inputs), observe, progress, batch)
    spikes = golden.trace
    operations = count(network, inputs, spikes)
    checks = [CycleCheck(0, 0, None)]
    if not equality.mismatches:  # wrong spikes make wrong counts: name the cause, not the effect
        for run in runs.values():
            check_operations(image, operations, spikes, run.counters)
            checks.append(check(image, inputs, spikes, run))
    least = runs[min(runs)]
    return Verdict(
        images=len(inputs), stalls=tuple(runs), equality=equality,
        cycles_checked=CycleCheck.total(checks), profile=profile_of(image, least),
        operations=operations, trace=least.capture.trace, corners=visits.counts,
    )  # fmt: skip
