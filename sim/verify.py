"""The last link of the chain: the simulated Verilog against both golden models, no tolerance."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikewright.golden.errors import BadInput, CheckFailed, require
from spikewright.golden.image.counters import Counters
from spikewright.golden.image.memory_image import CoreImage, Image
from spikewright.golden.models import engine, reference
from spikewright.golden.network.file import fingerprint, load
from spikewright.golden.network.graph import Network
from spikewright.golden.network.operations import OperationCounts, count
from spikewright.golden.network.trace import Comparison, Mismatch, Trace, compare
from spikewright.sim.accelerator_bench import Run, prepare, simulate
from spikewright.sim.harness.counters import check_work
from spikewright.sim.measurement.cycle_check import CycleCheck, check
from spikewright.sim.measurement.profile import Profile, profile_of
from spikewright.sim.simulators import runner

Progress = Callable[[int, int, str], None]
"""Called with parts done, parts in all, and what comes next."""


@dataclass(frozen=True, eq=False)
class Verification:
    """What was compared and measured. Counts are values of the RTL, over all stall rates.

    `mismatches` counts those that differ from the reference or from the engine; `first` is the
    first of them. `cycles_checked` compares what was counted with what the cycle model predicts, at
    every stall rate. `profile` is that of the least stalled run.
    """

    simulator: str
    images: int
    stalls: tuple[int, ...]
    compared_spikes: int
    compared_membranes: int
    compared_logits: int
    mismatches: int
    first: Mismatch | None
    cycles_checked: CycleCheck
    profile: Profile
    operations: OperationCounts
    trace: Trace

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
        if self.mismatches:
            raise CheckFailed(
                f"RTL differs from golden in {self.mismatches} values; first: {self.first}"
            )
        if self.cycles_checked.differences:
            raise CheckFailed(
                f"the RTL's cycles differ from the predicted in {self.cycles_checked.differences} "
                f"counts; first: {self.cycles_checked.first}"
            )

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with schema and units in the keys."""
        names = (
            "simulator",
            "images",
            "compared_spikes",
            "compared_membranes",
            "compared_logits",
            "mismatches",
        )
        return {
            "schema": 1,
            **{name: getattr(self, name) for name in names},
            "stalls_percent": list(self.stalls),
            "first_mismatch": str(self.first) if self.first else None,
            "compared_cycles": self.cycles_checked.compared,
            "cycle_differences": self.cycles_checked.differences,
            "first_cycle_difference": self.cycles_checked.first,
            "cycles": self.cycles,
            "cycles_per_inference": self.cycles_per_inference,
            "latency_cycles": self.latency_cycles,
            "utilization": self.profile.utilization,
            "synops": self.profile.synops,
            "lanes": self.lanes,
        }


def verify(
    folder: str | Path, inputs: NDArray[np.generic], simulator: str = "verilator",
    stalls: Sequence[int] = (0,), seed: int = 0, waves: bool = False,
    progress: Progress | None = None,
) -> Verification:  # fmt: skip
    """Simulate the accelerator of a build folder; compare every spike, membrane, logit and cycle.

    Parameters
    ----------
    inputs
        Integers (batch, *shape) for a direct input, (batch, timesteps, *shape) for events; they
        enter back to back, so that several inferences are in flight.
    stalls
        Percentages 0..99; the whole batch runs once per rate, every stream held so often at random.
        A rate that is given twice runs once.
    waves
        Keep waveforms: `sim/SIMULATOR/stall-RATE/dump.vcd` (Icarus: `.fst`).
    progress
        Called with parts done, parts in all, and what comes next.

    Raises
    ------
    BadInput
        If the folder is no complete build, or inputs or stalls do not fit.
    ToolMissing
        If the simulator is not installed.
    CheckFailed
        If the simulation breaks a protocol rule, hangs, loses or adds a beat, or miscounts its
        work. Values that differ do not raise: see `Verification.require_equal`.
    """
    say = progress or (lambda done, total, text: None)
    stalls = tuple(dict.fromkeys(stalls))  # each rate has a folder of its own
    parts = len(stalls) + 2
    folder = Path(folder)
    network = load(folder / "network.safetensors")
    frames = network.check_inputs(inputs)
    require(len(frames) > 0, "verify", "number of inputs", len(frames), "at least 1")
    require(len(stalls) > 0, "verify", "number of stall rates", len(stalls), "at least 1")
    for stall in stalls:
        require(0 <= stall <= 99, "verify", "stall", stall, "0..99 (percent)")
    say(0, parts, f"building the {simulator} simulation")
    bench = prepare([folder], folder / "sim", simulator, waves)
    image = bench.images[0]
    if fingerprint(network) != image.fingerprint:
        raise BadInput(
            f"{folder}: manifest.json and network.safetensors hold different networks; build again"
        )
    say(1, parts, f"running golden on {len(frames)} inputs")
    expected = Expected.of(network, frames)

    def one(stall: int) -> Run:
        place = folder / "sim" / simulator / f"stall-{stall}"
        # The bench watches itself for progress; this ends a simulator that hangs.
        deadline_s = runner.DEADLINE_S + 5 * len(frames)
        return simulate(
            bench, [frames], place, stall=stall, seed=seed + stall, deadline_s=deadline_s
        )[0]

    runs: dict[int, Run] = {}
    with ThreadPoolExecutor(2) as pool:
        futures = {stall: pool.submit(one, stall) for stall in stalls}
        try:
            for done, (stall, future) in enumerate(futures.items()):
                say(2 + done, parts, f"simulating {len(frames)} inputs at {stall} % stalls")
                runs[stall] = future.result()
        except BaseException:  # Ctrl-C too: do not wait for simulations that nobody wants any more
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in futures.values()):
                runner.stop_all()  # again: one may have been preparing its files until now
                time.sleep(0.05)
            raise
    say(parts, parts, "done")
    return conclude(image, expected, runs, simulator)


@dataclass(frozen=True, eq=False)
class Expected:
    """What golden says about a batch: two traces from independent programs, and the work due."""

    inputs: NDArray[np.int64]
    reference: Trace
    engine: Trace
    operations: OperationCounts

    @classmethod
    def of(cls, network: Network, inputs: NDArray[np.generic]) -> Expected:
        """Run both golden models."""
        frames = network.check_inputs(inputs)
        trace = reference.run(network, frames)
        return cls(frames, trace, engine.run(network, frames), count(network, frames, trace))


def conclude(
    image: Image, expected: Expected, runs: dict[int, Run], simulator: str
) -> Verification:
    """Compare runs (by stall rate) with golden, and their counters with golden's counts and cycles.

    Raises
    ------
    CheckFailed
        If a counter of work differs.
    """
    results = []
    for run in runs.values():
        results += [_strict(expected.reference, expected.engine, run.capture.trace)]
    mismatches = sum(result.mismatches for result in results)
    checks = [CycleCheck(0, 0, None)]
    if not mismatches:  # wrong spikes make wrong counts: name the cause, not the effect
        for run in runs.values():
            check_operations(image, expected.operations, expected.reference, run.counters)
            checks.append(check(image, expected.inputs, expected.engine, run))
    best = runs[min(runs)]
    return Verification(
        simulator=simulator, images=len(best.capture.last_output), stalls=tuple(runs),
        compared_spikes=sum(result.spikes for result in results),
        compared_membranes=sum(result.membranes for result in results),
        compared_logits=sum(result.logits for result in results),
        mismatches=mismatches, first=next((r.first for r in results if r.first), None),
        cycles_checked=CycleCheck(
            sum(found.compared for found in checks), sum(found.differences for found in checks),
            next((found.first for found in checks if found.first), None),
        ),
        profile=profile_of(image, best), operations=expected.operations, trace=best.capture.trace,
    )  # fmt: skip


def _strict(first: Trace, second: Trace, actual: Trace) -> Comparison:
    """Compare with both models; values that differ from either count once per model."""
    one, two = compare(first, actual), compare(second, actual)
    wrong = one.mismatches if one.mismatches else two.mismatches
    return Comparison(one.spikes, one.membranes, one.logits, wrong, one.first or two.first)


def check_operations(
    image: Image, operations: OperationCounts, trace: Trace, counters: Sequence[Counters]
) -> None:
    """Hardware must count exactly golden's events and synaptic operations, core by core.

    What steps or channels share is counted by the cycle model alone
    (`sim.measurement.cycle_check`).
    """
    synops, events = Counter[str](), Counter[str]()
    for edge in operations.edges:
        synops[edge.target] += edge.synops
        events[edge.target] += edge.events
    sent = {core.node: sent_events(core, trace.spikes[core.node]) for core in image.cores[:-1]}
    last = image.cores[-1]
    sent[last.node] = last.size[0] * operations.images
    if image.counting:  # one synapse for every spike of the output
        synops[last.node] = events[last.node] = sent[image.cores[-2].node]
    for core in image.cores:
        if image.steps_per_pass > 1:  # spikes of one neuron in a pass are one event
            sources = [edge.source for edge in core.edges]
            events.pop(core.node, None)
            if image.input.name not in sources:
                events[core.node] = sum(sent[source] for source in sources)
        if image.steps_per_pass * core.channels_per_word > 1:  # an entry is no synapse then
            synops.pop(core.node, None)
    check_work(counters, synops=synops, events_in=events, events_out=sent)


def sent_events(core: CoreImage, spikes: NDArray[np.uint8]) -> int:
    """How many events a core sends: one for a neuron and pass, or a max pool's window and pass."""
    _, height, width = core.size
    (down, along), (ky, kx) = core.sent, core.window
    passes = spikes.reshape(-1, core.steps_per_pass, core.size[0], height, width).max(axis=1)
    whole = passes[..., : down * ky, : along * kx]
    return int(whole.reshape(-1, down, ky, along, kx).any(axis=(2, 4)).sum())
